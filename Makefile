# The commands of the project; `make` alone lists them. What they do is in scripts/ and CMakePresets.json.
.DEFAULT_GOAL := help
.PHONY: help bootstrap configure build demo test bench format lint

JOBS ?= $(shell nproc)
RELEASE := build/release
BENCH := build/bench
# cargo may have been installed by rustup a moment ago.
export PATH := $(PATH):$(HOME)/.cargo/bin

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 11 | sed 's/^/  make /'

bootstrap: ## install what the build needs (Debian packages, Rust, libtorch)
	scripts/bootstrap

configure:
	cmake --preset release --log-level=WARNING

build: bootstrap ## build the program
	@$(MAKE) --no-print-directory configure
	ninja -C $(RELEASE) -j $(JOBS) moelora
	@echo "The program: $(RELEASE)/apps/moelora/moelora"

demo: build ## build, then the whole of it on the bundled model and real data, in minutes
	$(RELEASE)/apps/moelora/moelora demo

test: ## everything CI runs
	scripts/bootstrap --tests
	@$(MAKE) --no-print-directory configure
	ninja -C $(RELEASE) -j $(JOBS)
	ctest --test-dir $(RELEASE) -j 2 --output-on-failure --no-tests=error

bench: bootstrap ## build and run the micro-benchmarks
	cmake --preset release -B $(BENCH) -DMOELORA_TESTS=OFF -DMOELORA_BENCHMARKS=ON
	ninja -C $(BENCH) -j $(JOBS)
	@for program in $$(find $(BENCH)/benchmarks -maxdepth 1 -type f -executable); do $$program || exit 1; done

format: ## format the C++ sources
	scripts/bootstrap --lint
	git ls-files -z '*.cpp' '*.h' | xargs -0 clang-format -i

lint: ## clang-tidy and the source rules, on what the last commit and the working tree change (ALL=1: on everything)
	scripts/bootstrap --lint
	@$(MAKE) --no-print-directory configure
	scripts/lint $(RELEASE) $(if $(ALL),--all)
