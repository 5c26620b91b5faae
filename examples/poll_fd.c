/* poll_fd.c - batches in a host's own event loop: poll(2) over leat's descriptor and a timer.
 *
 *     poll_fd examples/data/photos
 *
 * Nothing blocks here: the loop stays free for sockets, timers and whatever else the host does. */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <leat/leat.h>

struct host {
    leat_loader *loader;
    leat_error error;
    size_t samples, ticks;
};

/* The descriptor is readable: takes what is ready until there is no more. LEAT_AGAIN: go on polling. */
static leat_code take_batches(struct host *host)
{
    leat_batch *batch;
    leat_code code;
    while ((code = leat_try_next(host->loader, &batch, &host->error)) == LEAT_OK) {
        host->samples += leat_batch_rows(batch);
        leat_release(batch);
    }
    return code;
}

/* The timer has rung: something else that the host has to do. */
static void tick(struct host *host, int timer)
{
    uint64_t rung;
    if (read(timer, &rung, sizeof rung) == sizeof rung) host->ticks += rung;
}

static leat_code loop(struct host *host, int timer)
{
    struct pollfd wanted[] = {{.fd = leat_fd(host->loader), .events = POLLIN}, {.fd = timer, .events = POLLIN}};
    leat_code code = LEAT_AGAIN;
    while (code == LEAT_AGAIN) {
        if (poll(wanted, 2, -1) < 0) continue; /* a signal */
        if (wanted[1].revents) tick(host, timer);
        if (wanted[0].revents) code = take_batches(host);
    }
    return code;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: poll_fd SOURCE\n");
        return EXIT_FAILURE;
    }
    leat_config config = LEAT_CONFIG_INIT;
    config.source = argv[1];
    config.batch_size = 8;
    config.epochs = 1;

    struct host host = {0};
    struct itimerspec every_ms = {.it_interval = {.tv_nsec = 1000000}, .it_value = {.tv_nsec = 1000000}};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (timer < 0 || timerfd_settime(timer, 0, &every_ms, NULL) != 0) {
        perror("poll_fd: timer");
        return EXIT_FAILURE;
    }
    leat_code code = leat_open(&config, &host.loader, &host.error);
    if (code == LEAT_OK) code = loop(&host, timer);
    if (code == LEAT_END) printf("%zu samples; the timer rang %zu times meanwhile\n", host.samples, host.ticks);
    else fprintf(stderr, "poll_fd: %s\n", host.error.message);
    leat_close(host.loader);
    close(timer);
    return code == LEAT_END ? EXIT_SUCCESS : EXIT_FAILURE;
}
