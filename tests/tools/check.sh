#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs groups of tests that make has built, and counts.
# usage: check.sh GROUP...   of: unit replay lint e2e engines e2e-long engines-long asan tsan fuzz
# Each unit program, replayed corpus, lint step and pytest test counts as one.
# The last line is `N passed, N failed`; the status is 0 only when none failed and some passed.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2

PYTHON=${PYTHON:?called by make} BUILD=${BUILD:-build}
UNIT=${UNIT:-} REPLAY=${REPLAY:-} FUZZ=${FUZZ:-}
export TARN_SLOWNESS=${TARN_SLOWNESS:-1}
logs=$BUILD/logs
mkdir -p "$logs"
passed=0 failed=0
# How many tests run side by side.
WORKERS=${WORKERS:-4}

count() { passed=$((passed + $1)) failed=$((failed + $2)); }

# Runs one program and notes its status in a file.
run() {
    local log
    log=$logs/$(echo "$1" | tr / _).log
    timeout "${LIMIT_S:-900}" "$@" >"$log" 2>&1
    echo "$?" >"$log.status"
}

# Counts one that has run; its words are shown only when it failed.
counted() {
    local log status
    log=$logs/$(echo "$1" | tr / _).log
    status=$(cat "$log.status" 2>/dev/null || echo none)
    rm -f "$log.status"
    if [ "$status" = 0 ]; then
        count 1 0
    else
        echo "FAILED $* (status $status)"
        tail -50 "$log"
        count 0 1
    fi
}

program() { run "$@"; counted "$@"; }

# A group that tests nothing is a failure.
some() { [ -n "$2" ] || { echo "FAILED $1: nothing to run"; count 0 1; }; }

# Most of them wait, so several run side by side.
unit() {
    local t
    some unit "$UNIT"
    for t in $UNIT; do
        while [ "$(jobs -pr | wc -l)" -ge "$WORKERS" ]; do wait -n; done
        run "$1${t#build/}" &
    done
    wait
    for t in $UNIT; do counted "$1${t#build/}"; done
}

replay() {
    local r
    some replay "$REPLAY"
    for r in $REPLAY; do program "$1${r#build/}" "tests/fuzz/corpus/${r##*/fuzz_}"; done
}

# Adds the `N passed, N failed` that a tool ends with.
tally() {
    local last
    last=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$1" | tail -1)
    if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
        count "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    else
        echo "FAILED: no count at the end of $1"
        count 0 1
    fi
}

lint() {
    make --no-print-directory -s lint-only VARIANT=release 2>&1 | tee "$logs/lint.log"
    tally "$logs/lint.log"
}

# Most tests wait: several run side by side, then those that need the machine for themselves.
# usage: e2e MARKERS BINARY
e2e() {
    pytests "$2" tests/e2e -m "($1) and not alone and not figures" -n "$WORKERS" --dist worksteal
    pytests "$2" tests/e2e -m "($1) and (alone or figures)"
}

# usage: pytests BINARY ARGUMENT...
pytests() {
    local log=$logs/pytest.log status
    TARN=$1 "$PYTHON" -m pytest -c tests/pytest.ini "${@:2}" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    # the summary: `==== 3 failed, 40 passed, 1 skipped, 2 errors in 7.00s ====`
    local good bad
    good=$(summed "$log" passed)
    bad=$(($(summed "$log" failed) + $(summed "$log" 'errors?') + $(summed "$log" skipped)))
    count "$good" "$bad"
    if [ "$status" != 0 ] && [ "$bad" = 0 ]; then
        echo "FAILED pytest (status $status)"
        count 0 1
    fi
}

# One number of pytest's summary; what it does not name is 0.
summed() {
    local n
    n=$(tail -1 "$1" | grep -oE "[0-9]+ $2\\b" | head -1 | cut -d' ' -f1)
    echo "${n:-0}"
}

sanitized() {
    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1:log_path=$PWD/build/$1/logs/san
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:log_path=$PWD/build/$1/logs/san
    mkdir -p "build/$1/logs"
    rm -f "build/$1/logs"/san*
    LIMIT_S=3600 unit "build/$1/"
    LIMIT_S=3600 replay "build/$1/"
    TARN_SLOWNESS=5 e2e 'not long and not figures' "build/$1/tarn"
    # a daemon's report is a failure even where the test did not notice
    local report
    for report in "build/$1/logs"/san*; do
        [ -e "$report" ] || continue
        echo "FAILED $1 report $report"
        head -60 "$report"
        count 0 1
    done
    unset ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS
}

fuzz() {
    local f name
    some fuzz "$FUZZ"
    for f in $FUZZ; do
        name=${f##*/fuzz_}
        mkdir -p "build/fuzzed/$name"
        LIMIT_S=300 program "$f" -max_total_time="${FUZZ_S:-60}" -timeout=10 -rss_limit_mb=2048 \
            -artifact_prefix="build/fuzzed/$name-" "build/fuzzed/$name" "tests/fuzz/corpus/$name"
    done
}

[ $# -gt 0 ] || { sed -n '3,6s/^# //p' "$0" >&2; exit 2; }
for group in "$@"; do
    echo "== $group"
    case "$group" in
    unit) unit build/ ;;
    replay) replay build/ ;;
    lint) lint ;;
    e2e) e2e 'not long' build/tarn ;;
    e2e-long) pytests build/tarn tests/e2e -m long ;;
    engines) pytests build/tarn tests/engines -m 'not long' ;;
    engines-long) pytests build/tarn tests/engines -m long ;;
    asan | tsan) sanitized "$group" ;;
    fuzz) fuzz ;;
    *) echo "no group '$group'" >&2; exit 2 ;;
    esac
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
