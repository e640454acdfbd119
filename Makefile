# vbuild is built by this file alone: `make help` lists the targets.
MODE  ?= release
ifeq ($(origin CC),default)
CC    := gcc
endif
B     ?= build/$(MODE)
JOBS  ?= $(shell nproc)
PREFIX ?= /usr/local

PKGS := lua5.4 libxxhash libzstd libpcre2-8 yaml-0.1
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wdouble-promotion \
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wundef -Wpointer-arith \
	-Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Wswitch-enum -Wnull-dereference -Werror
WARN_GCC := -Wimplicit-fallthrough=5 -Wlogical-op -Wduplicated-cond -Wduplicated-branches
ifeq ($(findstring clang,$(CC)),)
WARN += $(WARN_GCC)
endif

# The same exactness flags in every mode (DESIGN section 2): no contraction, no fast-math.
EXACT := -std=c11 -ffp-contract=off -fno-fast-math -fno-strict-aliasing
ifeq ($(findstring clang,$(CC)),)
EXACT += -fno-tree-slp-vectorize # gcc 12's drops the rounding of adjacent (double)(float)x
endif
CFLAGS_release := -O2 -g
CFLAGS_debug   := -Og -g -DVBUILD_FAULTS=1
CFLAGS_san     := -O1 -g -DVBUILD_FAULTS=1 -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
CFLAGS_cov     := -Og -g -DVBUILD_FAULTS=1 --coverage
LDFLAGS_san    := -fsanitize=address,undefined
LDFLAGS_cov    := --coverage

CFLAGS  += $(EXACT) $(WARN) $(CFLAGS_$(MODE)) -fopenmp -D_GNU_SOURCE -Iengine -MMD -MP \
	$(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDLIBS  := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm
LDFLAGS += $(LDFLAGS_$(MODE)) -fopenmp -Wl,--as-needed

# Strict layers: one archive a folder; a program links its own layer and those below it.
LAYERS := cli lua graph op store format kernel tensor base
srcs    = $(sort $(wildcard engine/$(1)/*.c))
objs    = $(patsubst %.c,$(B)/%.o,$(call srcs,$(1)))

LIBS  := $(foreach l,$(filter-out cli,$(LAYERS)),$(B)/lib$(l).a)
TESTS := $(patsubst %.c,$(B)/%,$(sort $(wildcard tests/unit/*/test_*.c)))

all: vbuild ## build ./vbuild (MODE=release, debug, san or cov)

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

vbuild: $(B)/vbuild
	cp $< $@

$(B)/vbuild: $(call objs,cli) $(LIBS)
	$(CC) $(LDFLAGS) -o $@ $(call objs,cli) -Wl,--start-group $(LIBS) -Wl,--end-group $(LDLIBS)

# The rules library lies inside the program.
RULES := $(sort $(wildcard rules/*.lua rules/*/*.lua))
extra_lua := $(B)/rules.o
$(B)/rules.c: engine/lua/embed.sh $(RULES)
	@mkdir -p $(@D)
	sh $< rules > $@
$(B)/rules.o: $(B)/rules.c
	$(CC) $(CFLAGS) -c -o $@ $<

define layer
$(B)/lib$(1).a: $(call objs,$(1)) $(extra_$(1))
	@mkdir -p $$(@D)
	rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer,$(l))))

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c -o $@ $<

# SIMD by file alone; no other file may hold instructions that not every CPU has.
$(B)/engine/kernel/%_avx2.o: CFLAGS += -mavx2 -mno-fma
$(B)/engine/kernel/%_avx512.o: CFLAGS += -mavx512f -mavx512bw -mavx512dq -mavx512vl

# A unit test links the layers its own layer may include (ARCHITECTURE: layers).
deps_base   := base
deps_tensor := tensor base
deps_kernel := kernel tensor base
deps_format := format tensor base
deps_store  := store tensor base
deps_op     := op kernel format store tensor base
deps_graph  := graph $(deps_op)
deps_lua    := lua $(deps_graph)
define unit
$(B)/tests/unit/$(1)/%: tests/unit/$(1)/%.c tests/unit/test.h $(foreach l,$(deps_$(1)),$(B)/lib$(l).a)
	@mkdir -p $$(@D)
	$(CC) $(CFLAGS) -Itests/unit $(LDFLAGS) -o $$@ $$< $(foreach l,$(deps_$(1)),$(B)/lib$(l).a) $(LDLIBS)
endef
$(foreach l,$(filter-out cli,$(LAYERS)),$(eval $(call unit,$(l))))

# Fuzz targets replay their corpus with gcc; with CC=clang-14 FUZZ=1 they are libFuzzer programs.
FUZZERS := $(patsubst %.c,$(B)/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
ifeq ($(findstring clang,$(CC)),)
fuzz_main := tests/fuzz/driver.c
else
fuzz_flags := -fsanitize=fuzzer
$(B)/engine/%.o: CFLAGS += $(if $(FUZZ),-fsanitize=fuzzer-no-link)
endif
fuzz_libs := $(foreach l,$(deps_format),$(B)/lib$(l).a)
$(B)/tests/fuzz/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.h $(fuzz_main) $(fuzz_libs)
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP -fopenmp,$(CFLAGS)) $(fuzz_flags) -Itests/fuzz \
		$(filter-out -fopenmp,$(LDFLAGS)) -o $@ $< $(fuzz_main) $(fuzz_libs) $(LDLIBS)

# Million weights per CPU second of every block type and instruction set.
$(B)/bench/kernels: bench/kernels.c $(foreach l,$(deps_kernel),$(B)/lib$(l).a)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(foreach l,$(deps_kernel),$(B)/lib$(l).a) $(LDLIBS)

units: $(TESTS) ## build every unit test of this MODE
fuzz: $(FUZZERS) ## build the fuzz targets (MODE=san is the one to run)

# ---- what people run ---------------------------------------------------------------------

APT := gcc make pkg-config liblua5.4-dev lua5.4 libxxhash-dev libzstd-dev libpcre2-dev libyaml-dev
APT_TEST := $(APT) clang-14 clang-format-14 libomp-14-dev lua-check ninja-build

deps: ## install what building needs and this machine lacks (Debian; as root, or says the line)
	@tests/deps.sh $(APT)

deps-test: ## the same for the tests
	@tests/deps.sh $(APT_TEST)

demo: deps ## build vbuild and watch it: a first build, a second that does nothing, a changed line
	@$(MAKE) --no-print-directory -s vbuild
	@tests/demo.sh

test: deps-test ## everything: unit, golden, property, sanitized corpus, end to end, kills, lint
	@tests/all.sh

lint: vbuild ## the style gates alone
	@tests/lint.sh

docs: vbuild ## write the generated pages again (docs/, and the output shown in README)
	lua5.4 tests/lint/docs.lua --write
	lua5.4 tests/e2e/pages.lua --write

peers: ## install the real peers, once: mergekit, torch, transformers, llama.cpp's tools
	@tests/peers/install.sh

test-peers: $(B)/vbuild ## the checks against them; make test needs none of them
	@VBUILD=$(B)/vbuild tests/peers/run.sh

bench: vbuild ## speed against the real peers (ninja from Debian)
	@bench/run.sh

install: vbuild ## into PREFIX (/usr/local)
	install -D -m 755 vbuild $(DESTDIR)$(PREFIX)/bin/vbuild

clean: ## remove what make made
	rm -rf build vbuild

.PHONY: all help units fuzz deps deps-test demo test lint docs peers test-peers bench install clean
-include $(shell find $(B) -name '*.d' 2>/dev/null)
