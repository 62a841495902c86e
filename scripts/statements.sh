#!/usr/bin/env bash
# Writes down what a server of this version asks of PostgreSQL, so that the versions after it can be held to it:
# crates/store/migrations/postgres/statements/NNNN.sql, where NNNN is how many migrations there are. Run it for a release.
#
#   scripts/statements.sh
#
# They are what PostgreSQL saw while the conformance tests ran.
set -euo pipefail
cd "$(dirname "$0")/.."

migrations=(crates/store/migrations/postgres/*.sql)
out=crates/store/migrations/postgres/statements/$(printf '%04d' "${#migrations[@]}").sql
mkdir -p "$(dirname "$out")"
[[ -e $out ]] || : >"$out"

coproc postgres {
  exec scripts/postgres.sh fsync=off shared_preload_libraries=pg_stat_statements pg_stat_statements.max=50000
}
read -r AIM_TEST_POSTGRES_URL <&"${postgres[0]}"
export AIM_TEST_POSTGRES_URL
psql -Xq "$AIM_TEST_POSTGRES_URL" -c 'CREATE EXTENSION pg_stat_statements'
cargo nextest run --workspace --locked --features local-model -E 'package(aim-store) & test(/^postgres::tests::conformance/)'
# Without what migrations ask of functions of their own.
psql -XAtq --record-separator=$'\n;\n' "$AIM_TEST_POSTGRES_URL" >"$out" <<'SQL'
SELECT DISTINCT query COLLATE "C" FROM pg_stat_statements
WHERE query ~* '^\s*(select|with|insert|update|delete)\M' AND query !~* 'pg_stat_statements|aim_migrations|aim_creator|pg_advisory|set_config'
ORDER BY 1;
SQL
echo "$out: $(grep -c '^;$' "$out") statements"
