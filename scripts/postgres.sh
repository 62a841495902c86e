#!/usr/bin/env bash
# A PostgreSQL for tests: a fresh cluster on a free port of this machine, whatever else runs here.
#
#   scripts/postgres.sh [SETTING=VALUE…]
#
# Prints its URL once it answers, and ends with everything in it when standard input is closed, so it never outlives whoever
# started it. PostgreSQL does not run as root: root lends it the user of Debian's package.
set -euo pipefail

say() { echo "postgres: $*" >&2; }

shopt -s nullglob
found=(/usr/lib/postgresql/*/bin)
if ((${#found[@]})); then
  # The newest.
  bin=$(printf '%s\n' "${found[@]}" | sort -V | tail -n 1)
elif command -v initdb >/dev/null; then
  bin=$(dirname "$(command -v initdb)")
else
  say "there is no PostgreSQL here: apt-get install postgresql"
  exit 1
fi

as=()
if ((EUID == 0)); then
  as=(setpriv --reuid=postgres --regid=postgres --init-groups)
fi

data=$(mktemp -d /tmp/aim-postgres-XXXXXX)
server=
end() {
  if [[ -n $server ]]; then
    # SIGINT: whoever is connected is not waited for.
    kill -INT "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$data"
}
trap end EXIT
((EUID != 0)) || chown postgres "$data"
cd "$data"

"${as[@]}" "$bin/initdb" --pgdata="$data/data" --username=aim --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync \
  >"$data/initdb.log" 2>&1 || { cat "$data/initdb.log" >&2; exit 1; }

settings=(-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300)
for setting in "$@"; do settings+=(-c "$setting"); done

for _ in 1 2 3 4 5; do
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  "${as[@]}" "$bin/postgres" -D "$data/data" -p "$port" "${settings[@]}" </dev/null >"$data/log" 2>&1 &
  server=$!
  # Somebody else may have taken the port meanwhile: then it ends, and the next one is tried.
  while kill -0 "$server" 2>/dev/null; do
    if "$bin/pg_isready" --quiet --host=127.0.0.1 --port="$port" && grep -q 'ready to accept connections' "$data/log"; then
      echo "postgres://aim@127.0.0.1:$port/postgres"
      cat >/dev/null
      exit 0
    fi
    sleep 0.05
  done
  server=
done
cat "$data/log" >&2
say "it did not start"
exit 1
