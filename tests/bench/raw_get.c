/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the wire gives: GETs side by side on libcurl's multi interface, each byte copied once.
 *
 *     raw_get --connections N [--part BYTES] [--limit BYTES] [--to FILE]
 *
 * Reads lines `SIZE URL` (signed already) and fetches the objects in parts, in order, at most N
 * requests at a time; of each object no more than the limit. With --to the parts are written to a
 * file, as a cache has to. Prints one line of JSON: bytes,
 * seconds, requests, and the milliseconds that the median request took.
 */
#include <curl/curl.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256
#define RECEIVE_BYTES (128L << 10)

struct object {
    char *url;
    uint64_t size;
};

struct slot {
    CURL *easy;
    char *to;
    size_t got;
    off_t at; /* in what is written */
    double began_s;
};

static struct object *objects;
static size_t objects_n, object_at; /* the object of the next part */
static uint64_t offset;             /* of the next part */
static size_t part = (size_t)8 << 20;
static uint64_t limit = UINT64_MAX;
static double *took;
static size_t took_n, took_room;
static int to_fd = -1;
static off_t to_at;

static void die(const char *what)
{
    (void)fprintf(stderr, "raw_get: %s\n", what);
    exit(1);
}

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void read_objects(void)
{
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        char *space = strchr(line, ' ');
        if (!space)
            die("lines are SIZE URL");
        objects = reallocarray(objects, objects_n + 1, sizeof *objects);
        if (!objects)
            die("memory");
        space[1 + strcspn(space + 1, "\n")] = '\0';
        uint64_t size = strtoull(line, NULL, 10);
        objects[objects_n].size = size < limit ? size : limit;
        if (!(objects[objects_n++].url = strdup(space + 1)))
            die("memory");
    }
    free(line);
}

static size_t receive(char *data, size_t size, size_t n, void *arg)
{
    struct slot *s = arg;
    if (s->got + size * n > part)
        return 0;
    memcpy(s->to + s->got, data, size * n);
    s->got += size * n;
    return size * n;
}

static int begin_next(CURLM *multi, struct slot *s)
{
    char range[64];
    if (object_at == objects_n)
        return 0;
    const struct object *o = &objects[object_at];
    uint64_t end = offset + part < o->size ? offset + part : o->size;
    (void)snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)offset,
                   (unsigned long long)end - 1);
    curl_easy_setopt(s->easy, CURLOPT_URL, o->url);
    curl_easy_setopt(s->easy, CURLOPT_RANGE, range);
    offset = end;
    if (offset == o->size) {
        object_at++;
        offset = 0;
    }
    s->at = to_at;
    to_at += (off_t)part;
    s->got = 0;
    s->began_s = now_s();
    curl_multi_add_handle(multi, s->easy);
    return 1;
}

static void note(double seconds)
{
    if (took_n == took_room && !(took = reallocarray(took, took_room = took_room * 2 + 64, 8)))
        die("memory");
    took[took_n++] = seconds;
}

static void init_slot(struct slot *s)
{
    s->easy = curl_easy_init();
    s->to = malloc(part);
    if (!s->easy || !s->to)
        die("memory");
    memset(s->to, 0, part); /* faults are no part of reading */
    curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
    curl_easy_setopt(s->easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
    curl_easy_setopt(s->easy, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(s->easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(s->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
}

/* All parts: the bytes that came. */
static uint64_t fetch(CURLM *multi, struct slot *slots, size_t connections)
{
    uint64_t bytes = 0;
    int left, busy = 0;
    for (size_t i = 0; i < connections; i++)
        busy += begin_next(multi, &slots[i]);
    while (busy) {
        CURLMsg *m;
        curl_multi_perform(multi, &left);
        while ((m = curl_multi_info_read(multi, &left))) {
            struct slot *s = NULL;
            if (m->data.result != CURLE_OK)
                die(curl_easy_strerror(m->data.result));
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &s);
            bytes += s->got;
            if (to_fd >= 0 && pwrite(to_fd, s->to, s->got, s->at) != (ssize_t)s->got)
                die("the file cannot be written");
            note(now_s() - s->began_s);
            curl_multi_remove_handle(multi, s->easy);
            busy += begin_next(multi, s) - 1;
        }
        if (busy)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    return bytes;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"connections", required_argument, NULL, 'c'},
                                            {"part", required_argument, NULL, 'p'},
                                            {"limit", required_argument, NULL, 'l'},
                                            {"to", required_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    static struct slot slots[CONNECTIONS_MAX];
    size_t connections = 0;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        unsigned long long value = optarg ? strtoull(optarg, NULL, 10) : 0;
        if (c == 'c')
            connections = value;
        else if (c == 'p')
            part = value;
        else if (c == 'l')
            limit = value;
        else if (c == 't')
            to_fd = open(optarg, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        else
            return 2;
    }
    if (connections < 1 || connections > CONNECTIONS_MAX || !part || !limit) {
        (void)fprintf(stderr, "usage: raw_get --connections N [--part BYTES] [--limit BYTES] "
                              "[--to FILE]\n");
        return 2;
    }
    read_objects();
    curl_global_init(CURL_GLOBAL_ALL);
    CURLM *multi = curl_multi_init();
    for (size_t i = 0; i < connections; i++)
        init_slot(&slots[i]);
    double began = now_s();
    uint64_t bytes = fetch(multi, slots, connections);
    double seconds = now_s() - began;
    qsort(took, took_n, sizeof *took, by_value);
    printf("{\"bytes\": %llu, \"seconds\": %.6f, \"requests\": %zu, \"median_ms\": %.3f}\n",
           (unsigned long long)bytes, seconds, took_n, took_n ? took[took_n / 2] * 1000 : 0.0);
    return 0;
}
