/* The floor: a relay that parses nothing, so that what a proxy costs above the kernel shows.
 *
 * Rules kept here:
 * - One thread, one epoll, edge triggered; per small request it makes the four calls no proxy can
 *   avoid (read, write, read, write) and its share of epoll_wait.
 * - Each client connection has one server connection of its own, made once and kept.
 * - Back-pressure: what a side does not take is held, and its source is not read meanwhile.
 * Not known here: HTTP. A request and an answer are bytes.
 *
 * Usage: relay LISTEN_PORT SERVER_PORT...        (all on 127.0.0.1; ends with SIGTERM)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Answers of 64 KiB and their head fit one read. */
enum { BUFFER = 80 * 1024, BATCH = 256, BACKLOG = 4096, MAX_SERVERS = 16 };

struct side {
    int fd;
    bool closed;
    struct side *peer;
    char *held; /* read from this side, not yet taken by the peer */
    size_t held_len;
    struct side *next_dead;
};

static int poller;
static struct side *dead;
static char buffer[BUFFER];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static struct sockaddr_in local(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void watch(struct side *side) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = side};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, side->fd, &event) < 0) die("epoll_ctl");
}

/* Events of this batch may still name a side, so the memory goes when the batch is done. */
static void bury(struct side *side) {
    if (side->closed) return;
    side->closed = true;
    close(side->fd);
    side->next_dead = dead;
    dead = side;
    bury(side->peer);
}

static void free_dead(void) {
    while (dead) {
        struct side *side = dead;
        dead = side->next_dead;
        free(side->held);
        free(side);
    }
}

static void hold(struct side *from, const char *bytes, size_t len) {
    from->held = malloc(len);
    if (!from->held) die("malloc");
    memcpy(from->held, bytes, len);
    from->held_len = len;
}

/* Whether the peer took it all. What it did not take is held. */
static bool push(struct side *from, const char *bytes, size_t len) {
    size_t done = 0;
    while (done < len) {
        ssize_t n = write(from->peer->fd, bytes + done, len - done);
        if (n < 0 && errno == EAGAIN) {
            hold(from, bytes + done, len - done);
            return false;
        }
        if (n <= 0) {
            bury(from);
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

static bool push_held(struct side *from) {
    char *held = from->held;
    if (!held) return true;
    from->held = NULL;
    bool all = push(from, held, from->held_len);
    free(held);
    return all;
}

/* A read shorter than the buffer has emptied the socket: no second read to hear EAGAIN. */
static void pump(struct side *from) {
    if (from->closed || !push_held(from)) return;
    for (;;) {
        ssize_t n = read(from->fd, buffer, sizeof buffer);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            bury(from);
            return;
        }
        if (!push(from, buffer, (size_t)n) || (size_t)n < sizeof buffer) return;
    }
}

static void join(int client, int server_port) {
    int one = 1;
    int server = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = local(server_port);
    if (server < 0 || connect(server, (struct sockaddr *)&address, sizeof address) < 0)
        die("server");
    fcntl(server, F_SETFL, O_NONBLOCK);
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct side *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    if (!a || !b) die("calloc");
    *a = (struct side){.fd = client, .peer = b};
    *b = (struct side){.fd = server, .peer = a};
    watch(a);
    watch(b);
}

static void accept_all(int listener, const int *ports, int count) {
    static unsigned turn;
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (client < 0) return;
        join(client, ports[turn++ % (unsigned)count]);
    }
}

static int listen_on(int port) {
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = local(port);
    if (listener < 0) die("socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    if (listen(listener, BACKLOG) < 0) die("listen");
    return listener;
}

static void serve(struct side *side, uint32_t happened) {
    if (happened & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) pump(side);
    /* This side takes bytes again: go on with what its peer had for it. */
    if (!side->closed && side->peer->held && (happened & EPOLLOUT)) pump(side->peer);
}

int main(int argc, char **argv) {
    int ports[MAX_SERVERS], count = argc - 2;
    if (count < 1 || count > MAX_SERVERS) {
        fprintf(stderr, "usage: relay LISTEN_PORT SERVER_PORT...\n");
        return 2;
    }
    for (int i = 0; i < count; i++) ports[i] = atoi(argv[i + 2]);
    int listener = listen_on(atoi(argv[1]));
    poller = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[BATCH];
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) < 0) die("epoll");
    for (;;) {
        int ready = epoll_wait(poller, events, BATCH, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr)
                serve(events[i].data.ptr, events[i].events);
            else
                accept_all(listener, ports, count);
        }
        free_dead();
    }
}
