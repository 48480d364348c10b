/* The servers behind every proxy: answers from memory, at as little cost as answers can have.
 *
 * Rules kept here:
 * - Its core is the load's as well. What it spends there no proxy can ask for: behind a dear server
 *   the fastest proxy waits, wakes for one event at a time, and looks dearer than it is.
 * - One thread, one epoll, edge triggered, all ports alike. A head is read whole before its answer
 *   leaves, whatever pieces it comes in; many in one read are answered in order.
 * - Answers are a web server's: its usual fields, the body at once, an end where one was asked for.
 * - What is not a GET for a file given here is a 404 and the end: a proxy that changes a request is
 *   not measured, its row has failed.
 *
 * Usage: origin SMALL_FILE LARGE_FILE PORT...      (/NAME of each; 127.0.0.1; ends with SIGTERM)
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
#include <strings.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_ROOM = 4096, BATCH = 256, BACKLOG = 4096, GATHERED = 4096, FILES = 2 };

/* What is asked for. A small body stands behind its head, a large one is sent from its file. */
struct page {
    char target[64];
    char answer[512 + GATHERED];
    size_t answer_len;
    int file;
    off_t from_file;
};

struct conn {
    int fd;
    bool last;               /* the answer under way is the last */
    const struct page *page; /* the answer under way */
    off_t done;              /* bytes of it that have left */
    size_t have;             /* bytes of heads, not answered yet */
    char heads[HEAD_ROOM];
};

static int poller;
static struct page pages[FILES];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void load_page(struct page *page, const char *path) {
    struct stat facts;
    char date[64];
    time_t now = time(NULL);
    const char *name = strrchr(path, '/');
    page->file = open(path, O_RDONLY | O_CLOEXEC);
    if (page->file < 0 || fstat(page->file, &facts) < 0) die(path);
    snprintf(page->target, sizeof page->target, "GET /%s HTTP/1.", name ? name + 1 : path);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
    page->answer_len = (size_t)snprintf(
        page->answer, sizeof page->answer - GATHERED,
        "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: %s\r\nContent-Type: application/octet-stream\r\n"
        "Content-Length: %lld\r\nConnection: keep-alive\r\n\r\n",
        date, (long long)facts.st_size);
    page->from_file = facts.st_size > GATHERED ? facts.st_size : 0;
    if (page->from_file) return;
    if (read(page->file, page->answer + page->answer_len, GATHERED) != facts.st_size) die(path);
    page->answer_len += (size_t)facts.st_size;
}

static void bury(struct conn *c) {
    close(c->fd);
    free(c);
}

/* Whether the answer has left whole; what the socket does not take waits for EPOLLOUT. */
static bool push(struct conn *c) {
    const struct page *page = c->page;
    off_t total = (off_t)page->answer_len + page->from_file;
    while (c->done < total) {
        off_t at = c->done - (off_t)page->answer_len;
        ssize_t n = at < 0 ? send(c->fd, page->answer + c->done, (size_t)-at,
                                  MSG_NOSIGNAL | (page->from_file ? MSG_MORE : 0))
                           : sendfile(c->fd, page->file, &at, (size_t)(total - c->done));
        if (n == 0) errno = EPIPE; /* the file has shrunk */
        if (n <= 0) return false;
        c->done += n;
    }
    c->page = NULL;
    return true;
}

/* Takes the first head out of those that have come; false when none is whole. */
static bool take_head(struct conn *c) {
    static const struct page missing = {
        .answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        .answer_len = 64};
    char *end = memmem(c->heads, c->have, "\r\n\r\n", 4);
    if (!end) return false;
    end[2] = '\0';
    c->page = &missing;
    c->done = 0;
    const char *version = "0"; /* HAProxy's checks ask so */
    for (int i = 0; i < FILES; i++) {
        size_t len = strlen(pages[i].target);
        if (strncmp(c->heads, pages[i].target, len) != 0) continue;
        c->page = &pages[i];
        version = c->heads + len;
    }
    c->last = *version == '0' || strcasestr(c->heads, "\r\nconnection: close");
    c->have -= (size_t)(end + 4 - c->heads);
    memmove(c->heads, end + 4, c->have);
    return true;
}

/* Answers all that is whole. False when the connection is over. */
static bool answer(struct conn *c) {
    for (;;) {
        if (c->page && !push(c)) return errno == EAGAIN;
        if (c->last && !c->page) return false;
        if (!take_head(c)) return true;
    }
}

/* A read shorter than its room has emptied the socket: no second one to hear EAGAIN. */
static bool pump(struct conn *c) {
    for (;;) {
        size_t room = sizeof c->heads - c->have;
        ssize_t n = recv(c->fd, c->heads + c->have, room, 0);
        if (n < 0) return errno == EAGAIN;
        if (n == 0) return false;
        c->have += (size_t)n;
        if (!answer(c)) return false;
        if (c->page || (size_t)n < room) return true; /* what is unread is told of with EPOLLOUT */
        if (c->have == sizeof c->heads) return false; /* no head is so long */
    }
}

static void accept_all(int listener) {
    int one = 1;
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        struct conn *c = calloc(1, sizeof *c);
        if (!c) die("calloc");
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                    .data.ptr = c};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
    }
}

static int listen_on(int port) {
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0) die("socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    if (listen(listener, BACKLOG) < 0) die("listen");
    /* The lowest bit tells a listener from a connection, which malloc aligns. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLET,
                                .data.u64 = (uint64_t)listener << 1 | 1};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) < 0) die("epoll_ctl");
    return listener;
}

/* False when the connection is over. */
static bool serve(struct conn *c, uint32_t happened) {
    if (c->page && (happened & EPOLLOUT) && !answer(c)) return false;
    if (c->page || !(happened & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))) return true;
    return pump(c);
}

int main(int argc, char **argv) {
    if (argc < 2 + FILES) {
        fprintf(stderr, "usage: origin SMALL_FILE LARGE_FILE PORT...\n");
        return 2;
    }
    for (int i = 0; i < FILES; i++) load_page(&pages[i], argv[1 + i]);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0) die("epoll");
    for (int i = 1 + FILES; i < argc; i++) listen_on(atoi(argv[i]));
    struct epoll_event events[BATCH];
    for (;;) {
        int ready = epoll_wait(poller, events, BATCH, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.u64 & 1)
                accept_all((int)(events[i].data.u64 >> 1));
            else if (!serve(events[i].data.ptr, events[i].events))
                bury(events[i].data.ptr);
        }
    }
}
