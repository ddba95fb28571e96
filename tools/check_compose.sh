#!/usr/bin/env bash
# Has the real Docker Compose check docker-compose.yml. No Docker engine is needed for that, and Compose is a Go module.
# Usage: tools/check_compose.sh [--json]      --json prints what Compose makes of the file, all values filled in
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=v2.40.3
folder=${THM_CACHE:-$HOME/.cache/thamanya}/compose-$version
fail() { printf 'check_compose: %s\n' "$*" >&2; exit 1; }

if [[ ! -x $folder/cmd ]]; then
  command -v go >/dev/null || fail 'missing: Go, which builds Docker Compose'
  echo "== building Docker Compose $version (once)" >&2
  mkdir -p "$folder"
  build=$(mktemp -d)
  # Inside of a module of our own: `go install` of a module with exclusions is refused.
  (cd "$build" && go mod init check >"$build/log" 2>&1 &&
    go get "github.com/docker/compose/v2/cmd@$version" >>"$build/log" 2>&1 &&
    go build -o "$folder/cmd" github.com/docker/compose/v2/cmd >>"$build/log" 2>&1) || { cat "$build/log" >&2; fail 'it did not build'; }
  rm -rf "$build"
fi
if [[ ${1:-} == --json ]]; then
  exec "$folder/cmd" --profile '*' config --format json
fi
"$folder/cmd" --profile '*' config --quiet
services=$("$folder/cmd" --profile '*' config --services | sort | paste -sd ' ')
echo "ok  docker-compose.yml is valid: $services"
