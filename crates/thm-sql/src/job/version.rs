//! Versions of a job. A job is known by its name; its version is the hash of its plan.
//!
//! ```text
//!   same name, plan changed ──┬─ same key, same look-ups ──▶ goes on where the old version was
//!                             └─ another key or look-up ───▶ refused, unless told where to start (--from):
//!                                                            then it starts anew, as a producer of its own
//! ```

use std::str::FromStr;

use thm_api::{Error, ErrorKind, Result};

use super::checkpoint::Checkpoint;
use crate::planner::{JobPlan, form};

/// Where a job starts by order, whatever its checkpoint says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The start of its topics.
    Earliest,
    /// Their end.
    Latest,
    /// The first records at or after a time, milliseconds since 1970.
    Timestamp(i64),
}

impl FromStr for From {
    type Err = Error;

    /// `earliest`, `latest`, milliseconds since 1970, or an ISO-8601 time.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        let parsed =
            text.parse().ok().or_else(|| Some(chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis()));
        parsed.map(Self::Timestamp).ok_or_else(|| {
            Error::new(ErrorKind::InvalidConfig, "reading --from", text.to_owned())
                .with_hint("Write earliest, latest, or a time such as 2026-01-02T03:04:05Z.")
        })
    }
}

/// Whether a plan can go on from what another left.
pub(super) fn check_resume(plan: &JobPlan, checkpoint: &Checkpoint) -> Result<()> {
    if !form::is_current(&checkpoint.key) {
        return Err(other(plan, "the last checkpoint is of a version that knew keys and look-ups in another form"));
    }
    if checkpoint.key != plan.key_hash() {
        return Err(other(plan, "the sink's topic or key has changed since the last checkpoint"));
    }
    let now: Vec<String> = (0..plan.graph.lookups.len()).map(|index| plan.lookup_hash(index)).collect();
    if checkpoint.lookups.iter().map(|lookup| &lookup.hash).ne(&now) {
        return Err(other(plan, "a look-up has changed since the last checkpoint"));
    }
    Ok(())
}

/// Whether a plan can go on from another that runs.
pub(super) fn check_replace(plan: &JobPlan, running: &JobPlan) -> Result<()> {
    if running.key_hash() != plan.key_hash() {
        return Err(other(plan, "the sink's topic or key differs from that of the running version"));
    }
    let hashes = |plan: &JobPlan| -> Vec<String> {
        (0..plan.graph.lookups.len()).map(|index| plan.lookup_hash(index)).collect()
    };
    if hashes(plan) != hashes(running) {
        return Err(other(plan, "a look-up differs from that of the running version"));
    }
    Ok(())
}

fn other(plan: &JobPlan, what: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, "resuming a job", plan.name.clone()).with_source(what.to_owned()).with_hint(
        "Say where the new version starts, with --from earliest, --from latest or --from a time; or give it another name \
         with SET 'pipeline.name' = '…', so that it starts anew.",
    )
}
