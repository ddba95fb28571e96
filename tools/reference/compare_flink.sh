#!/usr/bin/env bash
# Runs flink/sql/01_enrich.sql on this clone's engine and, unchanged, on a real Flink, from the same topic bytes and the same
# database; compares what they write to thm.enriched.events, key by key, byte for byte. Ends with `N equal, N different`.
# Usage: compare_flink.sh [--rows N] [SQL_FILE]
# Exit codes: 0 all equal, 1 some differ, 2 not compared.
# With --rows it takes N plain events instead of odd ones, and measures: CPU seconds and peak memory of the engine (source, log
# and job, from its start on) and of JobManager + TaskManager (from the statement's submission on, started and warm), until the last
# row is in the topic. The last line is then `measured {…}`. Nothing is installed for that: `compare_flink.sh` alone does it.
# THM=PROGRAM (default: builds this clone's, debug); COMPARE_HOST (default 127.0.0.9): where the file's postgres:5432 and
# redpanda:9092 are for the real Flink; KEEP=1 leaves data, logs and dumps.
set -euo pipefail
clone=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
rows=
if [[ ${1:-} == --rows ]]; then rows=$2; shift 2; fi
sql=$(realpath "${1:-$clone/flink/sql/01_enrich.sql}")
source "$clone/tools/reference/common.sh"

events=pg.public.engagement_events enriched=thm.enriched.events
last_key='{"id":9223372036854775807}'
parts=$here/compare work=$home/compare-flink
host=${COMPARE_HOST:-127.0.0.9}
export PG_HOST=$host PG_PORT=5432 KAFKA_HOST=$host KAFKA_PORT=9092 KAFKA_CONTROLLER_PORT=9093

free_ports() {
  python3 -c 'import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in held))' "$1"
}

# What measuring needs and an earlier comparison has installed.
missing() {
  local program
  for program in java curl psql python3; do command -v "$program" >/dev/null || { echo "$program"; return; }; done
  [[ -e $home/lib/kafka/.done ]] || { echo "Apache Kafka"; return; }
  [[ -e $home/lib/kafka-python/.done ]] || { echo kafka-python; return; }
  compgen -G "$home/flink-[0-9]*/.complete" >/dev/null || echo "Apache Flink"
}

# Downloads are shared with the other scripts; data, logs and process ids are this run's own.
prepare() {
  fetch kafka
  "$here/flink.sh" install
  topics=$home/lib/kafka-python
  if [[ ! -e $topics/.done ]]; then
    python3 -m venv "$topics"
    "$topics/bin/pip" install -q kafka-python==3.0.12
    touch "$topics/.done"
  fi
  [[ -n ${THM:-} ]] || (cd "$clone" && cargo build -q -p thm)
  thm=$(realpath "${THM:-${CARGO_TARGET_DIR:-$clone/target}/debug/thm}")
  rm -rf "$work"; mkdir -p "$work"
  ln -s "$home/lib" "$work/lib"
  for flink in "$home"/flink-[0-9]*; do ln -s "$flink" "$work/"; done
  export REFERENCE_HOME=$work
  home=$work; mkdir -p "$home"/{data,log,run}
}

stop_all() {
  "$here/flink.sh" stop
  "$here/kafka.sh" stop
  halt thm
  "$here/postgres.sh" stop
}

give_up() {
  local code=$?
  trap - EXIT
  stop_all
  echo "not compared; data and logs are in $work" >&2
  exit "$((code == 1 ? 2 : code))"
}

psql_as() { # user (its password is its name), psql's arguments
  PGPASSWORD=$1 psql -qX -v ON_ERROR_STOP=1 -h "$host" -p 5432 -U "$1" -d thm "${@:2}" >/dev/null
}

start_database() {
  "$here/postgres.sh" start
  psql_as thm -c "CREATE ROLE app LOGIN REPLICATION PASSWORD 'app'" -c "ALTER DATABASE thm OWNER TO app"
  psql_as app -f "$clone/db/init/01_schema.sql" -f "$clone/db/init/02_content.sql"
  if [[ -n $rows ]]; then
    psql_as app -v rows="$rows" -f "$parts/events_plain.sql"
  else
    psql_as thm -f "$parts/events_before.sql"
  fi
}

# CPU time so far, milliseconds, of processes with their ended threads
cpu_ms() {
  local pid sum=0 stat
  for pid in "$@"; do
    stat=$(<"/proc/$pid/stat"); read -ra stat <<<"${stat##*) }"
    sum=$((sum + stat[11] + stat[12]))
  done
  echo $((sum * 1000 / $(getconf CLK_TCK)))
}

# Sum of the most that each of the processes had in memory so far, KiB
peak_kib() {
  local pid
  for pid in "$@"; do grep VmHWM "/proc/$pid/status"; done | awk '{ sum += $2 } END { print sum }'
}

# Our engine alone: source and SQL job (or no job), no sinks.
start_thm() { # SQL files, as TOML
  read -r kafka_port connect_port flink_port <<<"$(free_ports 3)"
  thm_kafka=127.0.0.1:$kafka_port
  cat >"$work/thm.toml" <<CONF
data_dir = "$work/data/thm"
connectors = ["$clone/connectors/pg.engagement.source.json"]
sql = [$1]
[server]
connect_port = $connect_port
flink_port = $flink_port
[[server.kafka]]
port = $kafka_port
advertise = "$thm_kafka"
[hosts]
"postgres:5432" = "$host:5432"
"redpanda:9092" = "$thm_kafka"
CONF
  launch thm "$thm" run --config "$work/thm.toml"
  await thm 60 curl -fs "http://127.0.0.1:$flink_port/overview"
}

topic() { "$topics/bin/python" "$parts/topics.py" "$@"; }

run_ours() {
  start_thm "\"$sql\""
  topic await "$thm_kafka" "$events" '{"id":1}' 60 # snapshot first, then the stream
  topic produce "$thm_kafka" "$events" "$parts/foreign.txt"
  psql_as app -f "$parts/events_after.sql"
  topic await "$thm_kafka" "$enriched" "$last_key" 60
  topic dump "$thm_kafka" "$enriched" "$work/ours.jsonl"
  "$here/kafka.sh" start
  topic copy "$thm_kafka" "$host:9092" "$events"
  halt thm
}

# The source fills the topic; then the engine starts again, with the job.
measure_ours() {
  start_thm ""
  topic await-count "$thm_kafka" "$events" "$rows" 600
  "$here/kafka.sh" start
  topic copy "$thm_kafka" "$host:9092" "$events"
  halt thm
  local began=$EPOCHREALTIME pid
  start_thm "\"$sql\""
  pid=$(pid_of thm)
  topic await-count "$thm_kafka" "$enriched" "$rows" 600
  ours=$(measured 0 "$began" "$pid")
  topic dump "$thm_kafka" "$enriched" "$work/ours.jsonl"
  halt thm
}

measured() { # CPU time at the beginning, when that was, processes
  local seconds
  seconds=$(awk -v a="$2" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }')
  echo "{\"cpu_ms\": $(($(cpu_ms "${@:3}") - $1)), \"peak_rss_kib\": $(peak_kib "${@:3}"), \"seconds\": $seconds}"
}

run_flinks() {
  read -r FLINK_REST_PORT FLINK_RPC_PORT <<<"$(free_ports 2)"
  export FLINK_REST_PORT FLINK_RPC_PORT FLINK_HOSTS_FILE=$work/hosts FLINK_SLOTS=1
  printf '%s\n' "$host postgres redpanda" "127.0.0.1 localhost $(hostname)" >"$FLINK_HOSTS_FILE"
  "$here/flink.sh" start
  local pids began=$EPOCHREALTIME before
  pids=("$(<"$work/flink-data/jobmanager.pid")" "$(<"$work/flink-data/taskmanager.pid")")
  before=$(cpu_ms "${pids[@]}")
  # the client exits 0 after an error: what counts is the job
  "$here/flink.sh" sql "$sql" >"$work/log/sql-client.out" 2>&1 </dev/null
  local jobs=http://127.0.0.1:$FLINK_REST_PORT/jobs job
  job=$(curl -fsS "$jobs" | grep -o '"id":"[0-9a-f]\{32\}"' | cut -d'"' -f4) ||
    { tail -n 40 "$work/log/sql-client.out" >&2; echo "Flink refused the file" >&2; exit 2; }
  if [[ -n $rows ]]; then
    # the list after `fi` takes errexit away from what is in here
    topic await-count "$host:9092" "$enriched" "$rows" 600 &&
      flinks=$(measured "$before" "$began" "${pids[@]}")
  else
    topic await "$host:9092" "$enriched" "$last_key" 120
  fi || { curl -fsS "$jobs/$job/exceptions?maxExceptions=1" >&2; exit 2; }
  topic dump "$host:9092" "$enriched" "$work/flinks.jsonl"
}

if [[ -n $rows ]]; then
  lacks=$(missing)
  [[ -z $lacks ]] || { echo "skipped: $lacks is not here; tools/reference/compare_flink.sh installs the real Flink (needs Java 17, Maven, Python 3)"; exit 0; }
fi
exec 9>"$home/compare-flink.lock"
flock -n 9 || { echo "a comparison is running, or one that was killed left processes behind (see $work/run)" >&2; exit 2; }
prepare
trap give_up EXIT
trap 'exit 130' INT TERM
start_database
if [[ -n $rows ]]; then measure_ours; else run_ours; fi
run_flinks
stop_all
trap - EXIT

code=0
result=$(topic differ "$work/ours.jsonl" "$work/flinks.jsonl") || code=1
if [[ -n ${KEEP:-} || $code != 0 ]]; then echo "data, logs and dumps are in $work"; else rm -rf "$work"; fi
echo "$result"
[[ -z $rows ]] || echo "measured {\"rows\": $rows, \"ours\": $ours, \"flink\": $flinks}"
exit "$code"
