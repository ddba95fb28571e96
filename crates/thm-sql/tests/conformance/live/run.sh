#!/usr/bin/env bash
# Asks a real Flink (the packages that the reference scripts have fetched) the statements of FOLDER and compares.
# usage: run.sh CONFORMANCE_BINARY FOLDER OUT    FOLDER has templates (*.txt, see templates.rs), recorded cases (*.jsonl), or
# jobs with topics (topics/, see topics/__main__.py), for which a Kafka of its own is started and stopped
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
binary=$1 folder=$2 out=$3
flink=${REFERENCE_HOME:-$HOME/.cache/thamanya-reference}/flink-${FLINK_VERSION:-1.20.3}
[[ -d $flink/lib ]] || { echo "run.sh: no Flink in $flink: run the reference's 'flink.sh install' first" >&2; exit 1; }
mkdir -p "$out/classes" "$out/cases"
rm -f "$out/cases"/*
options=(-Xmx1g -XX:MaxMetaspaceSize=1536m -XX:TieredStopAtLevel=1 -Duser.timezone=UTC -Dfile.encoding=UTF-8 -Dlog4j2.level=ERROR)
for package in java.util java.util.concurrent java.util.concurrent.atomic java.util.concurrent.locks java.lang java.lang.reflect java.lang.invoke java.net java.io java.nio java.math java.text java.time sun.net.util sun.nio.ch sun.util.calendar; do
  options+=("--add-opens=java.base/$package=ALL-UNNAMED")
done
port=0
kafka() { REFERENCE_HOME=$out/kafka KAFKA_PORT=$port KAFKA_CONTROLLER_PORT=$controller "$here/../../../../../tools/reference/kafka.sh" "$1" >&2; }
start_kafka() {
  [[ -d $folder/topics ]] || grep -qs "kafka'" "$folder"/*.jsonl || return 0
  read -r port controller < <(python3 -c 'import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*[each.getsockname()[1] for each in held])')
  mkdir -p "$out/kafka"
  ln -sfn "$(dirname "$flink")/lib" "$out/kafka/lib"
  trap 'kafka wipe' EXIT
  kafka start
}
javac -cp "$flink/lib/*" -d "$out/classes" "$here"/*.java
start_kafka
for file in "$folder"/*.txt "$folder"/*.jsonl "$folder"/topics; do
  [[ -e $file ]] || continue
  if [[ -d $file ]]; then
    echo "jobs with topics: asking" >&2
    PYTHONDONTWRITEBYTECODE=1 python3 "$file" ${TOPIC:+"$TOPIC"}
    continue
  fi
  topic=$(basename "${file%.*}")
  [[ -n ${TOPIC:-} && $topic != "$TOPIC" ]] && continue
  echo "$topic: asking" >&2
  echo "{\"topic\": \"$topic\"}"
  case $file in
    *.txt) "$binary" --expand "$file" ;;
    *) cat "$file" ;;
  esac
done | nice java "${options[@]}" "-Dkafka=127.0.0.1:$port" -cp "$out/classes:$flink/lib/*" Record "$out/cases" >"$out/flink.log" 2>&1 ||
  { echo "run.sh: Flink gave up: see $out/flink.log" >&2; exit 1; }
"$binary" --cases "$out/cases" --verbose "${VERBOSE:-FAILED}"
