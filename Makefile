# `make run` serves aim on this machine, `make test` runs every test; both install what is missing on a fresh Debian
# and do nothing twice. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help run test soak fuzz model page modules openapi fmt lint check bench clean ready-to-run ready-to-test ready-to-bench

release := $(or $(CARGO_TARGET_DIR),target)/release
debug := $(or $(CARGO_TARGET_DIR),target)/debug
model := models/demo.gguf
# Python packages that tests need, each in an environment of its own beside its list.
python_envs := $(patsubst %/requirements.txt,%/.venv/installed,$(wildcard tests/*/requirements.txt examples/workers/*/requirements.txt))
say = @printf '\n==> %s\n'

# What the page is made of, and the packages of each Node project in the tree.
page_sources := $(shell find web \( -name node_modules -o -path web/dist -o -path web/dist-board -o -path web/coverage \) -prune -o -type f -print 2>/dev/null)
node_modules := $(patsubst %/package-lock.json,%/node_modules/.package-lock.json,web/package-lock.json $(wildcard tests/*/package-lock.json examples/workers/*/package-lock.json))

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ready-to-run web/dist/index.html $(model) ## Build and serve on this machine, with demo characters and a small built-in model
	$(say) "Building the server (some 15 minutes the first time on two cores)"
	cargo build --release --locked -p aim-server --features local-model
	@mkdir -p data
	@host=$${AIM_HTTP__HOST:-127.0.0.1} port=$${AIM_HTTP__PORT:-8080}; \
	printf '\n  aim is at http://%s:%s/  Ctrl+C stops it; what is said is kept in data/.\n' "$$host" "$$port"; \
	printf '  The small built-in model answers unless AIM_AI__PROVIDER, _BASE_URL, _MODEL and _API_KEY name a better one.\n\n'
	@export AIM_PROFILE=$${AIM_PROFILE:-development} AIM_AI__LOCAL__MODEL_PATH=$${AIM_AI__LOCAL__MODEL_PATH:-$(model)}; \
	exec $(release)/aim serve

test: ready-to-test modules web/dist/index.html $(model) ## Run every test: the workspace's, the page's, the contract's, the browser's
	@scripts/test.sh

soak: ready-to-test modules web/dist/index.html ## Break every single thing under load, and hold it against what is promised, on an idle machine; FAULTS="name of a case" chooses
	cargo build --locked -p aim-server --features local-model
	cd tests/fleet/faults && AIM_TEST_STRICT=1 AIM_BIN=$(abspath $(debug)/aim) FAULTS=$${FAULTS:-all} node --test --test-reporter=spec faults.test.mjs
	@if [ -z "$${FAULTS:-}" ]; then \
		(cd tests/fleet && AIM_TEST_STRICT=1 AIM_BIN=$(abspath $(debug)/aim) node --test --test-reporter=spec cache.test.mjs) && \
		AIM_TEST_ARRIVALS=1000000 cargo test --locked -p aim-backbone --lib random_arrivals; \
	fi

fuzz: ## Give the readers of cards and chats what nobody would write, for an hour each; SECONDS_EACH chooses how long
	@scripts/fuzz.sh

model: $(model) ## Fetch the small built-in model

page: web/dist/index.html ## Build the page, and gather that of the queues

modules: $(node_modules) $(python_envs)

openapi: web/node_modules/.package-lock.json web/dist/index.html ## Write the OpenAPI document and the page's types anew from the code
	cargo build --workspace --locked --features local-model --bins --tests
	$(debug)/aim openapi > $(debug)/openapi.json
	cp $(debug)/openapi.json web/openapi.json
	cd web && npx --no-install prettier --write openapi.json
	npm --prefix web run types

fmt: web/node_modules/.package-lock.json ## Format Rust and the page
	cargo fmt --all
	npm --prefix web run format

lint: web/node_modules/.package-lock.json web/dist/index.html ## Lint Rust and the page
	cargo clippy --workspace --locked --all-targets --features local-model -- -D warnings
	npm --prefix web run lint

check: ready-to-test modules web/dist/index.html ## Format, lints, generated files and dependencies, as CI checks them
	@scripts/check.sh

bench: ready-to-bench web/dist/index.html ## Measure the server beside its Node.js peer; RUNS, DURATION and SCENARIOS choose how much
	$(say) "Building the server and the load generator"
	cargo build --release --locked -p aim-server --features local-model
	cargo build --release --locked --manifest-path bench/loadgen/Cargo.toml --target-dir bench/loadgen/target
	@$(MAKE) --no-print-directory bench/peer-node/node_modules/.package-lock.json
	cd bench && AIM_BIN=$(abspath $(release)/aim) ./compare.sh servers/aim.env servers/node.env

clean: ## Remove what was built; data and models stay
	cargo clean
	rm -rf web/dist web/dist-board bench/loadgen/target bench/results $(dir $(node_modules)) $(dir $(python_envs)) bench/peer-node/node_modules

ready-to-run ready-to-test ready-to-bench: ready-to-%:
	@scripts/install-missing.sh $*

# The server embeds the page, so a changed page makes a new binary.
web/dist/index.html: web/node_modules/.package-lock.json $(page_sources)
	$(say) "Building the page"
	npm --prefix web run build
	@touch $@

# Npm writes this file last, so it stands for a whole installation.
%/node_modules/.package-lock.json: %/package-lock.json
	$(say) "Installing the packages of $*"
	cd $* && npm ci --no-audit --no-fund
	@touch $@

%/.venv/installed: %/requirements.txt
	$(say) "Installing the Python packages of $*"
	python3 -m venv --clear $*/.venv
	$*/.venv/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(model):
	$(say) "Fetching the demo model"
	scripts/fetch-demo-model.sh $@
