/* A client that knows what it asked: every answer's status and body are compared byte for byte.
 *
 * Rules kept here:
 * - One thread, non-blocking, a fixed number of connections at work at once.
 * - `fresh` makes a connection per request (with TLS: a full handshake of TLS 1.3 each; a resumed
 *   one is counted) and asks for it to be closed.
 * - `idle` opens N connections, asks once on each, prints a line, waits for a line on stdin, asks
 *   once more on each of them.
 * - Prints one line of JSON per phase. A connection or answer that fails is counted, never redone.
 * Not known here: who answers.
 *
 * Usage: client fresh|idle plain|tls PORT PATH BODY_FILE CONNECTIONS SECONDS
 *        (SECONDS is for `fresh`; `idle` takes 0)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_ROOM = 4096, AT_ONCE = 64, BATCH = 256, MAX_SAMPLES = 1 << 20, STALL_MS = 10000 };

enum state { CONNECTING, HANDSHAKE, SENDING, RECEIVING, CLOSING, RESTING, FAILED };

struct conn {
    int fd;
    enum state state;
    SSL *ssl;
    char *answer; /* only while an answer is awaited */
    size_t sent, got;
    uint64_t began_ns;
};

static struct {
    bool tls, keep;
    int port;
    char request[512];
    size_t request_len;
    char *body;
    size_t body_len;
} ask;

static struct {
    uint64_t answers, failed, wrong, resumed;
    uint32_t *samples_us;
    size_t sample_count;
} tally;

/* What a connection can do with an event: go on to the next step, or wait. */
enum progress { GO_ON, WAIT };

static int poller;
static SSL_CTX *tls_context;
static char tls_words[128];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void drop(struct conn *c, enum state end) {
    if (c->ssl) SSL_free(c->ssl);
    if (c->fd >= 0) close(c->fd);
    free(c->answer);
    *c = (struct conn){.fd = -1, .state = end};
}

static enum progress fail(struct conn *c, const char *where) {
    if (tally.failed++ == 0) fprintf(stderr, "first failure: %s (errno: %m)\n", where);
    drop(c, FAILED);
    return WAIT;
}

static void begin_request(struct conn *c) {
    c->sent = c->got = 0;
    c->answer = malloc(HEAD_ROOM + ask.body_len);
    if (!c->answer) die("malloc");
    c->state = SENDING;
}

static void open_conn(struct conn *c) {
    int one = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)ask.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *c = (struct conn){.began_ns = now_ns(), .state = CONNECTING};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) {
        fail(c, "connect");
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) < 0) die("epoll_ctl");
}

/* The bytes moved, 0 at the end, -1 when it must wait, -2 when it is broken. */
static ssize_t moved(struct conn *c, ssize_t n) {
    if (n > 0) return n;
    if (!c->ssl) return n == 0 ? 0 : errno == EAGAIN ? -1 : -2;
    switch (SSL_get_error(c->ssl, (int)n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return -1;
    case SSL_ERROR_ZERO_RETURN: return 0;
    default: ERR_clear_error(); return -2;
    }
}

static ssize_t receive_some(struct conn *c, char *room, size_t len) {
    return moved(c, c->ssl ? SSL_read(c->ssl, room, (int)len) : read(c->fd, room, len));
}

/* 1 whole and right, 0 not whole yet, -1 wrong. */
static int judge(const struct conn *c) {
    const char *end = memmem(c->answer, c->got, "\r\n\r\n", 4);
    if (!end) return c->got > HEAD_ROOM / 2 ? -1 : 0;
    if (memcmp(c->answer, "HTTP/1.1 200", 12) != 0) return -1;
    const char *body = end + 4;
    size_t have = c->got - (size_t)(body - c->answer);
    if (have < ask.body_len) return 0;
    return have == ask.body_len && memcmp(body, ask.body, ask.body_len) == 0 ? 1 : -1;
}

static enum progress answered(struct conn *c) {
    tally.answers++;
    if (tally.sample_count < MAX_SAMPLES)
        tally.samples_us[tally.sample_count++] = (uint32_t)((now_ns() - c->began_ns) / 1000);
    free(c->answer);
    c->answer = NULL;
    c->state = ask.keep ? RESTING : CLOSING;
    return GO_ON;
}

static enum progress connected(struct conn *c) {
    int error = 0;
    socklen_t len = sizeof error;
    struct sockaddr_in peer;
    socklen_t peer_len = sizeof peer;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        errno = error;
        return fail(c, "connect");
    }
    if (getpeername(c->fd, (struct sockaddr *)&peer, &peer_len) < 0) return WAIT;
    if (!ask.tls) {
        begin_request(c);
        return GO_ON;
    }
    c->ssl = SSL_new(tls_context);
    if (!c->ssl || !SSL_set_fd(c->ssl, c->fd)) die("SSL_new");
    SSL_set_tlsext_host_name(c->ssl, "bench.test");
    SSL_set_connect_state(c->ssl);
    c->state = HANDSHAKE;
    return GO_ON;
}

static enum progress handshake(struct conn *c) {
    ssize_t n = moved(c, SSL_do_handshake(c->ssl));
    if (n == -1) return WAIT;
    if (n <= 0) return fail(c, "handshake");
    if (SSL_session_reused(c->ssl)) tally.resumed++;
    if (!tls_words[0])
        snprintf(tls_words, sizeof tls_words, "%s %s %s", SSL_get_version(c->ssl),
                 SSL_get_cipher(c->ssl), OBJ_nid2sn(SSL_get_negotiated_group(c->ssl)));
    begin_request(c);
    return GO_ON;
}

static enum progress sending(struct conn *c) {
    const char *rest = ask.request + c->sent;
    size_t len = ask.request_len - c->sent;
    ssize_t n = moved(c, c->ssl ? SSL_write(c->ssl, rest, (int)len) : write(c->fd, rest, len));
    if (n == -1) return WAIT;
    if (n <= 0) return fail(c, "send");
    c->sent += (size_t)n;
    if (c->sent == ask.request_len) c->state = RECEIVING;
    return GO_ON;
}

static enum progress receiving(struct conn *c) {
    ssize_t n = receive_some(c, c->answer + c->got, HEAD_ROOM + ask.body_len - c->got);
    if (n == -1) return WAIT;
    if (n <= 0) return fail(c, "receive");
    c->got += (size_t)n;
    int right = judge(c);
    if (right > 0) return answered(c);
    if (right == 0) return GO_ON;
    tally.wrong++;
    return fail(c, "the answer is not what was asked for");
}

/* The server was asked to close: bytes after the answer would be wrong. */
static enum progress closing(struct conn *c) {
    char rest[256];
    ssize_t n = receive_some(c, rest, sizeof rest);
    if (n == -1) return WAIT;
    if (n > 0) tally.wrong++;
    if (c->ssl) SSL_shutdown(c->ssl);
    drop(c, RESTING);
    return WAIT;
}

static void step(struct conn *c) {
    enum progress progress = GO_ON;
    while (progress == GO_ON) {
        switch (c->state) {
        case CONNECTING: progress = connected(c); break;
        case HANDSHAKE: progress = handshake(c); break;
        case SENDING: progress = sending(c); break;
        case RECEIVING: progress = receiving(c); break;
        case CLOSING: progress = closing(c); break;
        case RESTING:
        case FAILED: progress = WAIT; break;
        }
    }
}

static bool at_rest(const struct conn *c) { return c->state == RESTING || c->state == FAILED; }

/* Waits for events and steps their connections; ends the program when nothing moves for long. */
static void turn(void) {
    struct epoll_event events[BATCH];
    int ready = epoll_wait(poller, events, BATCH, STALL_MS);
    if (ready == 0) {
        fprintf(stderr, "nothing came for %d ms with requests in hand\n", STALL_MS);
        exit(1);
    }
    for (int i = 0; i < ready; i++) step(events[i].data.ptr);
}

static void run_fresh(struct conn *conns, int count, double seconds) {
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
    for (int i = 0; i < count; i++) conns[i] = (struct conn){.fd = -1, .state = RESTING};
    for (;;) {
        bool busy = false, go_on = now_ns() < end;
        for (int i = 0; i < count; i++) {
            if (at_rest(&conns[i]) && go_on) open_conn(&conns[i]);
            busy |= !at_rest(&conns[i]);
        }
        if (busy) turn();
        else if (!go_on) return;
    }
}

/* Begins on each connection in turn, with at most AT_ONCE in hand, until all are at rest. */
static void sweep(struct conn *conns, int count, void (*begin)(struct conn *)) {
    struct conn *in_hand[AT_ONCE];
    int next = 0, held = 0;
    while (next < count || held > 0) {
        while (next < count && held < AT_ONCE) {
            in_hand[held++] = &conns[next];
            begin(&conns[next++]);
        }
        for (int i = 0; i < held;) {
            if (at_rest(in_hand[i])) in_hand[i] = in_hand[--held];
            else i++;
        }
        if (held > 0) turn();
    }
}

static void ask_again(struct conn *c) {
    if (c->state == FAILED) return;
    c->began_ns = now_ns();
    begin_request(c);
    step(c);
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void report(double seconds) {
    size_t n = tally.sample_count;
    qsort(tally.samples_us, n, sizeof *tally.samples_us, by_value);
    printf("{\"answers\": %lu, \"failed\": %lu, \"wrong\": %lu, \"resumed\": %lu, "
           "\"seconds\": %.3f, \"p50_us\": %u, \"p99_us\": %u, \"tls\": \"%s\"}\n",
           tally.answers, tally.failed, tally.wrong, tally.resumed, seconds,
           n ? tally.samples_us[n / 2] : 0, n ? tally.samples_us[n - 1 - n / 100] : 0, tls_words);
    fflush(stdout);
    tally.answers = tally.failed = tally.wrong = tally.resumed = 0;
    tally.sample_count = 0;
}

static void run_idle(struct conn *conns, int count) {
    uint64_t began = now_ns();
    sweep(conns, count, open_conn);
    report((double)(now_ns() - began) / 1e9);
    if (getchar() == EOF) return;
    began = now_ns();
    sweep(conns, count, ask_again);
    report((double)(now_ns() - began) / 1e9);
}

static void load_body(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) < 0) die(path);
    ask.body_len = (size_t)ftell(file);
    rewind(file);
    ask.body = malloc(ask.body_len + 1);
    if (!ask.body || fread(ask.body, 1, ask.body_len, file) != ask.body_len) die(path);
    fclose(file);
}

static void prepare_tls(void) {
    tls_context = SSL_CTX_new(TLS_client_method());
    if (!tls_context) die("SSL_CTX_new");
    SSL_CTX_set_min_proto_version(tls_context, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(tls_context, SSL_SESS_CACHE_OFF);
    /* 10,000 idle connections of the client itself must fit a small machine. */
    SSL_CTX_set_mode(tls_context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(tls_context, SSL_VERIFY_NONE, NULL);
}

static void prepare_ask(char **argv) {
    ask.keep = strcmp(argv[1], "idle") == 0;
    ask.tls = strcmp(argv[2], "tls") == 0;
    ask.port = atoi(argv[3]);
    ask.request_len = (size_t)snprintf(ask.request, sizeof ask.request,
                                       "GET %s HTTP/1.1\r\nHost: bench.test\r\n%s\r\n", argv[4],
                                       ask.keep ? "" : "Connection: close\r\n");
    load_body(argv[5]);
    if (ask.tls) prepare_tls();
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "usage: client fresh|idle plain|tls PORT PATH BODY CONNECTIONS SECONDS\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prepare_ask(argv);
    int count = atoi(argv[6]);
    struct conn *conns = calloc((size_t)count, sizeof *conns);
    tally.samples_us = malloc(MAX_SAMPLES * sizeof *tally.samples_us);
    poller = epoll_create1(0);
    if (!conns || !tally.samples_us || poller < 0) die("start");
    if (ask.keep) {
        run_idle(conns, count);
    } else {
        uint64_t began = now_ns();
        run_fresh(conns, count, atof(argv[7]));
        report((double)(now_ns() - began) / 1e9);
    }
    return 0;
}
