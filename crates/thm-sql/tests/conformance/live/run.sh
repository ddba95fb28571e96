#!/usr/bin/env bash
# Asks a real Flink (the packages that the reference scripts have fetched) the statements of FOLDER and compares.
# usage: run.sh CONFORMANCE_BINARY FOLDER OUT    FOLDER has templates (*.txt, see templates.rs) or recorded cases (*.jsonl)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
binary=$1 folder=$2 out=$3
flink=${REFERENCE_HOME:-$HOME/.cache/thamanya-reference}/flink-${FLINK_VERSION:-1.20.3}
[[ -d $flink/lib ]] || { echo "run.sh: no Flink in $flink: run the reference's 'flink.sh install' first" >&2; exit 1; }
mkdir -p "$out/classes" "$out/cases"
rm -f "$out/cases"/*
options=(-Xmx768m -XX:MaxMetaspaceSize=768m -Duser.timezone=UTC -Dfile.encoding=UTF-8 -Dlog4j2.level=ERROR)
for package in java.util java.util.concurrent java.util.concurrent.atomic java.util.concurrent.locks java.lang java.lang.reflect java.lang.invoke java.net java.io java.nio java.math java.text java.time sun.net.util sun.nio.ch sun.util.calendar; do
  options+=("--add-opens=java.base/$package=ALL-UNNAMED")
done
javac -cp "$flink/lib/*" -d "$out/classes" "$here"/*.java
for file in "$folder"/*.txt "$folder"/*.jsonl; do
  [[ -e $file ]] || continue
  topic=$(basename "${file%.*}")
  [[ -n ${TOPIC:-} && $topic != "$TOPIC" ]] && continue
  echo "$topic: asking" >&2
  echo "{\"topic\": \"$topic\"}"
  case $file in
    *.txt) "$binary" --expand "$file" ;;
    *) cat "$file" ;;
  esac
done | nice java "${options[@]}" -cp "$out/classes:$flink/lib/*" Record "$out/cases" >"$out/flink.log" 2>&1 ||
  { echo "run.sh: Flink gave up: see $out/flink.log" >&2; exit 1; }
exec "$binary" --cases "$out/cases" --verbose "${VERBOSE:-FAILED}"
