#!/usr/bin/env bash
# Every test there is, suite by suite, each to its end: `make test`, which prepares page, model and packages first.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export AIM_BIN=$target/debug/aim
export AIM_QUEUE_PEER=$target/debug/examples/queue_peer
export AIM_AI__LOCAL__MODEL_PATH=$PWD/models/demo.gguf

# One PostgreSQL for the workspace's tests, each with a database of its own. It ends when its standard input does.
coproc postgres { exec scripts/postgres.sh fsync=off; }
postgres_pid=$postgres_PID
end_postgres() {
  exec {postgres[1]}>&-
  wait "$postgres_pid" || true
}
trap end_postgres EXIT
read -r AIM_TEST_POSTGRES_URL <&"${postgres[0]}" || {
  echo "PostgreSQL, which the tests need, did not start: see above" >&2
  exit 1
}
export AIM_TEST_POSTGRES_URL

# Tests and binary in one build: built apart, Cargo resolves their features differently and compiles much of it twice.
build() { cargo build --workspace --locked --features local-model --bins --tests --example queue_peer; }

workspace_tests() {
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked --features local-model --profile "${NEXTEST_PROFILE:-default}"
  else
    echo "cargo-nextest is not here (cargo install --locked cargo-nextest); cargo test runs the same tests, slower"
    cargo test --workspace --locked --features local-model --bins --tests --no-fail-fast
  fi
}

node_tests() { # folder
  cd "$1"
  # One file after the other: each starts servers of its own, and the machine may be small.
  node --test --test-concurrency=1 --test-reporter=spec ./*.test.mjs
}

fleet_contract() { CONTRACT_OVER=fleet node_tests tests/contract; }

step "page: unit tests" npm --prefix web test
step "servers and a network for the tests" node_tests tests/lib
step "workspace: build" build
if ((step_code == 0)); then
  step "workspace: tests" workspace_tests
  step "interop: Node's BullMQ and our queues" node_tests tests/interop
  step "contract: the official client and the server" node_tests tests/contract
  step "contract: each client of another server" fleet_contract
  step "media: tus's client, a real whisper, an object store" node_tests tests/media
  step "mail: a real SMTP server, and who is killed while he sends" node_tests tests/mail
  step "fleet: servers and workers that act as one" node_tests tests/fleet
  step "fleet: what breaks while messages are under way" node_tests tests/fleet/faults
  step "browser: Chromium and the server" node_tests tests/browser
else
  left_out "all that runs what was to be built" "the build failed"
fi
closing "Tests"
