# The two commands of a newcomer are `make demo` and `make test`; `make help` lists all.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PREFIX  ?= /usr/local
DESTDIR ?=
PROGRAMS ?= 100000
SEED     ?= 1
SECONDS  ?= 60
MINUTES  ?= 10
BUILDS   ?= 100

# Asked only when needed: `make help` must work before Rust is there.
# Under sudo there may be no rustc.
arch       = $(or $(shell rustc -vV 2>/dev/null | sed -n 's/^host: \([^-]*\)-.*/\1/p'),$(shell uname -m))
target_dir = $(abspath $(or $(CARGO_TARGET_DIR),target))
released   = $(target_dir)/release
client     = $(target_dir)/$(arch)-unknown-linux-musl/client/distcc
stage_dir  = $(target_dir)/stage
corpus_dir = $(target_dir)/corpus
engine_dir = $(target_dir)/engine
debian_dir = $(target_dir)/debian
stubs_dir  = $(target_dir)/stubs

# For the include engine: a quarter of an hour of one processor.
more_programs = INCLUDES_PROGRAMS=5000 INCLUDES_EDITED_PROGRAMS=600

# Installed copies are compared first (-C): whoever runs a program at this moment keeps it whole.
install_program = install -C -m 755
install_text    = install -C -m 644
# With `make stage`, "//bin" would be the result of PREFIX=/.
into            = $(DESTDIR)$(PREFIX:/=)

.PHONY: build
build: ## build all programs
	@scripts/setup build
	cargo build --release -p distccd -p agent -p tools -p scan-includes
	cargo build -p distcc --profile client --target $(arch)-unknown-linux-musl

.PHONY: demo
demo: staged ## build everything, then pump a real C++ program through two servers started here
	@scripts/demo $(stage_dir)/bin

.PHONY: test
test: ## lint, then every test; with CI=true or FULL=1 the builds of redis and git too, and more random programs
	@scripts/setup build test
	@$(MAKE) --no-print-directory lint staged
	PUMPCC_STAGE=$(stage_dir) $(if $(filter true 1,$(CI) $(FULL)),$(more_programs)) cargo test --no-fail-fast --workspace
	$(if $(filter true 1,$(CI) $(FULL)),@$(MAKE) --no-print-directory corpus-test)

.PHONY: corpus-test
corpus-test: ## build redis and git, pumped, and compare; scan five projects beside both compilers (some minutes)
	@scripts/setup build bare test corpus
	@$(MAKE) --no-print-directory staged
	PUMPCC_STAGE=$(stage_dir) cargo test -p end-to-end --features corpus --test corpus
	PUMPCC_STAGE=$(stage_dir) cargo test -p end-to-end --features corpus --test identity some_of
	PUMPCC_STAGE=$(stage_dir) cargo test -p end-to-end --features corpus --test other_release

.PHONY: identity
identity: ## compile five projects here, on our server in an empty root and on another engine: is each file the same? NAME=git for one
	@scripts/setup build bare test corpus
	@$(MAKE) --no-print-directory staged
	@# gcc's .dwo files follow its addresses.
	PUMPCC_STAGE=$(stage_dir) setarch -R cargo test -p end-to-end --features corpus --test identity all_of::$(NAME) -- --test-threads=1

# Counters in all code tell which inputs reach something new; the crate `fuzz` reads them.
counted = -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 \
          -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
parsers = agent command distcc distccd engine hosts includes protocol sandbox scan-includes statedir tools

.PHONY: fuzz
fuzz: ## give each parser of foreign bytes random inputs for SECONDS=60 (some thirty parsers)
	@scripts/setup build
	FUZZ_SECONDS=$(SECONDS) RUSTFLAGS="$(counted)" cargo test --no-fail-fast --profile fuzz \
	    --target $(arch)-unknown-linux-gnu --target-dir $(target_dir)/fuzz \
	    $(addprefix -p ,$(parsers)) --lib --bin distccd --bin distcc --test in_memory fuzzed -- --nocapture --test-threads=1

.PHONY: soak
soak: ## builds on our servers for MINUTES=10 while all is killed, filled, starved, slow; is anything left, or wrong?
	@scripts/setup build test
	@$(MAKE) --no-print-directory staged
	PUMPCC_STAGE=$(stage_dir) cargo run --release -p end-to-end --bin soak -- --minutes $(MINUTES)

.PHONY: kill-builds
kill-builds: ## BUILDS=100 small builds by actions, in each of which a server, the agent, an engine or ssh is killed
	@scripts/setup build test
	@$(MAKE) --no-print-directory staged
	PUMPCC_STAGE=$(stage_dir) cargo run --release -p end-to-end --bin kill-builds -- --builds $(BUILDS)

.PHONY: random-programs
random-programs: ## compare the include engine with gcc and clang on PROGRAMS=100000 random programs, from SEED=1
	@scripts/setup build test
	INCLUDES_PROGRAMS=$(PROGRAMS) INCLUDES_EDITED_PROGRAMS=$(PROGRAMS:%000=%0) INCLUDES_SEED=$(SEED) \
	    cargo test --release -p includes --test differential -- --nocapture

.PHONY: bench-includes
bench-includes: ## the include engine beside clang-scan-deps and the compilers' own -M (some minutes, idle machine)
	@scripts/setup build test corpus bench
	cargo run --release -p bench --bin include-engine

.PHONY: bench-client
bench-client: ## what a compile costs the client's side, beside the packaged distcc (some minutes, idle machine)
	@scripts/setup build test corpus bench
	@$(MAKE) --no-print-directory staged
	PUMPCC_STAGE=$(stage_dir) cargo run --release -p bench --bin client-cost

.PHONY: bench-server
bench-server: ## what a compile costs the server, beside the packaged distccd (some minutes, idle machine)
	@scripts/setup build test corpus bench
	@$(MAKE) --no-print-directory staged
	PUMPCC_STAGE=$(stage_dir) cargo run --release -p bench --bin server-cost

.PHONY: bench-actions
bench-actions: ## what a compile by an action costs client, server and wire (some minutes, idle machine)
	@scripts/setup build test corpus bench
	@$(MAKE) --no-print-directory staged
	PUMPCC_STAGE=$(stage_dir) cargo run --release -p bench --bin action-cost

.PHONY: lint
lint: ## formatting, clippy, shellcheck
	@scripts/setup build
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	shellcheck .ci/run scripts/*

.PHONY: install
install: ## install below $(DESTDIR)$(PREFIX) (PREFIX=/usr/local)
	@# Without cargo, what was built before is installed.
	@if command -v cargo >/dev/null; then $(MAKE) --no-print-directory build; fi
	install -d "$(into)/bin" "$(into)/sbin" "$(into)/lib/distcc" "$(into)/share/doc/pumpcc/docs"
	for program in distccd pump include_server lsdistcc distccmon-text scan-includes; do \
	    $(install_program) "$(released)/$$program" "$(into)/bin/$$program"; \
	done
	$(install_program) "$(client)" "$(into)/bin/distcc"
	$(install_program) "$(released)/update-distcc-symlinks" "$(into)/sbin/update-distcc-symlinks"
	ln -sfn pump "$(into)/bin/distcc-pump"
	for compiler in $$(scripts/compilers); do \
	    ln -sfn ../../bin/distcc "$(into)/lib/distcc/$$compiler"; \
	done
	install -d "$(into)/share/man/man1" "$(into)/share/man/man8"
	$(install_text) man/*.1 "$(into)/share/man/man1/"
	$(install_text) man/*.8 "$(into)/share/man/man8/"
	ln -sfn pump.1 "$(into)/share/man/man1/distcc-pump.1"
	$(install_text) README.md DESIGN.md LICENSE-MIT LICENSE-APACHE "$(into)/share/doc/pumpcc/"
	$(install_text) docs/*.md "$(into)/share/doc/pumpcc/docs/"

# The programs as an installed tree, for demo and tests.
.PHONY: staged
staged:
	@mkdir -p $(target_dir)
	@flock $(target_dir)/.stage.lock $(MAKE) --no-print-directory install PREFIX=/ DESTDIR=$(stage_dir) >/dev/null

.PHONY: stage
stage: staged ## build all programs, install them below target/stage, and print where that is
	@echo $(stage_dir)

.PHONY: corpus
corpus: ## unpack the source of the Debian package NAME= below target/corpus
	@scripts/corpus $(corpus_dir) $(NAME)

.PHONY: engine
engine: ## get an engine of the Remote Execution API that tests use, buildbox-casd, below target/engine
	@scripts/engine $(engine_dir)

.PHONY: stubs
stubs: ## get a client library of that API that tests use, for Python, below target/stubs
	@scripts/stubs $(stubs_dir)

.PHONY: bare-server
bare-server: ## build distccd as one static file, for a root folder of nothing else, and print where it is
	@scripts/setup build bare
	@cargo build --quiet --release -p distccd --target $(arch)-unknown-linux-musl
	@echo $(target_dir)/$(arch)-unknown-linux-musl/release/distccd

.PHONY: static-pump
static-pump: ## build pump and include_server as static files, for machines with an older C library, and print their folder
	@scripts/setup build bare
	@cargo build --quiet --release -p agent --target $(arch)-unknown-linux-musl
	@echo $(target_dir)/$(arch)-unknown-linux-musl/release

.PHONY: debian-root
debian-root: ## make a root folder of Debian's RELEASE= with its compilers, below target/debian, for tests (as root)
	@scripts/debian-root $(debian_dir) $(RELEASE)

.PHONY: setup
setup: ## install all that any target needs (as root: Debian packages too)
	@scripts/setup build bare test corpus

.PHONY: clean
clean: ## remove all that was made
	cargo clean
	$(MAKE) -C examples/raytracer clean

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile
