/* run.c - what every command's run has in common: signals, broken pipes, exit codes, and failures in print.
 *
 * What:    one flag set by SIGINT, SIGTERM and SIGHUP that loops look at, and the last word on the exit code.
 * Why so:  a stopped run still prints what it has. The handler takes itself away, so that a second Ctrl-C ends a process
 *          that is stuck. SIGPIPE is ignored because libraries write to sockets; a stdout that has gone shows as EPIPE
 *          instead.
 * Threads: the main thread; the handler only stores.
 * Not here: usage errors (options.c). */
#include "cli/run.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/text.h"

static volatile int stop_signal, stop; /* int, as leat_pack_config.stop wants it; sig_atomic_t is int on every Linux */
static int output_errno;               /* of the first write to stdout that failed */
static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { STOP_SIGNALS = sizeof stop_signals / sizeof stop_signals[0] };

/* The next one, whichever, ends the process. sigaction may be called in a handler (signal-safety(7)). */
static void on_signal(int number)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < STOP_SIGNALS; i++) sigaction(stop_signals[i], &action, NULL);
    stop_signal = number;
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED); /* the library reads it on threads of its own */
}

void cli_fill_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        /* the lowest free number is the one that is missing; opened the wrong way round, so that it's still of no use */
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
}

void cli_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal}, before;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < STOP_SIGNALS; i++) {
        bool ignored = stop_signals[i] == SIGHUP && sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler == SIG_IGN;
        if (!ignored) sigaction(stop_signals[i], &action, NULL); /* nohup(1) has SIGHUP ignored */
    }
    action = (struct sigaction){.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &action, NULL);
}

int cli_signal(void)
{
    return stop_signal;
}

const volatile int *cli_signal_flag(void)
{
    return &stop;
}

int cli_code_of(const leat_error *error, bool opening)
{
    assert(error->code != LEAT_OK && error->code != LEAT_AGAIN && error->code != LEAT_END);
    switch (error->code) {
    case LEAT_EINVAL: return CLI_CONFIG;
    case LEAT_ENOMEM: return opening ? CLI_CONFIG : CLI_FAILED; /* memory_limit leaves too little */
    case LEAT_ENOTFOUND:
    case LEAT_EACCESS: return opening ? CLI_NO_SOURCE : CLI_FAILED;
    case LEAT_ERETRIES: return opening ? CLI_NETWORK : CLI_FAILED;
    case LEAT_ECHECKSUM: return CLI_INTEGRITY;
    case LEAT_EDISK: return CLI_DISK;
    default: return CLI_FAILED;
    }
}

int cli_fail(const char *command, const leat_error *error, bool opening)
{
    fprintf(stderr, "leat %s: ", command);
    cli_print_escaped(stderr, error->message);
    fputc('\n', stderr);
    return cli_code_of(error, opening);
}

void cli_print_failures(const char *command, const leat_error *errors, uint64_t count, uint64_t most)
{
    for (uint64_t i = 0; i < count && i < most; i++) {
        fprintf(stderr, "leat %s: ", command);
        cli_print_escaped(stderr, errors[i].message);
        fputc('\n', stderr);
    }
    if (count > most) fprintf(stderr, "leat %s: and %llu more failures\n", command, (unsigned long long)(count - most));
}

void cli_json_failures(cli_json *json, const char *key, const leat_error *errors, uint64_t count, uint64_t most)
{
    cli_json_list(json, key);
    for (uint64_t i = 0; i < count && i < most; i++) {
        const leat_error *error = &errors[i];
        cli_json_object(json, NULL);
        cli_json_string(json, "stage", error->stage);
        cli_json_string(json, "code", leat_code_name(error->code));
        cli_json_string(json, "shard", error->shard);
        cli_json_string(json, "key", error->key);
        if (error->offset == UINT64_MAX) cli_json_null(json, "offset");
        else cli_json_count(json, "offset", error->offset);
        cli_json_string(json, "message", error->message);
        cli_json_end(json);
    }
    cli_json_end(json);
}

bool cli_output_broken(void)
{
    if (output_errno == 0 && ferror(stdout)) output_errno = errno ? errno : EIO;
    return output_errno != 0;
}

void cli_flush_output(void)
{
    if (!cli_output_broken() && fflush(stdout) != 0) output_errno = errno;
}

void cli_stop_if_output_broken(void)
{
    if (cli_output_broken()) __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
}

int cli_exit_code(int code)
{
    assert(code >= 0);
    if (stop_signal) return CLI_SIGNAL + stop_signal;
    if (output_errno == 0) return code;
    return output_errno == EPIPE ? CLI_SIGNAL + SIGPIPE : CLI_DISK; /* as a process that SIGPIPE had ended */
}

int cli_finish(int code)
{
    cli_flush_output();
    code = cli_exit_code(code);
    if (!stop_signal && output_errno != 0 && output_errno != EPIPE)
        fprintf(stderr, "leat: writing to stdout: %s\n", strerror(output_errno));
    return code;
}
