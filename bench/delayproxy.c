/* delayproxy.c - a TCP proxy that makes a near server a far one, where the kernel has no netem.
 *
 * usage: bench-delayproxy PORT MS     forwards to 127.0.0.1:PORT; prints "port N", serves on 127.0.0.1:N until its stdin ends
 *
 * What:    every byte arrives MS milliseconds later, in either direction, in order, however many there are; a new connection's
 *          first bytes wait two MS more, which is what its handshake would have taken.
 * Why so:  a chunk is read when it comes, and written when it is due: the delay costs no bandwidth, as on a long line, and no
 *          thread.
 *          What it does not have: loss, slow start, and windows smaller than HELD.
 * Threads: one. A tunnel has two ways, each a queue of chunks in the order of their time, with a timer for the first. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <uv.h>

enum {
    CHUNK = 64 << 10,
    HELD = 8 << 20, /* under way in one direction of a connection: 320 MB/s at 25 ms */
    BACKLOG = 1024,
    HANDLES = 4,    /* of a tunnel: two sockets, two timers */
};

typedef struct chunk {
    struct chunk *next;
    struct way *way;
    uint64_t due_ns;
    size_t size; /* 0: the end */
    union {
        uv_write_t write;
        uv_shutdown_t shutdown;
    } request;
    char bytes[CHUNK];
} chunk;

typedef struct way {
    struct tunnel *tunnel;
    uv_stream_t *from, *to;
    uv_timer_t timer;
    chunk *first, **last;
    size_t held;
    bool stopped; /* reading, for HELD */
} way;

typedef struct tunnel {
    uv_tcp_t client, server;
    uv_connect_t connect;
    way up, down;
    uint64_t accepted_ns;
    int handles; /* that are not closed yet */
    bool closing;
} tunnel;

static uint64_t delay_ns;
static struct sockaddr_in target;

static void start_reading(way *w);

static void check(int status, const char *what)
{
    if (status >= 0) return;
    fprintf(stderr, "bench-delayproxy: %s: %s\n", what, uv_strerror(status));
    exit(1);
}

static void free_chunks(way *w)
{
    for (chunk *next; w->first; w->first = next) {
        next = w->first->next;
        free(w->first);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    tunnel *t = handle->data;
    if (--t->handles > 0) return;
    free_chunks(&t->up);
    free_chunks(&t->down);
    free(t);
}

static void close_tunnel(tunnel *t)
{
    if (t->closing) return;
    t->closing = true;
    uv_handle_t *handles[HANDLES] = {(uv_handle_t *)&t->client, (uv_handle_t *)&t->server, (uv_handle_t *)&t->up.timer,
                                     (uv_handle_t *)&t->down.timer};
    for (int i = 0; i < HANDLES; i++) uv_close(handles[i], on_handle_closed);
}

/* ---- what is due goes out ---- */

static void written(chunk *c, int status)
{
    way *w = c->way;
    bool end = c->size == 0;
    w->held -= c->size;
    free(c);
    if (status < 0 || end) close_tunnel(w->tunnel);
    else if (w->stopped && w->held < HELD / 2 && !w->tunnel->closing) start_reading(w);
}

static void on_written(uv_write_t *request, int status)
{
    written(request->data, status);
}

static void on_shut_down(uv_shutdown_t *request, int status)
{
    written(request->data, status);
}

static void send_chunk(chunk *c)
{
    uv_buf_t buf = uv_buf_init(c->bytes, (unsigned)c->size);
    c->request.write.data = c; /* `data` comes first in both */
    int status = c->size > 0 ? uv_write(&c->request.write, c->way->to, &buf, 1, on_written)
                             : uv_shutdown(&c->request.shutdown, c->way->to, on_shut_down);
    if (status < 0) written(c, status);
}

static void on_due(uv_timer_t *timer)
{
    way *w = (way *)((char *)timer - offsetof(way, timer));
    while (w->first && w->first->due_ns <= uv_hrtime() && !w->tunnel->closing) {
        chunk *c = w->first;
        w->first = c->next;
        if (!w->first) w->last = &w->first;
        send_chunk(c);
    }
    if (!w->first || w->tunnel->closing) return;
    uint64_t now = uv_hrtime(), left = w->first->due_ns > now ? w->first->due_ns - now : 0;
    uv_timer_start(timer, on_due, (left + 999999) / 1000000, 0);
}

/* ---- what comes is queued ---- */

static void on_wanted(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    (void)handle;
    (void)size;
    chunk *c = malloc(sizeof *c);
    *buf = c ? uv_buf_init(c->bytes, CHUNK) : uv_buf_init(NULL, 0);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    tunnel *t = stream->data;
    way *w = stream == (uv_stream_t *)&t->client ? &t->up : &t->down;
    chunk *c = buf->base ? (chunk *)(buf->base - offsetof(chunk, bytes)) : NULL;
    if (size == 0 || !c) {
        free(c);
        if (size < 0) close_tunnel(t); /* no memory */
        return;
    }
    uint64_t now = uv_hrtime(), open = t->accepted_ns + 2 * delay_ns;
    c->next = NULL;
    c->way = w;
    c->due_ns = (now > open ? now : open) + delay_ns;
    c->size = size > 0 ? (size_t)size : 0;
    *w->last = c;
    w->last = &c->next;
    w->held += c->size;
    if (size < 0 || w->held >= HELD) {
        uv_read_stop(stream);
        w->stopped = size > 0;
    }
    if (w->first == c) on_due(&w->timer);
}

static void start_reading(way *w)
{
    w->stopped = false;
    if (uv_read_start(w->from, on_wanted, on_read) < 0) close_tunnel(w->tunnel);
}

static void on_connected(uv_connect_t *request, int status)
{
    tunnel *t = request->data;
    if (t->closing) return;
    if (status < 0) {
        close_tunnel(t);
        return;
    }
    start_reading(&t->up);
    start_reading(&t->down);
}

static void init_way(way *w, tunnel *t, uv_tcp_t *from, uv_tcp_t *to, uv_loop_t *loop)
{
    w->tunnel = t;
    w->from = (uv_stream_t *)from;
    w->to = (uv_stream_t *)to;
    w->last = &w->first;
    check(uv_tcp_init(loop, from), "socket");
    check(uv_timer_init(loop, &w->timer), "timer");
    from->data = w->timer.data = t;
}

static void on_connection(uv_stream_t *listener, int status)
{
    tunnel *t = calloc(1, sizeof *t);
    check(status, "listen");
    if (!t) check(UV_ENOMEM, "a connection");
    t->accepted_ns = uv_hrtime();
    t->handles = HANDLES;
    t->connect.data = t;
    init_way(&t->up, t, &t->client, &t->server, listener->loop);
    init_way(&t->down, t, &t->server, &t->client, listener->loop);
    check(uv_accept(listener, (uv_stream_t *)&t->client), "accept");
    uv_tcp_nodelay(&t->client, 1);
    check(uv_tcp_connect(&t->connect, &t->server, (const struct sockaddr *)&target, on_connected), "connect");
    uv_tcp_nodelay(&t->server, 1);
}

/* ---- the program ---- */

static void on_input(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    (void)buf;
    if (size < 0) uv_stop(stream->loop);
}

static void on_input_wanted(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    static char bytes[64];
    (void)handle;
    (void)size;
    *buf = uv_buf_init(bytes, sizeof bytes);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: bench-delayproxy PORT MS\n");
        return 2;
    }
    check(uv_ip4_addr("127.0.0.1", atoi(argv[1]), &target), "the port");
    delay_ns = strtoull(argv[2], NULL, 10) * 1000000;
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    uv_pipe_t input;
    struct sockaddr_in here;
    int length = sizeof here;
    uv_ip4_addr("127.0.0.1", 0, &here);
    check(uv_tcp_init(loop, &listener), "socket");
    check(uv_tcp_bind(&listener, (const struct sockaddr *)&here, 0), "bind");
    check(uv_listen((uv_stream_t *)&listener, BACKLOG, on_connection), "listen");
    check(uv_tcp_getsockname(&listener, (struct sockaddr *)&here, &length), "the port");
    check(uv_pipe_init(loop, &input, 0), "stdin");
    check(uv_pipe_open(&input, 0), "stdin");
    check(uv_read_start((uv_stream_t *)&input, on_input_wanted, on_input), "stdin");
    printf("port %d\n", ntohs(here.sin_port));
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT);
    return 0;
}
