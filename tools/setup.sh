#!/usr/bin/env bash
# Installs what the demo or the tests need, and nothing that is there already.
# Usage: tools/setup.sh [demo|test]      (default: test, which is demo and the clients that the tests use)
#
# System packages come from Debian (as root, or by sudo), with no service started; the ClickHouse engine's library comes
# from its npm package and lands in $THM_CACHE (default ~/.cache/thamanya), checked against the digest below.
set -euo pipefail

purpose=${1:-test}
cache=${THM_CACHE:-$HOME/.cache/thamanya}

# The engine's version stands in crates/thm-dev/src/clickhouse/library.rs too; a test there compares them.
chdb_package=@chdb/lib-linux-x64-gnu
chdb_version=26.7.3-stable.1
chdb_tarball_sha256=c0d32b129e988f2b9a9a31c9141aecf5e1e2453f9a079efc4d36ab8e3f92b2ad
# Digest of the list below is the venv's stamp: a changed list makes a new one.
python_packages=(kafka-python==3.0.12 lz4==4.4.5 zstandard==0.25.0 python-snappy==0.7.3)

began=$EPOCHREALTIME
did=0
elapsed() { awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%6.1fs", b - a }'; }
say() { printf '%s  setup       %s\n' "$(elapsed)" "$*"; }
step() { did=$((did + 1)); say "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# quietly COMMAND...: its output shows only when it fails
quietly() {
  local output
  output=$(mktemp)
  "$@" >"$output" 2>&1 </dev/null || { cat "$output" >&2; rm -f "$output"; fail "this failed: $*"; }
  rm -f "$output"
}

as_root=()
can_install() {
  command -v apt-get >/dev/null || fail "missing: $*. Install them with your system's package manager, then run this again."
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null || fail "missing: $*. Install them as root (apt-get install $*), then run this again."
    as_root=(sudo)
  fi
}

# install PACKAGE...: from Debian. A policy-rc.d that says 101 keeps the packages from starting their services.
install() {
  can_install "$@"
  step "installing from Debian: $*"
  local policy=/usr/sbin/policy-rc.d made=no
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    made=yes
    trap '"${as_root[@]}" rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
  quietly "${apt[@]}" update
  quietly "${apt[@]}" install -y --no-install-recommends "$@"
  if [[ $made == yes ]]; then
    "${as_root[@]}" rm -f "$policy"
    trap - EXIT
  fi
}

has() { command -v "$1" >/dev/null 2>&1; }
has_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || has initdb; }

packages() {
  local missing=()
  has_postgres || missing+=(postgresql)
  has psql || missing+=(postgresql-client)
  has redis-server || missing+=(redis-server)
  has redis-cli || missing+=(redis-tools)
  has curl || missing+=(curl)
  has jq || missing+=(jq)
  has setpriv || missing+=(util-linux)
  { has cc && has make; } || missing+=(build-essential)
  [[ -e $(library) ]] || has npm || missing+=(npm)
  if [[ $purpose == test ]]; then
    has kcat || missing+=(kcat)
    has git || missing+=(git)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
  fi
  [[ ${#missing[@]} == 0 ]] || install "${missing[@]}"
}

# The toolchain of rust-toolchain.toml, through rustup.
rust() {
  export PATH="$PATH:$HOME/.cargo/bin"
  if ! has cargo && apt-cache show rustup >/dev/null 2>&1; then
    install rustup
  fi
  has cargo || fail "missing: the Rust toolchain. Install rustup (Debian 13 has it as a package), then run this again."
  local top
  top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  if ! (cd "$top" && cargo --version) >/dev/null 2>&1; then
    local channel
    channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' "$top/rust-toolchain.toml")
    has rustup || fail "cargo is there but does not run, and rustup is missing; Rust $channel is needed."
    step "installing Rust $channel"
    quietly rustup toolchain install "$channel" --profile minimal --component clippy,rustfmt
  fi
}

library() { echo "$cache/chdb/$chdb_version/libchdb.so"; }

clickhouse_library() {
  local target part
  target=$(library)
  [[ ! -e $target ]] || return 0
  [[ $(uname -sm) == 'Linux x86_64' ]] ||
    fail "the ClickHouse engine's library exists for x86-64 Linux only; use 'thm dev --clickhouse URL' with a server of yours."
  step "fetching the ClickHouse engine $chdb_version (178 MB, once)"
  mkdir -p "$(dirname "$target")"
  part=$(mktemp -d "$cache/chdb/part.XXXXXX")
  (cd "$part" && quietly npm pack --silent "$chdb_package@$chdb_version")
  echo "$chdb_tarball_sha256  $(echo "$part"/*.tgz)" | sha256sum --check --quiet - >&2 ||
    { rm -rf "$part"; fail "the fetched package is not the one whose digest this script knows"; }
  tar xzf "$part"/*.tgz -C "$part" package/libchdb.so
  mv "$part/package/libchdb.so" "$target"
  rm -rf "$part"
}

python_clients() {
  local venv=$cache/venv stamp
  stamp=$(printf '%s\n' "${python_packages[@]}")
  [[ $(cat "$venv/.packages" 2>/dev/null) != "$stamp" ]] || return 0
  step "installing Python's Kafka client for the tests"
  rm -rf "$venv"
  mkdir -p "$cache"
  quietly python3 -m venv "$venv"
  quietly "$venv/bin/pip" install --quiet "${python_packages[@]}"
  echo "$stamp" >"$venv/.packages"
}

case $purpose in
  demo | test) ;;
  *) sed -n '2,3s/^# //p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
packages
rust
clickhouse_library
[[ $purpose != test ]] || python_clients
if [[ $did == 0 ]]; then say "nothing is missing"; else say "done"; fi
