#!/usr/bin/env bash
# Everything that is checked without running the product: format, lints, generated files, what the dependencies are.
# `make check`, which prepares the packages first.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
cache=${AIM_CI_CACHE:-$HOME/.cache/aim-ci}

clippy() { cargo clippy --workspace --locked --all-targets --features local-model -- -D warnings; }

# The page's types come from the server's OpenAPI document; both are kept in the tree, and must be what the code says.
openapi() {
  cargo build --workspace --locked --features local-model --bins --tests
  # Not local: the trap runs when the step's subshell ends, after this function.
  made=$(mktemp -d)
  trap 'rm -rf "$made"' EXIT
  "$target/debug/aim" openapi | jq -S . >"$made/openapi.json"
  diff -u <(jq -S . web/openapi.json) "$made/openapi.json" || {
    echo "web/openapi.json is not what the server publishes; make openapi writes it anew" >&2
    exit 1
  }
  cd web
  # What has a default may be left out, by the server too.
  npx --no-install openapi-typescript openapi.json --default-non-nullable=false --output "$made/schema.d.ts" >/dev/null
  npx --no-install prettier --stdin-filepath src/api/schema.d.ts <"$made/schema.d.ts" |
    diff -u src/api/schema.d.ts - || {
    echo "web/src/api/schema.d.ts is not made from web/openapi.json; make openapi writes it anew" >&2
    exit 1
  }
}

dependencies() {
  export PATH=$PATH:$cache/bin
  if ! command -v cargo-deny >/dev/null; then
    echo "Installing cargo-deny into $cache, once; it takes some minutes"
    # A target folder of its own: what it shares with the workspace was built with other features.
    env -u CARGO_TARGET_DIR cargo install cargo-deny --version '^0.20' --locked --root "$cache"
  fi
  cargo deny --workspace --all-features check bans licenses sources --hide-inclusion-graph
}

step "format: Rust" cargo fmt --all --check
step "format: page" npm --prefix web run format:check
step "names of Redis's keys" scripts/keys.sh
step "lint: page" npm --prefix web run lint
step "build: page" npm --prefix web run build
step "generated: OpenAPI document and types" openapi
step "lint: Rust" clippy
step "dependencies: cargo deny" dependencies
closing "Checks"
