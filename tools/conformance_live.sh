#!/usr/bin/env bash
# Runs cases on the real Debezium in a real Kafka Connect and on our source, each on a PostgreSQL of its own, and compares
# every record, with what differs from run to run replaced as in the recordings. Ends as `make conformance-source` does.
# Usage: tools/conformance_live.sh [CASES]
#   default: crates/thm-connect/tests/conformance_source/live, and those of debezium/ there that came from it (live-*)
# CASES is a folder of cases, or one case; their form is told by tools/reference/record_debezium.py.
# Exit codes: 0 nothing differs, or skipped because the real stack cannot be had here; 1 something differs; 2 not compared.
# PG=VERSION for both sides; KEEP=1 keeps the recordings, logs and data.
set -euo pipefail
clone=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cases=${1:+$(realpath "$1")}
source "$clone/tools/reference/common.sh"
work=$home/conformance-live

skip() { echo "skipped: $*"; exit 0; }
for program in java mvn curl psql unshare python3; do
  command -v "$program" >/dev/null || skip "the real stack needs $program, which is not here"
done

exec 9>"$home/conformance-live.lock"
flock -n 9 || { echo "a comparison is running (see $work/run)" >&2; exit 2; }
programs=$("$clone/tools/postgres_programs.sh" "${PG:-}")

# Downloads are shared with the other scripts; data, logs and process ids are this run's own.
fetch kafka && fetch connect-file && fetch connect-mirror && fetch debezium ||
  skip "Maven could not fetch the packages of tools/reference/pom.xml"
python=$home/lib/kafka-python
if [[ ! -e $python/.done ]]; then
  python3 -m venv "$python" && "$python/bin/pip" install -q kafka-python==3.0.12 || skip "kafka-python could not be installed"
  touch "$python/.done"
fi
rm -rf "$work"
mkdir -p "$work"/{data,log,run}
if [[ -z $cases ]]; then
  cases=$work/cases
  mkdir "$cases"
  cp -r "$clone"/crates/thm-connect/tests/conformance_source/{live/*,debezium/live-*} "$cases"
  rm -f "$cases"/*/{records,schema}*.jsonl
fi
ln -s "$home/lib" "$work/lib"
[[ ! -e $home/postgres ]] || ln -s "$home/postgres" "$work/postgres"
export REFERENCE_HOME=$work
home=$work

stop_all() {
  "$here/connect.sh" stop
  "$here/kafka.sh" stop
  "$here/postgres.sh" stop
}

finish() {
  local code=$?
  trap - EXIT
  stop_all
  if [[ -n ${KEEP:-} || $code != 0 ]]; then echo "recordings, logs and data are in $work" >&2; else rm -rf "$work"; fi
  exit "$code"
}

read -r PG_PORT KAFKA_PORT KAFKA_CONTROLLER_PORT CONNECT_PORT < <(python3 -c 'import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
print(*(s.getsockname()[1] for s in held))')
export PG_PORT KAFKA_PORT KAFKA_CONTROLLER_PORT CONNECT_PORT
export KAFKA_BOOTSTRAP=127.0.0.1:$KAFKA_PORT CONNECT_URL=http://127.0.0.1:$CONNECT_PORT CONNECT_LOG=$work/log/connect.log
case $programs in /usr/lib/postgresql/*) export PG_FLAVOUR=system ;; *) export PG_FLAVOUR=maven ;; esac

trap finish EXIT
trap 'exit 130' INT TERM
{ "$here/postgres.sh" start && "$here/kafka.sh" start && "$here/connect.sh" start; } || exit 2
echo "recording the real connector"
recorded=0
"$python/bin/python" "$here/record_debezium.py" "$cases" "$work/recorded" || recorded=$?
stop_all
compgen -G "$work/recorded/*/records.raw.jsonl" >/dev/null || { echo "nothing could be recorded" >&2; exit 2; }
echo "replaying ours"
cd "$clone"
cargo test --quiet --locked -p thm-connect --test conformance_source -- --postgres "$programs" "$work/recorded"
[[ $recorded == 0 ]] || { echo "not every case could be recorded: see NOT RECORDED above" >&2; exit 2; }
