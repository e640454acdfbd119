# vbuild is built by this file alone: `make help` lists the targets.
MODE  ?= release
CC    ?= gcc
B     ?= build/$(MODE)
JOBS  ?= $(shell nproc)
PREFIX ?= /usr/local

PKGS := lua5.4 libxxhash libzstd
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wdouble-promotion \
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wundef -Wpointer-arith \
	-Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Wswitch-enum -Wnull-dereference -Werror
WARN_GCC := -Wimplicit-fallthrough=5 -Wlogical-op -Wduplicated-cond -Wduplicated-branches
ifeq ($(findstring clang,$(CC)),)
WARN += $(WARN_GCC)
endif

# The same exactness flags in every mode (DESIGN section 2): no contraction, no fast-math.
EXACT := -std=c11 -ffp-contract=off -fno-fast-math -fno-strict-aliasing
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

all: vbuild ## build ./vbuild

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

units: $(TESTS) ## build every unit test of this MODE
.PHONY: all units
-include $(shell find $(B) -name '*.d' 2>/dev/null)
