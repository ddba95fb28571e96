#!/usr/bin/env bash
# Runs a command under a heading and says how long it took.
# Usage: tools/step.sh "what it does" COMMAND...
set -euo pipefail
heading=$1
shift
printf '== %s\n' "$heading"
began=$EPOCHREALTIME
status=0
"$@" || status=$?
took=$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1fs", b - a }')
if [[ $status == 0 ]]; then printf '== %s: done in %s\n' "$heading" "$took"; else printf '== %s: failed after %s\n' "$heading" "$took" >&2; fi
exit "$status"
