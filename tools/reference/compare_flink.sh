#!/usr/bin/env bash
# Runs flink/sql/01_enrich.sql on this clone's engine and, unchanged, on a real Flink, from the same topic bytes and the same
# database; compares what they write to thm.enriched.events, key by key, byte for byte. Ends with `N equal, N different`.
# Usage: compare_flink.sh [SQL_FILE]
# Exit codes: 0 all equal, 1 some differ, 2 not compared.
# THM=PROGRAM (default: builds this clone's, debug); COMPARE_HOST (default 127.0.0.9): where the file's postgres:5432 and
# redpanda:9092 are for the real Flink; KEEP=1 leaves data, logs and dumps.
set -euo pipefail
clone=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
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
  psql_as thm -f "$parts/events_before.sql"
}

# Our engine alone: source and SQL job, no sinks.
start_thm() {
  read -r kafka_port connect_port flink_port <<<"$(free_ports 3)"
  thm_kafka=127.0.0.1:$kafka_port
  cat >"$work/thm.toml" <<CONF
data_dir = "$work/data/thm"
connectors = ["$clone/connectors/pg.engagement.source.json"]
sql = ["$sql"]
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
  start_thm
  topic await "$thm_kafka" "$events" '{"id":1}' 60 # snapshot first, then the stream
  topic produce "$thm_kafka" "$events" "$parts/foreign.txt"
  psql_as app -f "$parts/events_after.sql"
  topic await "$thm_kafka" "$enriched" "$last_key" 60
  topic dump "$thm_kafka" "$enriched" "$work/ours.jsonl"
  "$here/kafka.sh" start
  topic copy "$thm_kafka" "$host:9092" "$events"
  halt thm
}

run_flinks() {
  read -r FLINK_REST_PORT FLINK_RPC_PORT <<<"$(free_ports 2)"
  export FLINK_REST_PORT FLINK_RPC_PORT FLINK_HOSTS_FILE=$work/hosts FLINK_SLOTS=1
  printf '%s\n' "$host postgres redpanda" "127.0.0.1 localhost $(hostname)" >"$FLINK_HOSTS_FILE"
  "$here/flink.sh" start
  # the client exits 0 after an error: what counts is the job
  "$here/flink.sh" sql "$sql" >"$work/log/sql-client.out" 2>&1 </dev/null
  local jobs=http://127.0.0.1:$FLINK_REST_PORT/jobs job
  job=$(curl -fsS "$jobs" | grep -o '"id":"[0-9a-f]\{32\}"' | cut -d'"' -f4) ||
    { tail -n 40 "$work/log/sql-client.out" >&2; echo "Flink refused the file" >&2; exit 2; }
  topic await "$host:9092" "$enriched" "$last_key" 120 ||
    { curl -fsS "$jobs/$job/exceptions?maxExceptions=1" >&2; exit 2; }
  topic dump "$host:9092" "$enriched" "$work/flinks.jsonl"
}

exec 9>"$home/compare-flink.lock"
flock -n 9 || { echo "a comparison is running, or one that was killed left processes behind (see $work/run)" >&2; exit 2; }
prepare
trap give_up EXIT
trap 'exit 130' INT TERM
start_database
run_ours
run_flinks
stop_all
trap - EXIT

code=0
result=$(topic differ "$work/ours.jsonl" "$work/flinks.jsonl") || code=1
if [[ -n ${KEEP:-} || $code != 0 ]]; then echo "data, logs and dumps are in $work"; else rm -rf "$work"; fi
echo "$result"
exit "$code"
