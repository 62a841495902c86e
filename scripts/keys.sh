#!/usr/bin/env bash
# Names of Redis's keys and channels are made in crates/backbone/src/keys.rs alone: looks for one that is written
# anywhere else in the room that speaks to Redis. Scripts in Lua are given theirs as KEYS, or what they begin with as
# ARGV. Tests may write names out, since names are what they check.
set -euo pipefail
cd "$(dirname "$0")/.."

keys=crates/backbone/src/keys.rs

shipped() { # extension
  git ls-files "crates/backbone/src/*.$1" | grep -vE '/tests/|/tests\.rs$|/conformance/' | grep -vxF "$keys"
}

# Line by line as FILE:LINE:TEXT, without comments and the module of tests that a file ends with.
code() {
  awk 'FNR == 1 { tests = 0; before = "" }
    before ~ /^#\[cfg\(test\)\]/ && /^mod tests \{/ { tests = 1 }
    { before = $0 }
    tests == 0 && !/^ *(\/\/|--)/ { print FILENAME ":" FNR ":" $0 }' "$@"
}

# The words that names begin with, as keys.rs has them: `user:profile`, `ratelimit`, `turn:2`, `epoch`, …
words=$(code $keys | sed -E 's/^[^:]*:[0-9]+://' | grep -oE '"[^"]*"' | tr -d '"' |
  sed -E 's/\{\{+|\}\}+//g; s/\{[^}]*\}/\n/g' | sed -E 's/^:+//; s/:+$//' | grep -E '^[a-z][a-z0-9:]*$' | sort -u)
[[ $(wc -l <<<"$words") -ge 20 ]] || { echo "$keys no longer reads as this script expects" >&2; exit 1; }
begins=$(paste -sd'|' <<<"$words")

mapfile -t rust < <(shipped rs)
mapfile -t lua < <(shipped lua)
((${#rust[@]} && ${#lua[@]})) || { echo "the files of crates/backbone are not where this script looks for them" >&2; exit 1; }
found=$({
  # A name after a prefix or before a value, a prefix before anything, and what is given to a command as it is.
  code "${rust[@]}" | grep -E "\"(aim:|(\{[^}\"]*\})*($begins):[{\"])|\"\{[^}\"]*\}:?($begins)\"" || true
  code "${rust[@]}" | grep -E 'format!\("[^"]*\{[^}"]*prefix|format!\("[^"]*", *([a-z_.]*\.)?prefix' || true
  code "${rust[@]}" | grep -E 'cmd\("[A-Z]+"\)\.arg\("[^"]*:|"\{[^}"]*\}:[a-z]+"' || true
  code "${lua[@]}" | grep -E "'[a-z]+:|call\('[A-Z]+', *'|aim:" || true
} | sort -u)
[[ -z $found ]] || {
  echo "Names of Redis's keys and channels belong into $keys:" >&2
  echo "$found" >&2
  exit 1
}
