/*
 * An HTTP/1.1 keep-alive load generator that costs next to nothing: it shares two cores with the server that it measures.
 *
 *   load --port P --requests FILE --connections N [--seconds S] [--warmup S] [--wrap] [--timeout-ms MS] [--label TEXT]
 *
 * FILE holds requests as they go over the wire, each after its length (4 bytes, little-endian). Each is sent once, on whichever
 * connection is free, and never again: one without an answer is a fault, because the server may have carried it out. With --wrap
 * the file starts anew at its end; without, the run ends when the answers are in. After --warmup the window of --seconds begins;
 * at its end nothing more is sent, and what is still out is waited for.
 *
 * Prints one JSON object: "all" counts every answer (to be compared with the database), "window" those inside the window, of
 * which the rate and the latencies are. "numbers" counts answers by the first whole number that follows --label in the body.
 */
#define _GNU_SOURCE
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
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, STATUSES = 600, NUMBERS = 10000, CONNECT_TRIES = 100, FIRST_BUFFER = 16384, SWEEP_NS = 1000000 };

typedef struct {
    uint64_t answers, statuses[STATUSES], numbers[NUMBERS], unnumbered;
} Counts;

typedef struct {
    int fd, tries;                   /* fd -1: to be opened by the next sweep */
    bool busy, connecting, writable; /* busy: a request is out; writable: epoll waits for room to write */
    const char *request;
    size_t length, sent, received, capacity;
    char *buffer;
    int64_t started_ns;
} Connection;

static struct sockaddr_in address;
static const char *file, *file_end, *next_request, *label = "\"code\":";
static int poller;
static bool wraps, stopped;
static int64_t timeout_ns = 10000000000, window_start_ns, window_end_ns, last_answer_ns;
static Counts all, window;
static uint64_t sent, closed, timed_out, malformed, connect_failures;
static uint32_t *latencies_us;
static size_t latency_count, latency_capacity;

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "wrong use");
    exit(2);
}

static void *grown(void *memory, size_t bytes) { return (memory = realloc(memory, bytes)) ? memory : (die("memory"), NULL); }

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The first whole number after a label, or -1. Labels followed by anything else, such as a quoted code, are passed over. */
static int number_in(const char *body, const char *end) {
    size_t label_length = strlen(label);
    for (const char *at = body; (at = memmem(at, (size_t)(end - at), label, label_length)) != NULL;) {
        int number = 0, digits = 0;
        for (at += label_length; at < end && *at == ' ';) at++;
        for (; at < end && *at >= '0' && *at <= '9' && digits < 5; at++, digits++) number = number * 10 + (*at - '0');
        if (digits > 0 && number < NUMBERS) return number;
    }
    return -1;
}

static void count(Counts *counts, int status, int number) {
    counts->answers++;
    counts->statuses[status]++;
    (*(number < 0 ? &counts->unnumbered : &counts->numbers[number]))++;
}

static void count_answer(const Connection *c, int status, const char *body, size_t length) {
    int number = number_in(body, body + length);
    last_answer_ns = now_ns();
    count(&all, status, number);
    if (last_answer_ns < window_start_ns || last_answer_ns > window_end_ns) return;
    count(&window, status, number);
    if (latency_count == latency_capacity) {
        latency_capacity = latency_capacity ? latency_capacity * 2 : 1 << 20;
        latencies_us = grown(latencies_us, latency_capacity * sizeof *latencies_us);
    }
    latencies_us[latency_count++] = (uint32_t)((last_answer_ns - c->started_ns) / 1000);
}

/* The value of a header, given as "name:", in a head of this length; "" if it is not there. */
static const char *header(const char *head, size_t length, const char *name) {
    size_t name_length = strlen(name);
    for (const char *line = head, *end = head + length; (line = memchr(line, '\n', (size_t)(end - line))) != NULL;) {
        if (++line + name_length >= end || strncasecmp(line, name, name_length) != 0) continue;
        for (line += name_length; *line == ' ' || *line == '\t';) line++;
        return line;
    }
    return "";
}

/* The bytes that a chunked body takes, 0 while some are missing, -1 when it is wrong. With `join`, moves the chunks together to
 * the start of the body, which destroys their sizes: only for a complete body. */
static ssize_t chunked(char *body, size_t available, bool join, size_t *joined) {
    *joined = 0;
    for (size_t at = 0, size = 1;;) {
        char *line = body + at, *line_end = memmem(line, available - at, "\r\n", 2), *size_end;
        if (!line_end) return 0;
        at = (size_t)(line_end - body) + 2;
        if (size == 0 && line_end == line) return (ssize_t)at;
        if (size == 0) continue; /* a trailer */
        if ((size = strtoul(line, &size_end, 16)) > SIZE_MAX / 4 || size_end == line) return -1;
        if (size == 0) continue;
        if (available - at < size + 2) return 0;
        if (join) memmove(body + *joined, body + at, size);
        *joined += size;
        at += size + 2;
    }
}

/* 1: an answer was counted and taken off the buffer, and *closes says whether the connection ends with it; 0: more must come;
 * -1: this is not HTTP. */
static int take_answer(Connection *c, bool at_end, bool *closes) {
    char *head_end = memmem(c->buffer, c->received, "\r\n\r\n", 4);
    if (memcmp(c->buffer, "HTTP/1.1 ", c->received < 9 ? c->received : 9) != 0) return -1;
    if (!head_end) return 0;
    size_t head = (size_t)(head_end - c->buffer) + 4, available = c->received - head, length = 0, used = 0;
    int status = atoi(c->buffer + 9); /* never 1xx: nobody expects 100 Continue */
    if (status < 200 || status >= STATUSES) return -1;
    char *body = c->buffer + head;
    const char *length_text = header(c->buffer, head, "content-length:");
    *closes = strncasecmp(header(c->buffer, head, "connection:"), "close", 5) == 0;
    if (strncasecmp(header(c->buffer, head, "transfer-encoding:"), "chunked", 7) == 0) {
        ssize_t bytes = chunked(body, available, false, &length);
        if (bytes <= 0) return (int)bytes;
        used = (size_t)chunked(body, available, true, &length);
    } else if (*length_text) {
        used = length = strtoul(length_text, NULL, 10);
        if (available < length) return 0;
    } else if (status != 204 && status != 304) { /* the body ends with the connection */
        if (!at_end) return 0;
        used = length = available;
    }
    count_answer(c, status, body, length);
    c->received = available - used;
    memmove(c->buffer, body + used, c->received);
    return 1;
}

static void watch(Connection *c, bool writable, int operation) {
    struct epoll_event event = {.events = EPOLLIN | (writable ? (uint32_t)EPOLLOUT : 0), .data.ptr = c};
    c->writable = writable;
    if (epoll_ctl(poller, operation, c->fd, &event) < 0) die("epoll_ctl");
}

static void shut(Connection *c) {
    close(c->fd);
    c->fd = -1;
    c->busy = c->connecting = false;
    c->received = 0;
}

static void connect_failed(Connection *c) {
    connect_failures++;
    c->tries++;
    shut(c);
}

static void start_connecting(Connection *c) {
    int on = 1;
    if ((c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->connecting = true;
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) connect_failed(c);
    else watch(c, true, EPOLL_CTL_ADD);
}

static void send_rest(Connection *c) {
    while (c->sent < c->length) {
        ssize_t n = send(c->fd, c->request + c->sent, c->length - c->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
        c->sent = n < 0 ? c->length : c->sent + (size_t)n; /* cut off; there may still be an answer, reading tells */
    }
    if ((c->sent < c->length) != c->writable) watch(c, c->sent < c->length, EPOLL_CTL_MOD);
}

static void send_next(Connection *c) {
    uint32_t length;
    if (next_request == file_end && wraps) next_request = file;
    if (stopped || next_request == file_end) return;
    if (file_end - next_request < 4) die("the request file is cut short");
    memcpy(&length, next_request, 4);
    c->request = next_request + 4;
    if (length == 0 || length > file_end - c->request) die("the request file is cut short");
    next_request = c->request + length;
    c->length = length;
    c->sent = 0;
    c->busy = true;
    c->started_ns = now_ns();
    sent++;
    send_rest(c);
}

static void receive(Connection *c) {
    bool closes = false;
    if (c->received == c->capacity) c->buffer = grown(c->buffer, (c->capacity *= 2) + 1);
    ssize_t n = recv(c->fd, c->buffer + c->received, c->capacity - c->received, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    c->received += n > 0 ? (size_t)n : 0;
    c->buffer[c->received] = 0; /* so that a number at the very end is read no further */
    int taken = c->busy ? take_answer(c, n <= 0, &closes) : (c->received ? -1 : 0);
    if (taken == 1) c->busy = false;
    if (taken < 0) malformed++;
    else if (n <= 0 && c->busy) closed++;
    if (taken < 0 || n <= 0 || closes) shut(c);
    else if (!c->busy) send_next(c);
}

static void on_event(Connection *c, uint32_t events) {
    int error = 0;
    socklen_t size = sizeof error;
    if (!c->connecting) {
        if (events & EPOLLOUT) send_rest(c);
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
        return;
    }
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) return connect_failed(c);
    c->tries = 0;
    c->connecting = false;
    watch(c, false, EPOLL_CTL_MOD);
    send_next(c);
}

/* Opens what is shut and gives up on what is late. False when nothing is out and nothing more will be sent. */
static bool sweep(Connection *connections, int n) {
    int64_t now = now_ns();
    bool goes_on = false;
    stopped = stopped || now >= window_end_ns;
    bool has_more = !stopped && (wraps || next_request < file_end);
    for (Connection *c = connections; c < connections + n; c++) {
        if (c->busy && now - c->started_ns > timeout_ns) {
            timed_out++;
            shut(c);
        }
        bool may_open = has_more && c->tries < CONNECT_TRIES;
        if (c->fd < 0 && may_open) start_connecting(c);
        goes_on = goes_on || c->busy || may_open;
    }
    return goes_on;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double latency_ms(double part) {
    size_t rank = (size_t)(part * (double)latency_count);
    return latency_count ? latencies_us[rank < latency_count ? rank : latency_count - 1] / 1000.0 : 0;
}

static void print_table(const char *name, const uint64_t *counts, int size) {
    const char *separator = "";
    printf("\"%s\": {", name);
    for (int i = 0; i < size; i++)
        if (counts[i]) printf("%s\"%d\": %lu", separator, i, counts[i]), separator = ", ";
    printf("}, ");
}

static void print_counts(const char *name, const Counts *counts) {
    printf("\"%s\": {", name);
    print_table("statuses", counts->statuses, STATUSES);
    print_table("numbers", counts->numbers, NUMBERS);
    printf("\"unnumbered\": %lu, \"answers\": %lu}, ", counts->unnumbered, counts->answers);
}

static void print_result(void) {
    int64_t end_ns = last_answer_ns < window_end_ns ? last_answer_ns : window_end_ns; /* the requests may have run out before */
    double seconds = end_ns > window_start_ns ? (double)(end_ns - window_start_ns) / 1e9 : 0;
    qsort(latencies_us, latency_count, sizeof *latencies_us, by_size);
    printf("{");
    print_counts("all", &all);
    print_counts("window", &window);
    printf("\"sent\": %lu, \"closed\": %lu, \"timedOut\": %lu, \"malformed\": %lu, ", sent, closed, timed_out, malformed);
    printf("\"connectFailures\": %lu, \"ranOut\": %s, ", connect_failures, !wraps && next_request == file_end ? "true" : "false");
    printf("\"seconds\": %.6f, \"perSecond\": %.3f, ", seconds, seconds > 0 ? (double)window.answers / seconds : 0);
    printf("\"p50Ms\": %.3f, \"p90Ms\": %.3f, \"p99Ms\": %.3f, \"maxMs\": %.3f}\n", latency_ms(0.5), latency_ms(0.9),
           latency_ms(0.99), latency_ms(1));
}

static void map_requests(const char *path) {
    struct stat about;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &about) < 0) die(path);
    file = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (file == MAP_FAILED) die(path);
    next_request = file;
    file_end = file + about.st_size;
}

int main(int argc, char **argv) {
    const char *path = NULL;
    int n = 0;
    double seconds = 0, warmup = 0;
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}; /* this host only */
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if (strcmp(option, "--wrap") == 0) wraps = true;
        else if (++i == argc) die(option);
        else if (strcmp(option, "--port") == 0) address.sin_port = htons((uint16_t)atoi(argv[i]));
        else if (strcmp(option, "--requests") == 0) path = argv[i];
        else if (strcmp(option, "--connections") == 0) n = atoi(argv[i]);
        else if (strcmp(option, "--seconds") == 0) seconds = atof(argv[i]);
        else if (strcmp(option, "--warmup") == 0) warmup = atof(argv[i]);
        else if (strcmp(option, "--timeout-ms") == 0) timeout_ns = atoll(argv[i]) * 1000000;
        else if (strcmp(option, "--label") == 0) label = argv[i];
        else die(option);
    }
    if (!path || n < 1 || !address.sin_port || !*label || (wraps && seconds <= 0)) die("see the head of load.c");
    map_requests(path);
    if ((poller = epoll_create1(0)) < 0) die("epoll");
    Connection *connections = grown(NULL, (size_t)n * sizeof *connections);
    for (Connection *c = connections; c < connections + n; c++)
        *c = (Connection){.fd = -1, .capacity = FIRST_BUFFER, .buffer = grown(NULL, FIRST_BUFFER + 1)};
    window_start_ns = now_ns() + (int64_t)(warmup * 1e9);
    window_end_ns = seconds > 0 ? window_start_ns + (int64_t)(seconds * 1e9) : INT64_MAX;
    struct epoll_event events[EVENTS];
    for (int64_t last_sweep_ns = 0;;) {
        int64_t now = now_ns();
        if (now - last_sweep_ns >= SWEEP_NS || now >= window_end_ns) {
            last_sweep_ns = now;
            if (!sweep(connections, n)) break;
        }
        int ready = epoll_wait(poller, events, EVENTS, 1);
        for (int i = 0; i < ready; i++) on_event(events[i].data.ptr, events[i].events);
    }
    print_result();
    return 0;
}
