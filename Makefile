# panelfx. GNU make; `make help` lists the targets.
# Honoured: CC CFLAGS CPPFLAGS LDFLAGS LDLIBS PREFIX DESTDIR PKG_CONFIG PKG_CONFIG_PATH, WERROR=1,
# JOBS=n; V=1 shows the commands.

CFLAGS ?= -O3 -g
PREFIX ?= /usr/local
PKG_CONFIG ?= pkg-config
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
export CC CFLAGS CPPFLAGS PKG_CONFIG PKG_CONFIG_PATH

# Compiler and packages. The flags that results depend on stand after the user's.
ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null || uname -m)))
DEP_CFLAGS := $(shell .ci/deps.sh cflags 2>/dev/null)
DEP_LIBS := $(shell .ci/deps.sh libs build 2>/dev/null)
TEST_LIBS := $(shell .ci/deps.sh libs test 2>/dev/null)
OURS := -std=c11 -D_GNU_SOURCE -ffp-contract=off -fno-fast-math -fopenmp -Wall -Wextra $(if $(WERROR),-Werror) -I.
X86 := $(filter x86_64 amd64,$(ARCH))
COMPILE = $(CC) $(CPPFLAGS) $(CFLAGS) $(OURS) $(if $(X86),,-DPFX_NO_X86) $(DEP_CFLAGS) $(ISA_FLAGS)
LINK_LIBS = $(LDLIBS) $(DEP_LIBS) -lm

Q := $(if $(V),,@)

# One build folder for each set of flags.
FLAGS_ID := $(firstword $(shell printf '%s' '$(CC) $(COMPILE) $(LDFLAGS) $(LINK_LIBS)' | cksum))
BUILD ?= build/$(notdir $(firstword $(CC)))-$(FLAGS_ID)

ISA_SRC := $(wildcard kernels/*_v3.c kernels/*_v4.c)
LIB_SRC := $(wildcard src/*/*.c hdf5_io/*.c) $(filter-out $(if $(X86),,$(ISA_SRC)),$(wildcard kernels/*.c))
LIB := $(BUILD)/libpanelfx.a
MAIN := $(wildcard src/main.c)
PROGRAM := $(if $(MAIN),$(BUILD)/panelfx)

TEST_SRC := $(wildcard tests/unit/test_*.c tests/est/test_*.c)
TEST_HELP_SRC := $(filter-out $(TEST_SRC),$(wildcard tests/*.c tests/unit/*.c tests/est/*.c))
TESTS := $(TEST_SRC:%.c=$(BUILD)/%)
TEST_HELP := $(TEST_HELP_SRC:%.c=$(BUILD)/%.o)
CLI_TESTS := $(wildcard tests/cli/*.sh)
SLURM_TESTS := tests/slurm/array.sh
BENCH_SRC := $(wildcard bench/bench_*.c)
BENCH_HELP_SRC := $(filter-out $(BENCH_SRC),$(wildcard bench/*.c))
BENCHES := $(BENCH_SRC:%.c=$(BUILD)/%)
BENCH_HELP := $(BENCH_HELP_SRC:%.c=$(BUILD)/%.o)
COVERAGE_SRC := $(wildcard bench/coverage/*.c)
COVERAGE_OBJ := $(COVERAGE_SRC:%.c=$(BUILD)/%.o)

OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(LIB_SRC) $(MAIN) $(TEST_SRC) $(TEST_HELP_SRC) $(BENCH_SRC) $(BENCH_HELP_SRC) $(COVERAGE_SRC))

.DELETE_ON_ERROR:

.PHONY: all
all: $(LIB) $(if $(MAIN),panelfx)  ## build ./panelfx (never installs; names missing packages)

panelfx: $(PROGRAM) FORCE
	@cmp -s $< $@ || { cp $< $@.tmp && mv -f $@.tmp $@; }

$(BUILD)/panelfx: $(BUILD)/src/main.o $(LIB)
	@echo "  link $@"
	$(Q)$(CC) $(CFLAGS) -fopenmp $(LDFLAGS) -o $@ $^ $(LINK_LIBS)

# Made anew each time: ar would keep members whose source is gone.
$(LIB): $(LIB_SRC:%.c=$(BUILD)/%.o) $(BUILD)/sources
	@rm -f $@
	$(Q)ar rcs $@ $(filter %.o,$^)

# Changes when a source file comes or goes.
$(BUILD)/sources: FORCE
	@mkdir -p $(@D)
	@echo '$(LIB_SRC)' | cmp -s - $@ || echo '$(LIB_SRC)' >$@

$(BUILD)/kernels/%_v3.o: ISA_FLAGS := -march=x86-64-v3
$(BUILD)/kernels/%_v4.o: ISA_FLAGS := -march=x86-64-v4 -mprefer-vector-width=512

# One file knows how the program was built; it is compiled anew when the commit changes.
COMMIT := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
$(BUILD)/src/base/build.o: ISA_FLAGS := '-DPFX_COMMIT="$(COMMIT)"' '-DPFX_FLAGS="$(CFLAGS) -ffp-contract=off -fno-fast-math"'
$(BUILD)/src/base/build.o: $(BUILD)/commit
$(BUILD)/commit: FORCE
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' >$@

$(BUILD)/%.o: %.c | $(BUILD)/packages
	@mkdir -p $(@D)
	@echo "  compile $<"
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

# The packages are looked for once for each build folder.
$(BUILD)/packages:
	@.ci/deps.sh check
	@mkdir -p $(@D)
	@touch $@

# Objects that single programs ask for besides stand before the library, whatever the linker.
$(TESTS): %: %.o $(TEST_HELP) $(LIB)
	@echo "  link $@"
	$(Q)$(CC) $(CFLAGS) -fopenmp $(LDFLAGS) -o $@ $(filter-out $(LIB),$^) $(LIB) $(TEST_LIBS) $(LINK_LIBS)

# Designs that the test of accuracy uses too.
$(BUILD)/bench/bench_accuracy: $(addprefix $(BUILD)/tests/est/,hard_designs.o wide_ols.o)

$(BENCHES): %: %.o $(BENCH_HELP) $(LIB)
	@echo "  link $@"
	$(Q)$(CC) $(CFLAGS) -fopenmp $(LDFLAGS) -o $@ $(filter-out $(LIB),$^) $(LIB) $(LINK_LIBS)

# The simulation of coverage, and its test, which has a main of its own.
$(BUILD)/bench/coverage/coverage: $(COVERAGE_OBJ) $(LIB)
	@echo "  link $@"
	$(Q)$(CC) $(CFLAGS) -fopenmp $(LDFLAGS) -o $@ $^ $(LINK_LIBS)
$(BUILD)/tests/est/test_coverage: $(filter-out %/main.o,$(COVERAGE_OBJ))

-include $(OBJECTS:.o=.d)

.PHONY: FORCE
FORCE:

# Targets that install first, then look at the packages afresh.
AGAIN = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))

.PHONY: deps
deps:  ## install what is missing (apt, as root or with sudo); elsewhere print the list
	@.ci/deps.sh install

.PHONY: demo demo-run
demo: deps  ## install, build, simulate a panel; fit, bootstrap, placebo, 2SLS, match and event study with plots
	@+$(AGAIN) all
	@+$(AGAIN) demo-run

DEMO := build/demo
DEMO_X := lnEmployee + lnFirmAge + ROA + Assetturn + Cashflow + Dual + Top1 + Occupy + Mshare + TobinQ
DEMO_FORMULA := EXPY ~ IDC + $(DEMO_X) | firm + year
demo-run: all
	@mkdir -p $(DEMO)
	./panelfx simulate -o $(DEMO)/panel.h5 --force
	./panelfx fit $(DEMO)/panel.h5 '$(DEMO_FORMULA)'
	./panelfx boot $(DEMO)/panel.h5 '$(DEMO_FORMULA)' --coef IDC -o $(DEMO)/wild.h5 --force
	./panelfx boot $(DEMO)/panel.h5 '$(DEMO_FORMULA)' --coef IDC --method pairs -o $(DEMO)/pairs.h5 --force
	./panelfx plot $(DEMO)/pairs.h5 -o $(DEMO)/pairs.svg --force
	./panelfx placebo $(DEMO)/panel.h5 '$(DEMO_FORMULA)' --treatment IDC -o $(DEMO)/placebo.h5 --force
	./panelfx plot $(DEMO)/placebo.h5 --kind density -o $(DEMO)/placebo-density.svg --force
	./panelfx plot $(DEMO)/placebo.h5 --kind scatter -o $(DEMO)/placebo-scatter.svg --force
	./panelfx transform $(DEMO)/panel.h5 --recipe bench/demo/bartik.yaml -o $(DEMO)/bartik.h5 --force
	./panelfx fit $(DEMO)/bartik.h5 'EXPY ~ $(DEMO_X) | firm + year | IDC ~ Bartik'
	./panelfx match $(DEMO)/panel.h5 'IDC ~ $(DEMO_X)' -k 4 --exact year -o $(DEMO)/matched.h5 --force
	./panelfx fit $(DEMO)/matched.h5 '$(DEMO_FORMULA)' --weights _weight
	./panelfx event $(DEMO)/panel.h5 'EXPY ~ $(DEMO_X)' --treatment IDC --sensitivity rm --plot $(DEMO)/event.svg --force
	./panelfx event $(DEMO)/panel.h5 'EXPY ~ $(DEMO_X)' --treatment IDC --method imputation
	./panelfx fit $(DEMO)/panel.h5 '$(DEMO_FORMULA)' --by regulated --compare

.PHONY: check check-run tests
check: deps $(if $(filter true,$(CI)),deps-slurm)  ## install, build, run every test; the last line counts them
	@+$(AGAIN) $(if $(filter true,$(CI)),WERROR=1) check-run

tests: all $(TESTS)
check-run: tests
	@CC='$(CC)' DEP_CFLAGS='$(DEP_CFLAGS)' PANELFX=$(CURDIR)/panelfx \
		tests/run.sh $(BUILD)/logs $(TESTS) $(CLI_TESTS) $(SLURM_TESTS) .ci/check-layers.sh

# Slurm is for one test alone, which says SKIP without it: nobody who runs the tests is given its daemons unasked.
.PHONY: deps-slurm check-slurm
deps-slurm:
	@.ci/deps.sh install slurm || echo "no Slurm: its test will be skipped"
check-slurm: all deps-slurm  ## arrays of shards under a real Slurm, brought up for it on this host (tests/slurm)
	@PANELFX=$(CURDIR)/panelfx tests/run.sh $(BUILD)/logs $(SLURM_TESTS)

.PHONY: golden
golden: all  ## write tests/golden anew; look at the diff before committing
	@UPDATE_GOLDEN=1 PANELFX=$(CURDIR)/panelfx sh tests/cli/golden.sh

.PHONY: check-long check-det check-layers
check-long: all  ## the tests that take minutes (tests/long)
	@PANELFX=$(CURDIR)/panelfx tests/run.sh $(BUILD)/logs $(wildcard tests/long/*.sh)
check-det: all  ## the same bits at any thread count and instruction set (tests/det)
	@PANELFX=$(CURDIR)/panelfx tests/run.sh $(BUILD)/logs $(wildcard tests/det/*.sh)
check-layers:  ## no wrong-way include, no allocation or I/O in kernels, headers compile alone
	@CC='$(CC)' DEP_CFLAGS='$(DEP_CFLAGS)' .ci/check-layers.sh

# Builds with other flags: every test, and the program under the tests in tests/cli, under a checker.
ASAN := CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined'
TSAN := CC=clang CFLAGS='-O1 -g -fsanitize=thread'
.PHONY: asan tsan test-programs
test-programs: $(TESTS) $(PROGRAM)  ## every test of a build in its own folder
	@PANELFX=$(CURDIR)/$(PROGRAM) tests/run.sh $(BUILD)/logs $(TESTS) $(CLI_TESTS)
asan: export ASAN_OPTIONS := allocator_may_return_null=1:verify_asan_link_order=0:$(ASAN_OPTIONS)
asan:  ## AddressSanitizer and UBSan over every test and the program
	@+$(AGAIN) BUILD=build/asan $(ASAN) test-programs
tsan: export TSAN_OPTIONS := ignore_noninstrumented_modules=1:allocator_may_return_null=1:$(TSAN_OPTIONS)
tsan: export OMP_TOOL_LIBRARIES := $(shell clang -print-file-name=libarcher.so 2>/dev/null)
tsan:  ## ThreadSanitizer (clang, libomp and its Archer) over every test and the program
	@+$(AGAIN) BUILD=build/tsan $(TSAN) test-programs

.PHONY: cov cov-run
cov-run: $(TESTS) $(PROGRAM)
	@find $(BUILD) -name '*.gcda' -delete
	@PANELFX=$(CURDIR)/$(PROGRAM) tests/run.sh $(BUILD)/logs $(TESTS) $(CLI_TESTS)
cov:  ## lines that the tests run, file by file (gcc)
	@+$(AGAIN) BUILD=build/cov CC=gcc CFLAGS='-O0 -g --coverage -fprofile-update=atomic' cov-run
	@.ci/coverage.sh build/cov

.PHONY: analyze format
analyze:  ## clang-tidy, gating at zero findings
	clang-tidy --quiet --warnings-as-errors='*' $(LIB_SRC) $(MAIN) -- $(OURS) $(DEP_CFLAGS)
format:  ## clang-format all C sources in place
	clang-format -i $(LIB_SRC) $(MAIN) $(TEST_SRC) $(TEST_HELP_SRC) $(wildcard src/*/*.h hdf5_io/*.h kernels/*.h tests/*.h)

.PHONY: bench bench-compare bench-programs
BENCH_OPTIONS ?=
bench: all  ## measure this machine and the engine; a new record in bench/results (BENCH_OPTIONS='--rows N ...')
	@mkdir -p bench/results
	./panelfx bench $(BENCH_OPTIONS) -o bench/results/$(shell date -u +%Y%m%d-%H%M%S)-$(COMMIT).tsv
bench-compare: all  ## measure anew and print ratios to the last record; a slower run is no failure
	@ls bench/results/*.tsv >/dev/null 2>&1 || { echo "no record in bench/results yet: make bench writes one"; exit 1; }
	./panelfx bench $(BENCH_OPTIONS) -o $(BUILD)/bench.tsv --force --quiet >$(BUILD)/bench.txt
	@bench/compare.sh "$$(ls bench/results/*.tsv | tail -n 1)" $(BUILD)/bench.tsv
bench-programs: all $(BENCHES)  ## build the benchmark programs of single parts (bench/bench_*.c)

.PHONY: coverage
COVERAGE_OPTIONS ?=
coverage: $(BUILD)/bench/coverage/coverage  ## simulate coverage of intervals with few treated firms (COVERAGE_OPTIONS='--firms 200 ...')
	$< $(COVERAGE_OPTIONS)

MAN := $(wildcard src/man/*.1)
SLURM_SCRIPTS := slurm/submit slurm/status
SLURM_FILES := slurm/env.sh slurm/README.md $(wildcard slurm/*.sbatch)
BIN_DIR := $(DESTDIR)$(PREFIX)/bin
SHARE := $(DESTDIR)$(PREFIX)/share
.PHONY: install uninstall clean help
install: all  ## install program, man pages, shell completion and Slurm scripts under DESTDIR and PREFIX
	install -d $(BIN_DIR) $(SHARE)/man/man1 $(SHARE)/panelfx/slurm $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions
	install -m 755 panelfx $(BIN_DIR)/panelfx
	$(if $(MAN),install -m 644 $(MAN) $(SHARE)/man/man1)
	install -m 755 $(SLURM_SCRIPTS) $(SHARE)/panelfx/slurm
	install -m 644 $(SLURM_FILES) $(SHARE)/panelfx/slurm
	./panelfx completion bash --quiet >$(SHARE)/bash-completion/completions/panelfx
	./panelfx completion zsh --quiet >$(SHARE)/zsh/site-functions/_panelfx
uninstall:  ## remove what install put there
	rm -f $(BIN_DIR)/panelfx $(MAN:src/man/%=$(SHARE)/man/man1/%)
	rm -rf $(SHARE)/panelfx/slurm
	rm -f $(SHARE)/bash-completion/completions/panelfx $(SHARE)/zsh/site-functions/_panelfx
clean:  ## remove everything that was built
	rm -rf build panelfx
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile
