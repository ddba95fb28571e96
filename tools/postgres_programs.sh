#!/usr/bin/env bash
# Prints the folder of the programs of a major version of PostgreSQL, for tests that take any: the system's where it has
# that version, else those that Maven's client fetches for tools/reference (pom.xml there names the release).
# Usage: tools/postgres_programs.sh [VERSION]      (default: the newest of the system)
set -euo pipefail
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
wanted=${1:-}
fail() { printf 'postgres_programs: %s\n' "$*" >&2; exit 1; }

if [[ -z $wanted ]]; then
  newest=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -1) || fail "no PostgreSQL is installed; run tools/setup.sh"
  echo "$newest"
elif [[ -x /usr/lib/postgresql/$wanted/bin/initdb ]]; then
  echo "/usr/lib/postgresql/$wanted/bin"
else
  pinned=$(sed -n 's/.*<postgres.version>\([0-9]*\)\..*/\1/p' "$tools/reference/pom.xml")
  [[ $wanted == "$pinned" ]] ||
    fail "PostgreSQL $wanted is neither installed nor the one that tools/reference/pom.xml names ($pinned)"
  for program in mvn unzip xz; do
    command -v "$program" >/dev/null || fail "missing: $program, which fetching PostgreSQL $wanted needs (Debian: maven, unzip, xz-utils)"
  done
  PG_FLAVOUR=maven "$tools/reference/postgres.sh" binaries ||
    fail "PostgreSQL $wanted could not be fetched; is a Maven repository within reach?"
fi
