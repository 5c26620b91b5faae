/* httpfault.c - what curl's codes and HTTP's statuses mean: the classes of R1, and words.
 *
 * What:    fills a leat__fault for what curl said, or for an answer's status; quotes an error's body.
 * Why so:  a message has to say what failed and why without knowing curl: its code and text come after our words, as
 *          text of its own may be missing (P27). Everything that a server sent is escaped.
 * Threads: loop.
 * Not here: what follows from a class (outcome.c). */
#include <stdio.h>
#include <string.h>

#include "pipeline/failure.h"
#include "stages/http_internal.h"

typedef struct meaning {
    CURLcode curl;
    leat_code code;
    leat__fault_class class;
    const char *words;
} meaning;

static const meaning meanings[] = {
    {CURLE_COULDNT_RESOLVE_HOST, LEAT_ENETWORK, LEAT__FAULT_TRANSIENT, "the host's name could not be resolved"},
    {CURLE_COULDNT_CONNECT, LEAT_ENETWORK, LEAT__FAULT_TRANSIENT, "connecting failed"},
    {CURLE_HTTP2, LEAT_ENETWORK, LEAT__FAULT_TRANSIENT, "the connection broke"},
    {CURLE_PARTIAL_FILE, LEAT_ETRUNCATED, LEAT__FAULT_TRANSIENT, "the connection ended before the object did"},
    {CURLE_OPERATION_TIMEDOUT, LEAT_ETIMEOUT, LEAT__FAULT_TRANSIENT, "connecting took too long"},
    {CURLE_SSL_CONNECT_ERROR, LEAT_ETLS, LEAT__FAULT_TRANSIENT, "the TLS handshake failed"},
    {CURLE_GOT_NOTHING, LEAT_ENETWORK, LEAT__FAULT_TRANSIENT, "the server closed the connection without an answer"},
    {CURLE_SEND_ERROR, LEAT_ENETWORK, LEAT__FAULT_TRANSIENT, "the connection broke"},
    {CURLE_RECV_ERROR, LEAT_ENETWORK, LEAT__FAULT_TRANSIENT, "the connection broke"},
    {CURLE_HTTP2_STREAM, LEAT_ENETWORK, LEAT__FAULT_TRANSIENT, "the connection broke"},
    {CURLE_PEER_FAILED_VERIFICATION, LEAT_ETLS, LEAT__FAULT_FATAL, "the server's identity could not be verified"},
    {CURLE_SSL_CACERT_BADFILE, LEAT_ETLS, LEAT__FAULT_FATAL, "the certificate authorities could not be read"},
    {CURLE_SSL_CERTPROBLEM, LEAT_ETLS, LEAT__FAULT_FATAL, "TLS failed"},
    {CURLE_SSL_CIPHER, LEAT_ETLS, LEAT__FAULT_FATAL, "TLS failed"},
    {CURLE_SSL_ISSUER_ERROR, LEAT_ETLS, LEAT__FAULT_FATAL, "TLS failed"},
    {CURLE_SSL_ENGINE_INITFAILED, LEAT_ETLS, LEAT__FAULT_FATAL, "TLS failed"},
    {CURLE_OUT_OF_MEMORY, LEAT_ENOMEM, LEAT__FAULT_FATAL, "no memory in curl"},
    {CURLE_UNSUPPORTED_PROTOCOL, LEAT_EHEADERS, LEAT__FAULT_FATAL, "the answer is not HTTP"},
    {CURLE_WEIRD_SERVER_REPLY, LEAT_EHEADERS, LEAT__FAULT_FATAL, "the answer's header is malformed"},
};

void leat__fault_of_curl(const leat__attempt *attempt, CURLcode result, leat__fault *fault)
{
    static const meaning other = {CURLE_OK, LEAT_ENETWORK, LEAT__FAULT_FATAL, "the transfer failed"};
    const meaning *found = &other;
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (meanings[i].curl == result) found = &meanings[i];
    const char *text = attempt->curl_text[0] ? attempt->curl_text : curl_easy_strerror(result); /* P27 */
    char shown[CURL_ERROR_SIZE * 2];
    leat__escape(shown, sizeof shown, text, strlen(text));
    leat__fault_set(fault, found->code, found->class, (int)result, "%s (curl %d: %s)", found->words, (int)result,
                    shown);
}

static leat_code code_of_status(int status)
{
    switch (status) {
    case 401: case 403: case 407:
        return LEAT_EACCESS;
    case 404: case 410:
        return LEAT_ENOTFOUND;
    case 412:
        return LEAT_ECHANGED;
    default:
        return LEAT_EHTTP;
    }
}

static leat__fault_class class_of_status(int status)
{
    switch (status) {
    case 429: case 503:
        return LEAT__FAULT_THROTTLE;
    case 408: case 500: case 502: case 504: case 522: case 524:
        return LEAT__FAULT_TRANSIENT;
    case 412:
        return LEAT__FAULT_CHANGED;
    default:
        return LEAT__FAULT_FATAL;
    }
}

void leat__fault_of_status(const leat__attempt *attempt, leat__fault *fault)
{
    const leat__reply *reply = &attempt->reply;
    char reason[128];
    leat__escape(reason, sizeof reason, reply->reason, strlen(reply->reason));
    const char *changed = reply->status == 412 ? "the object changed while it was read: " : "";
    leat__fault_set(fault, code_of_status(reply->status), class_of_status(reply->status), reply->status,
                    "%sHTTP %d%s%s", changed, reply->status, *reason ? " " : "", reason);
}

void leat__fault_quote(const leat__attempt *attempt, char *out, size_t capacity)
{
    char shown[240];
    out[0] = 0;
    if (attempt->verdict != LEAT__VERDICT_STATUS || strcasestr(attempt->reply.type, "html")) return;
    size_t size = attempt->excerpt_size;
    while (size && strchr(" \t\r\n", attempt->excerpt[size - 1])) size--;
    if (!size) return;
    snprintf(out, capacity, ": \"%s\"", leat__escape(shown, sizeof shown, attempt->excerpt, size));
}
