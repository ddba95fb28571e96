#!/usr/bin/env bash
# Runs the DAG airflow/dags/thamanya_bootstrap.py in a real Apache Airflow (from PyPI, SQLite) against a local stack that
# was started without connectors, twice: all five tasks must succeed both times, and rows must reach ClickHouse.
# Usage: tools/check_airflow.sh      THM_BIN: the binary (default: the release build)      a few minutes the first time
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

thm=${THM_BIN:-${CARGO_TARGET_DIR:-target}/release/thm}
cache=${THM_CACHE:-$HOME/.cache/thamanya}
venv=$cache/airflow
tasks=(clickhouse_create_db clickhouse_create_table wait_for_clickhouse_sink_plugin register_debezium_source
  register_clickhouse_sink)
work=$(mktemp -d /tmp/thm-airflow.XXXXXX)
stack=
fail() { printf 'check_airflow: %s\n' "$*" >&2; exit 1; }
stop() {
  if [[ -n $stack ]]; then kill "$stack" 2>/dev/null || true; wait "$stack" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap stop EXIT

if ! cmp -s airflow/requirements.txt "$venv/.requirements"; then
  echo '== installing Airflow'
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --no-deps --requirement airflow/requirements.txt
  cp airflow/requirements.txt "$venv/.requirements"
fi

echo '== starting a stack without connectors'
[[ -x $thm ]] || tools/step.sh 'building the release binary' cargo build --release --locked -p thm --bin thm
chmod 755 "$work"
"$thm" dev --plain --data "$work/data" --ports auto --no-connectors --rate 20 >"$work/dev.log" 2>&1 &
stack=$!
for _ in $(seq 600); do
  ! grep -q 'Everything runs' "$work/dev.log" || break
  kill -0 "$stack" 2>/dev/null || { cat "$work/dev.log" >&2; fail 'the stack did not start'; }
  sleep 0.1
done
url() { sed -n "s,^ *$1  *\(http://[^ /]*\).*,\1,p" "$work/dev.log" | head -n 1; }
THM_CLICKHOUSE_URL=$(url ClickHouse)
THM_CONNECT_URL=$(url 'Kafka Connect REST')
export THM_CLICKHOUSE_URL THM_CONNECT_URL
[[ -n $THM_CLICKHOUSE_URL && -n $THM_CONNECT_URL ]] || { cat "$work/dev.log" >&2; fail 'the stack did not say where it listens'; }

export AIRFLOW_HOME=$work/airflow AIRFLOW__CORE__DAGS_FOLDER=$PWD/airflow/dags AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=sqlite:///$work/airflow/airflow.db AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False
export PYTHONDONTWRITEBYTECODE=1 NO_PROXY='*' PATH=$venv/bin:$PATH
mkdir -p "$AIRFLOW_HOME"
echo "== $(airflow version 2>/dev/null | tail -n 1): preparing its database"
airflow db migrate >"$work/migrate.log" 2>&1 || { cat "$work/migrate.log" >&2; fail 'airflow db migrate failed'; }

# state_of TASK: of its newest run
state_of() {
  python3 - "$AIRFLOW_HOME/airflow.db" "$1" <<'PYTHON'
import sqlite3, sys

query = "SELECT state FROM task_instance WHERE task_id = ? ORDER BY end_date DESC LIMIT 1"
row = sqlite3.connect(sys.argv[1]).execute(query, (sys.argv[2],)).fetchone()
print(row[0] if row else "missing")
PYTHON
}

for run in first second; do
  echo "== the $run run of the DAG"
  airflow dags test thamanya_bootstrap >"$work/test.log" 2>&1 || { tail -n 60 "$work/test.log" >&2; fail 'the DAG failed'; }
  for task in "${tasks[@]}"; do
    state=$(state_of "$task")
    [[ $state == success ]] || { tail -n 60 "$work/test.log" >&2; fail "task $task: $state"; }
    printf 'ok  %s\n' "$task"
  done
done

echo '== rows in ClickHouse'
for _ in $(seq 100); do
  rows=$(curl -s "$THM_CLICKHOUSE_URL/?query=SELECT%20count()%20FROM%20thm.enriched_events")
  [[ $rows =~ ^[0-9]+$ && $rows -gt 4000 ]] && break
  sleep 0.2
done
[[ $rows =~ ^[0-9]+$ && $rows -gt 4000 ]] || fail "only $rows rows in ClickHouse"
echo "ok  $rows rows"
echo '10 passed, 0 failed'
