#!/usr/bin/env bash
# Measures what the cache is worth: the same people do the same on PostgreSQL with Redis and the cache, and without both.
#
#   RUNS=3 RATE=500 DURATION=20 WARMUP=5 BOUND=25 ./replay.sh
#
# First at one rate (calls a second) for both, then it looks for the greatest rate whose p99 stays under BOUND ms, of the Node.js
# peer as well (none with an empty BOUND). Its mix leaves out what the peer has not. `loadgen help replay` and README.md tell what people do. Raw reports are kept in results/.
set -euo pipefail
cd "$(dirname "$0")"

# What PostgreSQL and the server have counted so far, as JSON. A read is a statement that asks and changes nothing.
if [[ ${1:-} == probe ]]; then
  psql -XAtq "$2" >"$4.database" <<'SQL'
SELECT json_build_object(
  'reads', reads.calls, 'read_ms', reads.ms,
  'transactions', xact_commit, 'rows', tup_returned + tup_fetched, 'blocks', blks_hit + blks_read)
FROM pg_stat_database, (
  SELECT coalesce(sum(calls), 0) AS calls, coalesce(sum(total_exec_time + total_plan_time), 0) AS ms
  FROM pg_stat_statements WHERE query ~* '^\s*(select|with)'
    AND query !~* 'aim_(send|claim|commit|tell|add_tokens|count_attempt)|\m(insert|update|delete)\M|pg_stat|set_config'
) AS reads WHERE datname = current_database();
SQL
  curl -fs "$3/metrics" | awk '
    /^aim_cache_requests_total/ { asked += $2; if ($0 !~ /result="miss"/) hits += $2 }
    /^aim_reply_preparation_seconds_sum/ { seconds += $2 }
    /^aim_reply_preparation_seconds_count/ { replies += $2 }
    END { printf "{\"asked\":%d,\"hits\":%d,\"preparation_s\":%f,\"preparations\":%d}\n", asked, hits, seconds, replies }' \
    >"$4.server"
  jq -s 'add' "$4.database" "$4.server"
  exit
fi

runs=${RUNS:-3} duration=${DURATION:-20} warmup=${WARMUP:-5} rate=${RATE:-500} bound=${BOUND-25}
. ./lab.sh
servers=(aim-fleet aim-uncached)

begin() { # name of a server
  data=$(mktemp -d)
  # Nothing of it is used without the cache.
  [[ $1 == aim-uncached ]] || start_redis
  start_postgres shared_preload_libraries=pg_stat_statements pg_stat_statements.track=top pg_stat_statements.track_planning=on
  psql -Xq "$postgres_url" -c 'CREATE EXTENSION pg_stat_statements' >>"$results/$log.log" 2>&1
  on_load_cpu "$loadgen" stub --port "$ai_port" --chunks 32
  start_server "servers/$1.env" "$port"
}

for ((run = 1; run <= runs; run++)); do
  for server in "${servers[@]}"; do
    log=replay-$server
    echo "$rate calls/s, run $run of $runs, $server" >&2
    begin "$server"
    load replay --rate "$rate" --seconds "$duration" --warmup "$warmup" \
      --probe "./replay.sh probe '$postgres_url' '$url' '$data/probe'"
    stop
  done
done
for ((run = 1; run <= runs; run++)); do
  for server in "${servers[@]}" node; do
    [[ $bound ]] || break 2
    log=users-$server
    echo "the greatest rate under $bound ms, run $run of $runs, $server" >&2
    begin "$server"
    load replay --mix list=0 --rate "$rate" --p99-bound "$bound" --seconds "${SEARCH_DURATION:-5}" --warmup 2
    stop
  done
done

# What grew by nothing has no share and no mean.
share() { echo "(if $2 == 0 then null else $1 / $2 end)"; }
grown() { echo "(.probes[1].$1 - .probes[0].$1)"; }
cached=".calls | [.profile, .sheet]"
figures=(
  "reads per 1,000 calls|replay|$(grown reads) / .ops * 1000"
  "cost of reads, ms per 1,000 calls|replay|$(grown read_ms) / .ops * 1000"
  "transactions per 1,000 calls|replay|$(grown transactions) / .ops * 1000"
  "rows per 1,000 calls|replay|$(grown rows) / .ops * 1000"
  "blocks per 1,000 calls|replay|$(grown blocks) / .ops * 1000"
  "database CPU ms per 1,000 calls|replay|.database_cpu_ms_per_op * 1000"
  "server CPU ms per 1,000 calls|replay|.cpu_ms_per_op * 1000"
  "Redis CPU ms per 1,000 calls|replay|.redis_cpu_ms_per_op * 1000"
  "hit ratio %|replay|$(share "$(grown hits)" "$(grown asked)") | numbers * 100"
  "profile and sheet p50 ms|replay|$cached | map(.service_ms.p50) | add / 2"
  "profile and sheet p90 ms|replay|$cached | map(.service_ms.p90) | add / 2"
  "profile and sheet p99 ms|replay|$cached | map(.service_ms.p99) | max"
  "preparation of a reply, ms|replay|$(share "$(grown preparation_s)" "$(grown preparations)") | numbers * 1000"
  "p99 of all calls ms|replay|.latency_ms.p99"
)
[[ -z $bound ]] || figures+=("calls/s under $bound ms|users|.rate")
number() { # server, figure
  local IFS='|' part
  read -ra part <<<"$2"
  median "${part[1]}-$1" "${2#*|*|}"
}
{
  printf '%-32s %12s %12s %8s\n' "median of $runs" cached uncached change
  for figure in "${figures[@]}"; do
    a=$(number aim-fleet "$figure") b=$(number aim-uncached "$figure")
    printf '%-32s %12s %12s %8s\n' "${figure%%|*}" "$(jq -n "$a | if . then . * 1000 | round / 1000 else . end")" \
      "$(jq -n "$b | if . then . * 1000 | round / 1000 else . end")" \
      "$(jq -rn "$a as \$a | $b as \$b | if \$a and \$b and \$b != 0 then \"\((\$a / \$b - 1) * 100 | round)%\" else \"\" end")"
  done
  [[ -z $bound ]] || printf '%-32s %12s\n' "calls/s under $bound ms, node" "$(median users-node .rate)"
  for server in "${servers[@]}"; do
    echo; echo "$server: calls, service time ms"
    jq -rs '(map(.calls) | sort_by(.send.count))[0] | to_entries[] | "  \(.key) \(.value.service_ms)"' "$results/replay-$server.jsonl"
  done
} | tee "$results/replay.txt"
