# Sourced by compare.sh and replay.sh: what a run starts, and how it ends. Every run starts from nothing: a Redis, a
# database and a stub model of its own. The server runs on SERVER_CPU; the load generator, the stub, Redis and PostgreSQL
# on LOAD_CPU.

server_cpu=${SERVER_CPU:-0} load_cpu=${LOAD_CPU:-1}
base=${PORT_BASE:-17800}
port=$base second_port=$((base + 1)) redis_port=$((base + 2)) ai_port=$((base + 3))
url=http://127.0.0.1:$port second_url=http://127.0.0.1:$second_port
loadgen=loadgen/target/release/loadgen
results=${RESULTS:-results/$(date +%Y%m%d-%H%M%S)}
pids=() server_pids=() data='' redis_pid='' postgres_pid='' postgres_url=

[[ -x $loadgen ]] || (cd loadgen && cargo build --release --locked --target-dir target)
mkdir -p "$results"
ulimit -n "$(ulimit -Hn)"

stop() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  if [[ $postgres_pid ]]; then
    exec {hold}>&-
    wait "$postgres_pid" 2>/dev/null || true
  fi
  [[ -z $data ]] || rm -rf "$data"
  pids=() server_pids=() data='' redis_pid='' postgres_pid='' postgres_url=
}
trap stop EXIT

on_load_cpu() { taskset -c "$load_cpu" "$@" >>"$results/$log.log" 2>&1 & pids+=($!); }

start_redis() {
  on_load_cpu redis-server --port "$redis_port" --save '' --appendonly no --dir "$data"
  redis_pid=$!
  local i
  for i in {1..50}; do
    redis-cli -p "$redis_port" ping >/dev/null 2>&1 && return
    sleep 0.1
  done
  echo "Redis does not start, see $results/$log.log" >&2
  exit 1
}

# It ends when the other side of its standard input is closed.
start_postgres() { # settings of PostgreSQL
  mkfifo "$data/hold" "$data/address"
  taskset -c "$load_cpu" ../scripts/postgres.sh "$@" <"$data/hold" >"$data/address" 2>>"$results/$log.log" &
  postgres_pid=$!
  exec {hold}>"$data/hold"
  read -r postgres_url <"$data/address" || { echo "PostgreSQL does not start, see $results/$log.log" >&2; exit 1; }
}

start_server() { # env file, port, further variables
  (
    port=$2
    . "$1"
    shift 2
    (($# == 0)) || export "$@"
    cd "$dir"
    exec taskset -c "$server_cpu" $command
  ) >>"$results/$log.log" 2>&1 &
  pids+=($!) server_pids+=($!)
  local pid=$! i
  for i in {1..200}; do
    curl -fs -o /dev/null "http://127.0.0.1:$2/health/ready" && return
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  echo "the server of $1 does not answer, see $results/$log.log" >&2
  exit 1
}

# Makes a load with what runs, and keeps its report.
load() { # arguments of the load generator
  local pid_list database=()
  pid_list=$(IFS=,; echo "${server_pids[*]}")
  [[ -z $postgres_pid ]] || database=(--database-pid "$postgres_pid")
  [[ -z $redis_pid ]] || database+=(--redis-pid "$redis_pid")
  taskset -c "$load_cpu" "$loadgen" "$@" --url "$url" --server-pid "$pid_list" "${database[@]}" \
    2>>"$results/$log.log" | tail -1 >>"$results/$log.jsonl" || echo "$log FAILED: $(tail -3 "$results/$log.log")" >&2
}

median() { # name of a report, jq path
  jq -rs "[.[] | $2 | numbers] | sort | if length == 0 then null else .[length / 2 | floor] end" "$results/$1.jsonl"
}
