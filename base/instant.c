/* SPDX-License-Identifier: Apache-2.0 */
#include "base/instant.h"

#include "base/text.h"

struct civil {
    int64_t year;
    unsigned month, day, hour, minute, second, ms;
};

/* Days since 1970-01-01 of a proleptic Gregorian date, counted in eras of 400 years from March on.
 */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t in_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3U : 9U)) + 2) / 5 + day - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + day_of_year - 719468;
}

static struct civil civil_of(int64_t ms)
{
    int64_t days = ms / 86400000 - (ms % 86400000 < 0);
    int64_t rest = ms % 86400000 + (ms % 86400000 < 0 ? 86400000 : 0);
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t in_era = z - era * 146097;
    int64_t year_of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t day_of_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    unsigned month = (unsigned)(shifted < 10 ? shifted + 3 : shifted - 9);
    return (struct civil){
        .year = year_of_era + era * 400 + (month <= 2),
        .month = month,
        .day = (unsigned)(day_of_year - (153 * shifted + 2) / 5 + 1),
        .hour = (unsigned)(rest / 3600000),
        .minute = (unsigned)(rest / 60000 % 60),
        .second = (unsigned)(rest / 1000 % 60),
        .ms = (unsigned)(rest % 1000),
    };
}

static unsigned days_in_month(int64_t year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap ? 1U : 0U);
}

static bool civil_to_ms(const struct civil *c, int64_t *out_ms)
{
    if (c->month < 1 || c->month > 12 || c->day < 1 || c->day > days_in_month(c->year, c->month))
        return false;
    if (c->hour > 23 || c->minute > 59 || c->second > 59)
        return false;
    int64_t s = ((days_of(c->year, c->month, c->day) * 24 + c->hour) * 60 + c->minute) * 60;
    *out_ms = (s + c->second) * 1000 + c->ms;
    return true;
}

/* Exactly n digits at the front. */
static bool take_digits(struct slice *s, size_t n, unsigned *out)
{
    uint64_t v;
    if (s->n < n || !text_parse_u64(slice_make(s->p, n), UINT32_MAX, &v))
        return false;
    *s = slice_from(*s, n);
    *out = (unsigned)v;
    return true;
}

static bool take_char(struct slice *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = slice_from(*s, 1);
    return true;
}

/* A fraction of a second behind its point: at least one digit, cut to ms. */
static bool take_fraction(struct slice *s, unsigned *out_ms)
{
    unsigned ms = 0, n = 0;
    for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; n++, *s = slice_from(*s, 1))
        if (n < 3)
            ms = ms * 10 + (unsigned)(s->p[0] - '0');
    for (unsigned i = n; i < 3; i++)
        ms *= 10;
    *out_ms = ms;
    return n > 0;
}

/* `Z`, nothing, or an offset; its minutes east. */
static bool take_zone(struct slice *s, int *out_minutes)
{
    *out_minutes = 0;
    if (s->n == 0 || take_char(s, 'Z') || take_char(s, 'z'))
        return s->n == 0;
    int sign = s->p[0] == '-' ? -1 : 1;
    unsigned hours, minutes = 0;
    if (!take_char(s, '+') && !take_char(s, '-'))
        return false;
    if (!take_digits(s, 2, &hours))
        return false;
    if (s->n) {
        (void)take_char(s, ':'); /* with or without it */
        if (!take_digits(s, 2, &minutes))
            return false;
    }
    *out_minutes = sign * (int)(hours * 60 + minutes);
    return s->n == 0 && hours < 24 && minutes < 60;
}

static bool take_time(struct slice *s, struct civil *c)
{
    if (!take_digits(s, 2, &c->hour))
        return false;
    bool colons = take_char(s, ':');
    if (!take_digits(s, 2, &c->minute))
        return false;
    bool seconds = colons ? take_char(s, ':') : s->n && s->p[0] >= '0' && s->p[0] <= '9';
    if (!seconds)
        return true;
    if (!take_digits(s, 2, &c->second))
        return false;
    return take_char(s, '.') ? take_fraction(s, &c->ms) : true;
}

bool instant_parse(struct slice s, int64_t *out_ms)
{
    struct civil c = {0};
    unsigned year;
    int zone = 0;
    int64_t ms;
    if (!take_digits(&s, 4, &year) || !take_char(&s, '-') || !take_digits(&s, 2, &c.month) ||
        !take_char(&s, '-') || !take_digits(&s, 2, &c.day))
        return false;
    c.year = year;
    if (s.n) {
        if (!take_char(&s, 'T') && !take_char(&s, 't') && !take_char(&s, ' '))
            return false;
        if (!take_time(&s, &c) || !take_zone(&s, &zone))
            return false;
    }
    if (!civil_to_ms(&c, &ms))
        return false;
    *out_ms = ms - (int64_t)zone * 60000;
    return true;
}

bool instant_parse_digits17(struct slice s, int64_t *out_ms)
{
    struct civil c = {0};
    unsigned year;
    if (s.n != 17 || !take_digits(&s, 4, &year) || !take_digits(&s, 2, &c.month) ||
        !take_digits(&s, 2, &c.day) || !take_digits(&s, 2, &c.hour) ||
        !take_digits(&s, 2, &c.minute) || !take_digits(&s, 2, &c.second) ||
        !take_digits(&s, 3, &c.ms))
        return false;
    c.year = year;
    return civil_to_ms(&c, out_ms);
}

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

bool instant_parse_http(struct slice s, int64_t *out_ms)
{
    struct civil c = {0};
    unsigned year;
    if (s.n != 29 || s.p[3] != ',' || !slice_is(slice_from(s, 25), " GMT"))
        return false;
    s = slice_from(s, 5);
    if (!take_digits(&s, 2, &c.day) || !take_char(&s, ' '))
        return false;
    for (c.month = 1; c.month <= 12; c.month++)
        if (memcmp(months + (size_t)(c.month - 1) * 3, s.p, 3) == 0)
            break;
    s = slice_from(s, 3);
    if (!take_char(&s, ' ') || !take_digits(&s, 4, &year) || !take_char(&s, ' ') ||
        !take_digits(&s, 2, &c.hour) || !take_char(&s, ':') || !take_digits(&s, 2, &c.minute) ||
        !take_char(&s, ':') || !take_digits(&s, 2, &c.second))
        return false;
    c.year = year;
    return civil_to_ms(&c, out_ms);
}

void instant_format(struct buf *out, int64_t ms)
{
    struct civil c = civil_of(ms);
    buf_addf(out, "%04lld-%02u-%02uT%02u:%02u:%02u", (long long)c.year, c.month, c.day, c.hour,
             c.minute, c.second);
    if (c.ms)
        buf_addf(out, ".%03u", c.ms);
    buf_add_char(out, 'Z');
}

void instant_format_basic(struct buf *out, int64_t ms)
{
    struct civil c = civil_of(ms);
    buf_addf(out, "%04lld%02u%02uT%02u%02u%02uZ", (long long)c.year, c.month, c.day, c.hour,
             c.minute, c.second);
}

void instant_format_http(struct buf *out, int64_t ms)
{
    static const char days[] = "ThuFriSatSunMonTueWed"; /* 1970 began with a Thursday */
    struct civil c = civil_of(ms);
    int64_t day = ms / 86400000 - (ms % 86400000 < 0), weekday = (day % 7 + 7) % 7;
    buf_addf(out, "%.3s, %02u %.3s %04lld %02u:%02u:%02u GMT", days + 3 * weekday, c.day,
             months + (size_t)(c.month - 1) * 3, (long long)c.year, c.hour, c.minute, c.second);
}
