/* http_servers.c - starts and stops the servers that the tests of HTTP talk to. */
#include "http_servers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef TESTS_DIR
#define TESTS_DIR "tests"
#endif

static void die(const char *what)
{
    fprintf(stderr, "http_servers: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void run(const char *format, ...)
{
    char command[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (system(command)) die(command);
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)port)};
}

static int free_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size)) die("bind");
    if (getsockname(fd, (struct sockaddr *)&address, &size)) die("getsockname");
    close(fd);
    return ntohs(address.sin_port);
}

static int connect_to(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* An authority, and certificates of it for 127.0.0.1: good, for another host, expired; and one that signed itself. */
static void make_certificates(const char *dir)
{
    run("cd %s && exec 2>openssl.log && "
        "key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes' && "
        "openssl req -x509 $key -keyout ca.key -out ca.pem -days 30 -subj /CN=leat-test-ca && "
        "for n in good wrong expired; do openssl req $key -keyout $n.key -out $n.csr -subj /CN=$n; done && "
        "echo subjectAltName=IP:127.0.0.1,DNS:localhost > good.ext && "
        "echo subjectAltName=DNS:other.example > wrong.ext && "
        "cp good.ext expired.ext && sign='openssl x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial' && "
        "$sign -in good.csr -extfile good.ext -days 30 -out good.pem && "
        "$sign -in wrong.csr -extfile wrong.ext -days 30 -out wrong.pem && "
        "$sign -in expired.csr -extfile expired.ext -days -1 -out expired.pem && "
        "openssl req -x509 $key -keyout self.key -out self.pem -days 30 -subj /CN=self "
        "-addext subjectAltName=IP:127.0.0.1", dir);
}

static void start_chaos(http_servers *servers)
{
    int in[2], out[2];
    char certificate[128], key[128], line[128] = "";
    snprintf(certificate, sizeof certificate, "%s/good.pem", servers->dir);
    snprintf(key, sizeof key, "%s/good.key", servers->dir);
    if (pipe(in) || pipe(out)) die("pipe");
    servers->chaos_pid = fork();
    if (!servers->chaos_pid) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp("python3", "python3", TESTS_DIR "/chaos_server.py", "--plain", "2", "--tls", certificate, key,
               (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    servers->chaos_stdin = in[1];
    FILE *file = fdopen(out[0], "r");
    if (!fgets(line, sizeof line, file) ||
        sscanf(line, "plain %d %d tls %d", &servers->chaos[0], &servers->chaos[1], &servers->chaos_tls) != 3)
        die("chaos_server.py did not start");
    fclose(file);
}

static void start_nginx(http_servers *servers)
{
    char path[96];
    snprintf(path, sizeof path, "%s/nginx.conf", servers->dir);
    FILE *file = fopen(path, "w");
    if (!file) die(path);
    fprintf(file, "daemon off; master_process off; pid %s/nginx.pid; error_log %s/nginx.log;\n"
            "events { worker_connections 512; }\n"
            "http { access_log off; root %s/www; sendfile on; keepalive_requests 100000;\n",
            servers->dir, servers->dir, servers->dir);
    const char *temporary[] = {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"};
    for (int i = 0; i < 5; i++) fprintf(file, "%s_temp_path %s/%s;\n", temporary[i], servers->dir, temporary[i]);
    servers->nginx = free_port();
    fprintf(file, "server { listen 127.0.0.1:%d backlog=1024; location = /status { stub_status; } }\n", servers->nginx);
    const char *names[] = {"good", "wrong", "self", "expired"};
    int *ports[] = {&servers->tls_good, &servers->tls_wrong_host, &servers->tls_self_signed, &servers->tls_expired};
    for (int i = 0; i < 4; i++) {
        *ports[i] = free_port();
        fprintf(file, "server { listen 127.0.0.1:%d ssl; ssl_certificate %s/%s.pem; ssl_certificate_key %s/%s.key; }\n",
                *ports[i], servers->dir, names[i], servers->dir, names[i]);
    }
    fprintf(file, "}\n");
    fclose(file);
    servers->nginx_pid = fork();
    if (!servers->nginx_pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp("/usr/sbin/nginx", "nginx", "-e", "/dev/null", "-c", path, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 500; i++) {
        int fd = connect_to(servers->nginx);
        if (fd >= 0) {
            close(fd);
            return;
        }
        usleep(10000);
    }
    die("nginx did not start");
}

void http_servers_start(http_servers *servers)
{
    *servers = (http_servers){.dir = "/tmp/leat-http-XXXXXX"};
    if (!mkdtemp(servers->dir)) die("mkdtemp");
    chmod(servers->dir, 0755);
    run("mkdir %s/www", servers->dir);
    snprintf(servers->ca, sizeof servers->ca, "%s/ca.pem", servers->dir);
    make_certificates(servers->dir);
    start_chaos(servers);
    start_nginx(servers);
}

void http_servers_stop(http_servers *servers)
{
    close(servers->chaos_stdin);
    kill(servers->nginx_pid, SIGTERM);
    waitpid(servers->chaos_pid, NULL, 0);
    waitpid(servers->nginx_pid, NULL, 0);
    run("rm -r %s", servers->dir);
}

const char *http_servers_ask(const http_servers *servers, const char *format, ...)
{
    static char answer[65536];
    char path[512], request[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nConnection: close\r\n\r\n", path);
    int fd = connect_to(servers->chaos[0]);
    if (fd < 0 || write(fd, request, (size_t)n) != n || shutdown(fd, SHUT_WR)) die("asking the chaos server");
    size_t size = 0;
    ssize_t got;
    while ((got = read(fd, answer + size, sizeof answer - 1 - size)) > 0) size += (size_t)got;
    close(fd);
    answer[size] = 0;
    char *body = strstr(answer, "\r\n\r\n");
    return body ? body + 4 : "";
}
