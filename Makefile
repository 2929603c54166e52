# tarn: build, test, lint, benchmark, install. `make help` lists the targets.
#
# Sources are found by folder; a new module needs no line here. VARIANT chooses a build of its own
# below build/: release (default), asan, tsan.

PREFIX  ?= /usr/local
DESTDIR ?=
ifeq ($(origin CC),default) # make has a CC of its own, `cc`
  CC    := gcc
endif
CLANG   ?= clang-14
VARIANT ?= release
VERSION := 0.1.0

# The corpus of real tables that `make check` reads through a mount (see docs/TESTING.md).
TABLES  ?= ../shared/tables
# Where test servers and Python packages are kept between runs.
TOOLS   ?= $(CURDIR)/build/tools

LAYERS  := base cache/store cache lake/format lake/index lake/catalog lake lake/delta lake/iceberg lake/files lake/unread lake/archive lake/tier lake/view fs tools
PACKAGES := fuse3 libcurl libcrypto libzstd libbrotlidec libbrotlienc liblz4 zlib expat yaml-0.1 sqlite3 libpq
LIBRARIES = -Wl,--as-needed $(shell pkg-config --libs $(PACKAGES)) -llmdb -lsnappy -lpthread -lm

# V=1 shows the commands.
Q := $(if $(V),,@)
SAY = $(if $(V),@:,@echo)

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wvla -Wstrict-prototypes -Wmissing-prototypes -Werror
CPPFLAGS += -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFUSE_USE_VERSION=314 \
            -DTARN_VERSION='"$(VERSION)"' $(shell pkg-config --cflags $(PACKAGES))
CFLAGS_release := -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2
# gcc judges truncation by what the optimiser knows, which sanitizers change.
CFLAGS_asan    := -O1 -g -Wno-format-truncation -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan    := -O1 -g -Wno-format-truncation -fsanitize=thread -fno-omit-frame-pointer
CFLAGS  ?=
ALL_CFLAGS = -std=gnu11 $(WARNINGS) -ffunction-sections -fdata-sections $(CFLAGS_$(VARIANT)) $(CFLAGS)
LDFLAGS += -Wl,--gc-sections

ifeq ($(VARIANT),release)
  BUILD := build
else
  BUILD := build/$(VARIANT)
endif

SOURCES := $(foreach d,$(LAYERS),$(wildcard $(d)/*.c))
LIBSRC  := $(filter-out tools/main.c,$(SOURCES))
OBJECTS := $(SOURCES:%.c=$(BUILD)/obj/%.o)
LIBOBJ  := $(LIBSRC:%.c=$(BUILD)/obj/%.o)
UNIT    := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
FUZZ    := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAY  := $(patsubst tests/fuzz/%.c,$(BUILD)/replay/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH   := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/bench_*.c))
# What the benchmarks of a mount read with and compare it with.
BENCH_TOOLS := $(BUILD)/bench/reader $(BUILD)/bench/noop_passthrough $(BUILD)/bench/raw_get \
               $(BUILD)/bench/load_table
# The proxy that plays a network and its faults.
FAULT_PROXY := build/fake/fault_proxy
FAULT_SOURCES := $(wildcard tests/fake/fault_*.c) base/buf.c base/err.c base/text.c base/json.c base/json_escape.c

.PHONY: all help
all: $(BUILD)/tarn ## build build/tarn (the default)

help: ## this list
	@grep -hE '^[a-z_.-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 24

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(SAY) "  $@"
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libtarn.a: $(LIBOBJ)
	@rm -f $@
	$(SAY) "  $@"
	$(Q)ar rcsP $@ $^

$(BUILD)/tarn: $(BUILD)/obj/tools/main.o $(BUILD)/libtarn.a
	$(SAY) "  $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(LIBRARIES) -o $@

# Unit tests: one program a module. TARN_UNIT lets a module open test-only seams.
$(BUILD)/tests/%: tests/unit/%.c $(BUILD)/libtarn.a
	@mkdir -p $(@D)
	$(SAY) "  $@"
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP $< $(BUILD)/libtarn.a $(LDFLAGS) $(LIBRARIES) -lcmocka -o $@

# Programs of which end-to-end tests make use, beside the unit tests.
TEST_TOOLS := $(BUILD)/tests/present $(BUILD)/tests/store_put
$(BUILD)/tests/%: tests/tools/%.c $(BUILD)/libtarn.a
	@mkdir -p $(@D)
	$(SAY) "  $@"
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP $< $(BUILD)/libtarn.a $(LDFLAGS) $(LIBRARIES) -o $@

# Fuzz targets with libFuzzer (clang), built from the sources themselves so that they are instrumented.
FUZZFLAGS := -std=gnu11 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
build/fuzzobj/%.o: %.c
	@mkdir -p $(@D)
	$(SAY) "  $@"
	$(Q)$(CLANG) $(CPPFLAGS) -std=gnu11 -O1 -g -fsanitize=fuzzer-no-link,address,undefined \
	    -fno-sanitize-recover=all -MMD -MP -c $< -o $@
build/fuzz/%: tests/fuzz/%.c $(patsubst %.c,build/fuzzobj/%.o,$(filter-out tools/%,$(LIBSRC)))
	@mkdir -p $(@D)
	$(SAY) "  $@"
	$(Q)$(CLANG) $(CPPFLAGS) $(FUZZFLAGS) $^ -Wl,--gc-sections $(LIBRARIES) -o $@

# The same targets without a fuzzer: each replays the files that it is given.
$(BUILD)/replay/%: tests/fuzz/%.c tests/fuzz/replay.c $(BUILD)/libtarn.a
	@mkdir -p $(@D)
	$(SAY) "  $@"
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $^ $(LDFLAGS) $(LIBRARIES) -o $@

$(BUILD)/bench/%: tests/bench/%.c $(BUILD)/libtarn.a
	@mkdir -p $(@D)
	$(SAY) "  $@"
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP $< $(BUILD)/libtarn.a $(LDFLAGS) $(LIBRARIES) -o $@

# Of no variant, whatever it stands before.
$(FAULT_PROXY): $(FAULT_SOURCES) $(wildcard tests/fake/fault_*.h)
	@mkdir -p $(@D)
	$(SAY) "  $@"
	$(Q)$(CC) $(CPPFLAGS) -std=gnu11 $(WARNINGS) $(CFLAGS_release) $(FAULT_SOURCES) -o $@

.PHONY: unit fuzz replay
unit: $(UNIT) ## build and run the unit tests
	@set -e; for t in $(UNIT); do $$t; done
fuzz: $(FUZZ)
replay: $(REPLAY)

# What people type. Each target installs what it needs first, so that a fresh machine will do.
JOBS    ?= $(shell nproc)
DEPS     = TOOLS='$(TOOLS)' tests/tools/deps.sh
PYTHON   = $(TOOLS)/venv-check/bin/python
FORMATTED = $(shell find base cache lake fs tools tests -name '*.[ch]')
# for tests/tools/check.sh
export BUILD UNIT REPLAY FUZZ TOOLS TABLES
CHECK    = PYTHON='$(PYTHON)' tests/tools/check.sh

.PHONY: deps demo check check-engines check-long asan tsan fmt lint lint-only bench install clean
deps: ## install what is needed to build (Debian 12, as root)
	@$(DEPS) build

demo: ## build, make a lake, mount it, walk through it
	@$(DEPS) build demo
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@PYTHON='$(TOOLS)/venv-demo/bin/python' tests/demo/demo.sh $(BUILD)/tarn

check: ## install the test tools, build, run everything quick
	@$(DEPS) check
	@$(MAKE) --no-print-directory -s -j$(JOBS) all $(UNIT) $(TEST_TOOLS) $(REPLAY) $(FAULT_PROXY)
	@$(CHECK) unit replay lint e2e

check-engines: ## tables that Spark writes, read through a mount (installs Java and Spark)
	@$(DEPS) check engines
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@$(CHECK) engines

check-long: ## everything quick, then long tests, sanitizers, fuzzing
	@$(DEPS) check engines long
	@$(MAKE) --no-print-directory -s -j$(JOBS) all $(UNIT) $(TEST_TOOLS) $(REPLAY) $(FUZZ) $(FAULT_PROXY)
	@$(MAKE) --no-print-directory -s -j$(JOBS) VARIANT=asan sanitized
	@$(MAKE) --no-print-directory -s -j$(JOBS) VARIANT=tsan sanitized
	@$(CHECK) unit replay lint e2e engines e2e-long engines-long asan tsan fuzz

asan: ## unit tests, fuzz corpora and mounts under the address sanitizer
	@$(DEPS) check
	@$(MAKE) --no-print-directory -s -j$(JOBS) VARIANT=asan sanitized
	@$(CHECK) asan

tsan: ## the same under the thread sanitizer
	@$(DEPS) check
	@$(MAKE) --no-print-directory -s -j$(JOBS) VARIANT=tsan sanitized
	@$(CHECK) tsan

# What a sanitizer's run needs; called with VARIANT.
.PHONY: sanitized
sanitized: $(BUILD)/tarn $(UNIT) $(TEST_TOOLS) $(REPLAY) $(FAULT_PROXY)

fmt: ## format the C sources
	clang-format -i $(FORMATTED)

lint: ## format, layers, lengths, banned calls, dead code, clang-tidy, cppcheck, thread safety
	@$(DEPS) check
	@$(MAKE) --no-print-directory -s -j$(JOBS) lint-only

# The checks alone. The shell takes the quotes of CPPFLAGS away when lint.sh reads them.
lint-only: $(OBJECTS)
	@CC='$(CC)' CLANG='$(CLANG)' CPPFLAGS="$(subst ",\",$(CPPFLAGS))" OBJECTS='$(OBJECTS)' \
	    LIBRARIES='$(LIBRARIES)' tests/lint/lint.sh

# For editors. The command goes through the environment, where no shell takes its quotes away.
.PHONY: compile_commands.json
compile_commands.json: export COMMAND = $(subst ",\",$(subst \,\\,$(CC) $(CPPFLAGS) $(ALL_CFLAGS)))
compile_commands.json: ## write the compilation database of clangd and other tools
	$(SAY) "  $@"
	$(Q)separator='['; for f in $(SOURCES) $(wildcard tests/unit/*.c tests/fuzz/*.c tests/bench/*.c); do \
	    printf '%s\n{"directory": "%s", "file": "%s", "command": "%s -c %s"}' \
	        "$$separator" '$(CURDIR)' "$$f" "$$COMMAND" "$$f"; separator=,; \
	done >$@ && printf '\n]\n' >>$@

.PHONY: bench-tools
bench-tools: $(BUILD)/tarn $(BENCH_TOOLS) $(FAULT_PROXY) # what tests/bench/*.py run
bench: $(BENCH) bench-tools ## run the benchmarks
	@set -e; for b in $(BENCH) $(wildcard tests/bench/*.sh); do echo "== $$b"; $$b; done

install: $(BUILD)/tarn ## install the binary, its man pages and schemas (PREFIX, DESTDIR)
	install -D -m 755 $(BUILD)/tarn $(DESTDIR)$(PREFIX)/bin/tarn
	install -D -m 644 docs/man/tarn.1 $(DESTDIR)$(PREFIX)/share/man/man1/tarn.1
	install -D -m 644 docs/man/tarn-policy.5 $(DESTDIR)$(PREFIX)/share/man/man5/tarn-policy.5
	install -D -m 644 docs/man/tarn-lake.5 $(DESTDIR)$(PREFIX)/share/man/man5/tarn-lake.5
	install -D -m 644 lake/view/policy.schema.json $(DESTDIR)$(PREFIX)/share/tarn/policy.schema.json
	install -D -m 644 lake/lake.schema.json $(DESTDIR)$(PREFIX)/share/tarn/lake.schema.json

clean: ## remove what was built, but for the test tools
	find build -mindepth 1 -maxdepth 1 ! -name tools -exec rm -rf {} +

-include $(OBJECTS:.o=.d) $(UNIT:=.d) $(TEST_TOOLS:=.d) $(BENCH:=.d)
-include $(wildcard build/fuzzobj/*/*.d build/fuzzobj/*/*/*.d)
