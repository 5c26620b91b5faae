/* socket.c - curl's sockets on libuv's poll handles.
 *
 * What:    curl says which events it wants of which descriptor, libuv says when they are there. One record a descriptor
 *          number, kept to the end of the client; it has a poll handle while the descriptor is polled.
 * Why so:  libuv aborts the process when a descriptor is closed and its handle is started afterwards (P1, U3). So we
 *          open and close curl's sockets ourselves and end the handle before the descriptor. That is not enough for
 *          7.88.1: a socket that is not connected yet (TCP or TLS) it closes by plain close(2), without the callback,
 *          and says CURL_POLL_REMOVE just before or after; and if the next socket gets the same number before that, it
 *          says nothing at all and believes that the new one is polled as the old one was. Hence: CURL_POLL_REMOVE ends
 *          the handle, unless the connection is known to be up (its first header came: leat__socket_keep); and opening
 *          a number that is still wanted polls the new descriptor at once. The resolver's own descriptors fall under
 *          the first rule. Which socket an answer comes from, 7.88.1 does not tell in its callbacks
 *          (CURLINFO_ACTIVESOCKET is -1 there): it is the one that curl had us poll last for that request.
 *          A kept connection's handle is not even stopped by CURL_POLL_REMOVE (the request is done): the next request finds
 *          it running and saves libuv's system calls (U8), a third of what libcurl makes for a small object. If the server
 *          speaks meanwhile (closes, most likely), it is stopped; curl looks for itself when it takes the connection up
 *          again.
 * Threads: loop.
 * Invariants: poll != NULL and not closing while wanted != 0; polled is what it was started for; a handle is freed in
 *          its close callback only, and records outlive all handles, so both may be looked at after curl has run (P2, P4).
 * Not here: SIGPIPE: a write to a connection that is gone would raise it inside of OpenSSL, so the thread of the loop
 *          has to block it (P17). */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stages/http_internal.h"

struct leat__socket {
    /* fixed after creation */
    leat__http *http;
    curl_socket_t fd;
    leat__socket *next;
    /* loop thread only */
    uv_poll_t *poll;   /* NULL: not polled */
    int wanted;        /* by curl: UV_READABLE, UV_WRITABLE */
    int polled;        /* what the handle is running for; 0: stopped */
    const leat__attempt *owner; /* who opened it or had it polled last; to be compared, never followed */
    bool kept;         /* the connection is up: curl will end it by leat__socket_close */
};

static leat__socket *socket_find(leat__http *http, curl_socket_t fd)
{
    leat__socket *socket = http->sockets[(unsigned)fd % LEAT__SOCKET_BUCKETS];
    while (socket && socket->fd != fd) socket = socket->next;
    return socket;
}

/* The record of a descriptor; NULL if memory is short. */
static leat__socket *socket_get(leat__http *http, curl_socket_t fd)
{
    leat__socket *socket = socket_find(http, fd);
    if (socket) return socket;
    socket = calloc(1, sizeof *socket);
    if (!socket) return NULL;
    leat__socket **bucket = &http->sockets[(unsigned)fd % LEAT__SOCKET_BUCKETS];
    *socket = (leat__socket){.http = http, .fd = fd, .next = *bucket};
    *bucket = socket;
    return socket;
}

static void on_closed(uv_handle_t *handle)
{
    leat__http *http = ((leat__socket *)handle->data)->http;
    free(handle);
    leat__http_handle_closed(http);
}

/* Ends the handle, if there is one: libuv forgets the descriptor at once, it may be closed then. */
static void socket_drop(leat__socket *socket)
{
    uv_poll_t *poll = socket->poll;
    socket->poll = NULL;
    socket->polled = 0;
    socket->kept = false;
    if (!poll) return;
    uv_poll_stop(poll);
    uv_close((uv_handle_t *)poll, on_closed);
}

static void on_ready(uv_poll_t *handle, int status, int events);

/* Polls for what is wanted. If that cannot be done, the clocks will break the attempt off. */
static void socket_arm(leat__socket *socket)
{
    leat__http *http = socket->http;
    assert(socket->wanted);
    if (socket->polled == socket->wanted || http->closing) return;
    if (!socket->poll) {
        uv_poll_t *poll = calloc(1, sizeof *poll);
        if (!poll) return;
        if (uv_poll_init(http->options.loop, poll, socket->fd)) {
            free(poll);
            return;
        }
        http->open_handles++;
        poll->data = socket;
        socket->poll = poll;
    }
    if (!uv_poll_start(socket->poll, socket->wanted, on_ready)) socket->polled = socket->wanted;
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    leat__socket *socket = handle->data;
    assert(socket->poll == handle);
    if (status < 0) socket->polled = 0; /* libuv has stopped it: POLLERR (P3) */
    if (!socket->wanted) {
        uv_poll_stop(handle);
        socket->polled = 0;
        return;
    }
    int flags = (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    if (status < 0) flags = CURL_CSELECT_ERR | CURL_CSELECT_IN | CURL_CSELECT_OUT;
    leat__http_drive(socket->http, socket->fd, flags);
    if (socket->poll == handle && socket->wanted) socket_arm(socket);
}

curl_socket_t leat__socket_open(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    leat__attempt *attempt = user;
    (void)purpose;
    leat__attempt_resolved(attempt, true);
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
    if (fd < 0) {
        attempt->socket_errno = errno;
        return CURL_SOCKET_BAD;
    }
    attempt->opened = fd;
    leat__socket *known = socket_find(attempt->http, fd);
    if (known) {
        socket_drop(known); /* of a descriptor that is gone */
        known->owner = attempt;
        if (known->wanted) socket_arm(known);
    }
    return fd;
}

int leat__socket_close(void *user, curl_socket_t fd)
{
    leat__socket *socket = socket_find(user, fd);
    if (socket) {
        socket->wanted = 0;
        socket_drop(socket);
    }
    return close(fd);
}

void leat__socket_keep(const leat__attempt *attempt)
{
    leat__socket *socket = attempt->socket;
    if (socket && socket->owner == attempt && socket->wanted && socket->poll) socket->kept = true;
}

int leat__socket_wants(CURL *easy, curl_socket_t fd, int what, void *user, void *unused)
{
    leat__socket *socket = socket_get(user, fd);
    leat__attempt *attempt = NULL;
    (void)unused;
    if (!socket) return 0; /* nobody polls it then; -1 would end all transfers */
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &attempt);
    if (attempt && what != CURL_POLL_REMOVE) {
        attempt->socket = socket;
        socket->owner = attempt;
        /* curl waits for an answer only behind a connection (while it connects, for being able to write) */
        if ((what & CURL_POLL_IN) && attempt->opened == fd) attempt->transfer->host->connected = true;
    }
    socket->wanted = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (socket->wanted) socket_arm(socket);
    else if (!socket->kept) socket_drop(socket);
    return 0;
}

void leat__sockets_drop(leat__http *http)
{
    for (size_t i = 0; i < LEAT__SOCKET_BUCKETS; i++)
        for (leat__socket *socket = http->sockets[i]; socket; socket = socket->next) socket_drop(socket);
}

void leat__sockets_free(leat__http *http)
{
    for (size_t i = 0; i < LEAT__SOCKET_BUCKETS; i++) {
        for (leat__socket *socket = http->sockets[i], *next; socket; socket = next) {
            next = socket->next;
            assert(!socket->poll);
            free(socket);
        }
    }
}
