#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Everything that is checked without running the code. `make lint` calls it with what it needs:
#   CC, CLANG      compilers       CPPFLAGS   as the build has them
#   OBJECTS        all objects of the binary, already built; LIBRARIES to link them with
# Prints `ok NAME` or `FAILED NAME` with what was said, and last `N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2

CC=${CC:-gcc} CLANG=${CLANG:-clang-14}
CPPFLAGS=${CPPFLAGS:?called by make lint} OBJECTS=${OBJECTS:?} LIBRARIES=${LIBRARIES:?}
STAMPS=build/lint
mkdir -p "$STAMPS"
passed=0 failed=0

LAYERS="base cache lake fs tools"
# shellcheck disable=SC2086
sources() { find $LAYERS -name '*.c' | sort; }
# shellcheck disable=SC2086
all_c() { find $LAYERS tests -name '*.[ch]' | sort; }

# Runs a step with a name; its words are kept for the case that it fails.
step() {
    local name=$1 started=$SECONDS
    shift
    if "$@" >"$STAMPS/$name.log" 2>&1; then
        echo "ok $name ($((SECONDS - started)) s)"
        passed=$((passed + 1))
    else
        cat "$STAMPS/$name.log"
        echo "FAILED $name"
        failed=$((failed + 1))
    fi
}

# CPPFLAGS as words, with their quotes taken as the shell would.
eval "FLAGS=($CPPFLAGS -std=gnu11)"

format() { all_c | xargs clang-format --dry-run -Werror; }

layers() { python3 tests/lint/layers.py "$CC" "${FLAGS[@]}" -Wall -Wextra -Werror; }

# A source is looked at again when it, a header or the configuration is newer than its last success.
tidy() {
    local todo=() newest source stamp
    # shellcheck disable=SC2086
    newest=$(find $LAYERS -name '*.h' -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2)
    for source in $(sources); do
        stamp="$STAMPS/tidy/$source.ok"
        if [ ! "$stamp" -nt "$source" ] || [ ! "$stamp" -nt "$newest" ] || [ ! "$stamp" -nt .clang-tidy ]; then
            todo+=("$source")
        fi
    done
    [ ${#todo[@]} -gt 0 ] || return 0
    export STAMPS
    printf '%s\0' "${todo[@]}" | xargs -0 -P 2 -I{} bash -c '
        source=$1
        shift
        said=$(clang-tidy --quiet "$source" -- "$@" 2>&1) || {
            echo "$said" | grep -v "warnings generated"
            exit 1
        }
        mkdir -p "$(dirname "$STAMPS/tidy/$source")"
        touch "$STAMPS/tidy/$source.ok"' tidy {} "${FLAGS[@]}"
}

# uninitvar: takes the body of WITH_LOCK for one that may be skipped. memleak: does not know AUTO. The
# compiler and clang-tidy look for the same.
check_cpp() {
    mkdir -p "$STAMPS/cppcheck"
    # shellcheck disable=SC2086
    cppcheck --quiet --enable=warning,portability,performance --inline-suppr --std=c11 -I. \
        -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D__GNUC__ --suppress=missingIncludeSystem --suppress=uninitvar --suppress=memleak \
        --suppress=normalCheckLevelMaxBranches --cppcheck-build-dir="$STAMPS/cppcheck" \
        --error-exitcode=1 -j 2 $LAYERS
}

threads() {
    sources | xargs -P 2 -n 8 "$CLANG" "${FLAGS[@]}" -Wthread-safety -Werror -fsyntax-only
}

dead() {
    # the objects themselves and not the archive: what is not called is not even linked from that
    # shellcheck disable=SC2086
    "$CC" -Wl,--gc-sections,--print-gc-sections $OBJECTS $LIBRARIES -o "$STAMPS/whole" \
        2>"$STAMPS/gc-sections" || {
            grep -v 'removing unused section' "$STAMPS/gc-sections"
            return 1
        }
    python3 tests/lint/dead.py <"$STAMPS/gc-sections"
}

man_pages() {
    local page
    for page in docs/man/*.[1-8]; do
        [ -f "$page" ] || { echo "no man page"; return 1; }
        mandoc -T lint -W warning "$page" || return 1
    done
}

step format format
step layers layers
step functions python3 tests/lint/functions.py
step banned python3 tests/lint/banned.py
step thread-safety threads
step dead-code dead
step cppcheck check_cpp
step clang-tidy tidy
step man-pages man_pages

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
