#!/usr/bin/env bash
# Gives every reader of cards and chats what nobody would write, for SECONDS each, one after the other, and ends at the first that fails.
#
#   SECONDS_EACH=3600 scripts/fuzz.sh [TARGET…]      json, png, charx, card and chat unless given
#
# Needs rustup: a nightly compiler and cargo-fuzz are installed where they are missing. What was found interesting is kept in
# crates/cards/fuzz/corpus, and made small again at the end; what failed is written to crates/cards/fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/../crates/cards"

targets=("$@")
((${#targets[@]})) || targets=(json png charx card chat)
rustup toolchain list | grep -q ^nightly || rustup toolchain install nightly --profile minimal
command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked

cargo run --locked --quiet -p aim-cards --example fuzz_seeds -- fuzz/corpus
cargo +nightly fuzz build
for target in "${targets[@]}"; do
  echo "==> $target, ${SECONDS_EACH:-3600} seconds"
  cargo +nightly fuzz run "$target" -- -max_total_time="${SECONDS_EACH:-3600}" -timeout=30 -rss_limit_mb=1500 -max_len=16384 -print_final_stats=1
  cargo +nightly fuzz cmin "$target"
done
