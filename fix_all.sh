#!/usr/bin/env bash
# The smoke test against a running stack: (re)creates the ClickHouse sink over REST, produces two sample records to
# thm.enriched.events, and sees them in ClickHouse and on the leaderboard. Safe to run again.
# Usage: ./fix_all.sh [options of `thm smoke`]      THM_DATA: the data folder of `thm dev` (default .thm)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

thm=${THM_BIN:-${CARGO_TARGET_DIR:-target}/release/thm}
[[ -x $thm ]] || tools/step.sh 'building the release binary' cargo build --release -p thm --bin thm

# What `thm dev` wrote for its engine says where everything listens.
export THM_CONFIG=${THM_CONFIG:-${THM_DATA:-.thm}/thm.toml}
exec "$thm" smoke "$@"
