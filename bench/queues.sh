#!/usr/bin/env bash
# Jobs a second, added and run one at a time and 50 at a time, by this server's queues and by Node's BullMQ, in turn on the same
# Redis: RUNS=3 ./queues.sh
set -euo pipefail
cd "$(dirname "$0")"

. ./lab.sh
log=queues data=$(mktemp -d)
speed=$(realpath -m "${CARGO_TARGET_DIR:-../target}")/release/examples/queue_speed
[[ -x $speed ]] || cargo build --release --locked -p aim-backbone --example queue_speed
[[ -d peer-node/node_modules ]] || npm --prefix peer-node ci --no-audit --no-fund
start_redis
redis_url=redis://127.0.0.1:$redis_port

for ((run = 1; run <= ${RUNS:-3}; run++)); do
  for who in aim node; do
    echo "run $run, $who" >&2
    redis-cli -p "$redis_port" flushall >/dev/null
    case $who in
      aim) taskset -c "$server_cpu" "$speed" "$redis_url" ;;
      node) taskset -c "$server_cpu" node peer-node/src/queue-speed.js "$redis_url" ;;
    esac >>"$results/queues-$who.txt"
  done
done

# Of lines such as `add, 50 at a time   12345 jobs/s` the median of each kind.
medians() { # who
  awk '{ figure = $(NF - 1); $NF = $(NF - 1) = ""; print $0 "\t" figure }' "$results/queues-$1.txt" |
    sort -t $'\t' -k1,1 -k2,2n | awk -F '\t' '
      $1 != kind { tell(); kind = $1; n = 0 } { figures[n++] = $2 }
      function tell() { if (n) print kind "\t" figures[int(n / 2)] } END { tell() }'
}
{
  printf '%-24s %12s %12s %8s\n' "jobs/s, median of ${RUNS:-3}" aim node ratio
  join -t $'\t' <(medians aim) <(medians node) | awk -F '\t' '{ printf "%-24s %12d %12d %8.1f\n", $1, $2, $3, $2 / $3 }'
} | tee "$results/queues.txt"
