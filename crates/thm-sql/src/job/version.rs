//! Versions of a job. A job is known by its name; its version is the hash of its plan.
//!
//! ```text
//!   same name, plan changed ──┬─ same key, same look-ups ──▶ goes on where the old version was; a look-up whose table a source
//!                             │                              captures by now is fed by its topic from here on
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
    if !same_lookups(plan, checkpoint.lookups.iter().map(|lookup| lookup.hash.clone())) {
        return Err(other(plan, "a look-up has changed since the last checkpoint"));
    }
    Ok(())
}

/// Whether a plan can go on from another that runs.
pub(super) fn check_replace(plan: &JobPlan, running: &JobPlan) -> Result<()> {
    if running.key_hash() != plan.key_hash() {
        return Err(other(plan, "the sink's topic or key differs from that of the running version"));
    }
    if !same_lookups(plan, (0..running.graph.lookups.len()).map(|index| running.lookup_hash(index))) {
        return Err(other(plan, "a look-up differs from that of the running version"));
    }
    Ok(())
}

/// Whether a plan's look-ups are those of before, or asked their databases before and are fed by topics now.
fn same_lookups(plan: &JobPlan, before: impl ExactSizeIterator<Item = String>) -> bool {
    let same =
        |(index, before): (usize, String)| before == plan.lookup_hash(index) || before == plan.asked_lookup_hash(index);
    before.len() == plan.graph.lookups.len() && before.enumerate().all(same)
}

fn other(plan: &JobPlan, what: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, "resuming a job", plan.name.clone()).with_source(what.to_owned()).with_hint(
        "Say where the new version starts, with --from earliest, --from latest or --from a time; or give it another name \
         with SET 'pipeline.name' = '…', so that it starts anew.",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use crate::{Capture, CompileContext, compile};

    fn plan(captured: &'static str) -> JobPlan {
        let topic = move |schema: &str, table: &str| (table == captured).then(|| format!("pg.{schema}.{table}"));
        let sources = vec![Capture { database: "thm".to_owned(), topic: Arc::new(topic) }];
        let text = include_str!("../../../../flink/sql/01_enrich.sql");
        compile("test.sql", text, &CompileContext { sources, ..CompileContext::default() }).unwrap().jobs.remove(0)
    }

    #[test]
    fn a_job_goes_on_when_a_source_captures_its_look_up_and_not_when_it_stops_to() {
        let (asked, fed) = (plan("engagement_events"), plan("content"));
        assert!(asked.graph.lookups[0].topic().is_none() && fed.graph.lookups[0].topic().is_some());
        check_replace(&fed, &asked).unwrap();
        check_replace(&fed, &fed).unwrap();
        let refused = check_replace(&asked, &fed).unwrap_err();
        assert!(refused.to_string().contains("look-up"), "{refused:?}");
    }
}
