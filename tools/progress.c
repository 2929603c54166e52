/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/progress.h"

#include <stdarg.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "tools/human.h"

#define REDRAW_MS 100
#define LINE_MS 5000  /* between plain lines */
#define SAMPLE_MS 200 /* so the ring holds 12 seconds */
#define BAR_MIN 10    /* a narrower bar says nothing */
#define BAR_MAX 40
#define WIDTH_DEFAULT 80 /* of a terminal that does not say */

void progress_init(struct progress *p, const char *command, bool quiet)
{
    *p = (struct progress){.command = command,
                           .terminal = isatty(STDERR_FILENO) == 1,
                           .quiet = quiet,
                           .drawn_ms = clock_mono_ms()};
    lock_init(&p->lock);
}

static void clear_line_locked(struct progress *p) REQUIRES(p->lock)
{
    if (p->line_there)
        (void)fputs("\r\033[K", stderr);
    p->line_there = false;
}

void progress_done(struct progress *p)
{
    lock_done(&p->lock);
}

void progress_clear(struct progress *p)
{
    WITH_LOCK (&p->lock) {
        clear_line_locked(p);
        (void)fflush(stderr);
    }
}

void progress_say(struct progress *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    WITH_LOCK (&p->lock) {
        clear_line_locked(p);
        (void)fprintf(stderr, "tarn %s: ", p->command);
        (void)vfprintf(stderr, fmt, ap);
        (void)fputc('\n', stderr);
        (void)fflush(stderr);
    }
    va_end(ap);
}

/* Bytes a second over the samples that are kept. */
static uint64_t measure(struct progress *p, uint64_t bytes, int64_t now_ms)
{
    unsigned made = p->samples_made;
    const struct progress_sample *last =
        &p->samples[(made + PROGRESS_SAMPLES - 1) % PROGRESS_SAMPLES];
    if (made == 0 || now_ms - last->ms >= SAMPLE_MS) {
        p->samples[made % PROGRESS_SAMPLES] = (struct progress_sample){now_ms, bytes};
        p->samples_made++;
    }
    const struct progress_sample *first =
        &p->samples[p->samples_made > PROGRESS_SAMPLES ? p->samples_made % PROGRESS_SAMPLES : 0];
    int64_t ms = now_ms - first->ms;
    return ms >= 2 * SAMPLE_MS ? (bytes - first->bytes) * 1000 / (uint64_t)ms : 0;
}

/* The pieces behind the share, the least needed first in `need`. */
static void format_pieces(const struct progress_state *s, char pieces[4][3 * HUMAN_BYTES])
{
    char a[HUMAN_BYTES], b[HUMAN_BYTES];
    (void)snprintf(pieces[0], sizeof pieces[0], "%s/%s %s", human_count(s->files, a),
                   human_count(s->files_all, b), s->unit ? s->unit : "files");
    (void)snprintf(pieces[1], sizeof pieces[1], "%s of %s", human_bytes(s->bytes, a),
                   human_bytes(s->bytes_all, b));
    pieces[2][0] = pieces[3][0] = '\0';
    if (!s->rate)
        return;
    (void)snprintf(pieces[2], sizeof pieces[2], "%s/s", human_bytes(s->rate, a));
    uint64_t left = s->bytes_all > s->bytes ? (s->bytes_all - s->bytes) / s->rate : 0;
    (void)snprintf(pieces[3], sizeof pieces[3], "%s left", human_seconds(left, a));
}

static void format_bar(struct buf *out, const struct progress_state *s, size_t room)
{
    size_t width = room > BAR_MAX ? BAR_MAX : room, full = width;
    if (s->bytes < s->bytes_all)
        full = (size_t)((double)width * (double)s->bytes / (double)s->bytes_all);
    buf_add_char(out, '[');
    for (size_t i = 0; i < width; i++)
        buf_add_char(out, i < full ? '=' : i == full ? '>' : ' ');
    buf_add_str(out, "] ");
}

void progress_format(struct buf *out, const struct progress_state *s, unsigned width, bool bar)
{
    static const unsigned char by_need[] = {3, 1, 2, 0}; /* time left, bytes, rate, files */
    char pieces[4][3 * HUMAN_BYTES];
    bool shown[4] = {false};
    char head[HUMAN_BYTES];
    (void)snprintf(head, sizeof head, "%3u%%", human_percent(s->bytes, s->bytes_all));
    if (s->word)
        (void)snprintf(head, sizeof head, "%.16s", s->word);
    size_t room = width, used = strlen(head);
    if (used > room)
        return;
    format_pieces(s, pieces);
    if (s->word) /* nothing is known of an end */
        (void)snprintf(pieces[0], sizeof pieces[0], "%llu files", (unsigned long long)s->files);
    for (size_t i = 0; i < ARRAY_SIZE(by_need); i++) {
        size_t n = strlen(pieces[by_need[i]]);
        bool apt = n > 0 && (!s->word || by_need[i] == 0);
        if (apt && used + 2 + n <= room) {
            shown[by_need[i]] = true;
            used += 2 + n;
        }
    }
    if (bar && !s->word && room >= used + 3 + BAR_MIN)
        format_bar(out, s, room - used - 3);
    buf_add_str(out, head);
    for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
        if (shown[i])
            buf_addf(out, "  %s", pieces[i]);
}

static unsigned terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 2)
        return WIDTH_DEFAULT;
    return size.ws_col > PROGRESS_WIDTH_MAX ? PROGRESS_WIDTH_MAX : size.ws_col;
}

void progress_show(struct progress *p, struct progress_state *s)
{
    AUTO(buf) struct buf line = {0};
    int64_t now_ms = clock_mono_ms();
    s->rate = measure(p, s->bytes, now_ms);
    if (p->quiet || now_ms - p->drawn_ms < (p->terminal ? REDRAW_MS : LINE_MS))
        return;
    p->drawn_ms = now_ms;
    buf_init(&line, 2 * PROGRESS_WIDTH_MAX);
    if (!p->terminal) {
        progress_format(&line, s, PROGRESS_WIDTH_MAX, false);
        progress_say(p, "%.*s", SLICE_FMT(buf_slice(&line)));
        return;
    }
    progress_format(&line, s, terminal_width() - 1, true); /* the last column may wrap */
    WITH_LOCK (&p->lock) {
        (void)fprintf(stderr, "\r%.*s\033[K", SLICE_FMT(buf_slice(&line)));
        p->line_there = true;
        (void)fflush(stderr);
    }
}
