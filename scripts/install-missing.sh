#!/usr/bin/env bash
# Installs what a fresh Debian lacks for `run`, `test` or `bench`, and says what; touches nothing when all is there.
# Rust and Node are yours to choose: it says which version is needed when they are missing or too old.
set -euo pipefail

purpose=${1:?run, test or bench}
packages=()
lacks() { command -v "$1" >/dev/null || packages+=("$2"); }

need() { # what, found version, least version, where to get it
  if [[ -z $2 ]] || [[ $(printf '%s\n' "$3" "$2" | sort -V | head -n 1) != "$3" ]]; then
    echo "aim needs $1 $3 or newer, ${2:-none} is here; see $4" >&2
    exit 1
  fi
}
need Rust "$(rustc --version 2>/dev/null | cut -d ' ' -f 2)" 1.95.0 https://rustup.rs
need Node "$(node --version 2>/dev/null | tr -d v)" 20.19.0 https://nodejs.org

lacks cc build-essential
# For libopus, which decodes most voice messages and is built with the server.
lacks cmake cmake
lacks curl curl
lacks python3 python3
python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
if [[ $purpose == test ]]; then
  lacks redis-server redis-server
  lacks openssl openssl
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || lacks initdb postgresql
  lacks chromium chromium
  lacks jq jq
  # For the example worker in Python, and for a whisper and an object store.
  python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || packages+=(python3-venv)
  # Sounds of every type, and speech to put into them.
  lacks ffmpeg ffmpeg
  lacks espeak-ng espeak-ng
fi
if [[ $purpose == bench ]]; then
  lacks redis-server redis-server
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || lacks initdb postgresql
  lacks psql postgresql-client
  lacks jq jq
  lacks taskset util-linux
fi
((${#packages[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "Please install ${packages[*]} as root: apt-get install ${packages[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "Installing Debian packages that are missing: ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}"
