/* SPDX-License-Identifier: Apache-2.0 */
/* The clock, injectable for tests. Any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds since 1970, UTC. */
int64_t clock_real_ms(void);

/* Milliseconds that never go back; only differences mean something. */
int64_t clock_mono_ms(void);
/* The same clock in microseconds. */
int64_t clock_mono_us(void);

/* Tests: both clocks are moved by ms from now on (0: the true time again). */
void clock_shift_for_test(int64_t ms);

#endif
