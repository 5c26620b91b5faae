/* http_servers.h - real servers for the tests of HTTP: tests/chaos_server.py and nginx, on loopback, on free ports. */
#ifndef HTTP_SERVERS_H
#define HTTP_SERVERS_H

#include <stdint.h>

typedef struct http_servers {
    char dir[64];      /* scratch: certificates, nginx's files; removed at the end */
    int chaos[2];      /* ports of the chaos server */
    int chaos_tls;
    int nginx;         /* serves dir/www, plain */
    int tls_good, tls_wrong_host, tls_self_signed, tls_expired; /* the same with TLS */
    char ca[96];       /* the authority that signed them */
    int chaos_pid, chaos_stdin, nginx_pid;
} http_servers;

/* Starts all; exits with a message if something is missing. */
void http_servers_start(http_servers *servers);
void http_servers_stop(http_servers *servers);

/* A blocking GET of a chaos server's page ("/__count?path=..."): its text, static. */
const char *http_servers_ask(const http_servers *servers, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Byte i of every object of the chaos server. */
static inline uint8_t http_pattern(uint64_t i)
{
    return (uint8_t)((uint32_t)((i & 0xffff) * UINT64_C(2654435761)) >> 24) ^ (uint8_t)(i >> 16);
}

#endif
