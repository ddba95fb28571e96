//! What a test may switch off in a sink: one mechanism each, so that its promise is seen to fall without it.
//!
//! | name | without it |
//! |---|---|
//! | `clickhouse.no-token` | inserts are not deduplicated: a repeated range is there twice |
//! | `clickhouse.no-delete` | deleted rows, and the old places of moved ones, stay |
//! | `clickhouse.delete-before-insert` | a repeated range loses rows: its insert is deduplicated after they were deleted |
//! | `clickhouse.no-early-commit` | a range with deletes comes again after later ranges, and takes their rows |
//! | `clickhouse.no-delete-session` | a delete that comes late takes rows of later ranges |
//! | `redis.no-fence` | nothing is compared: what Redis lost, or holds from another place, is gone on with |
//! | `redis.no-take-back` | updates and deletes leave the old score on the board |
//! | `redis.no-generation` | a reset group does not move the board: the old fence wins |
//! | `http.no-order` | records of one key are under way at once |
//! | `http.forget-completed` | every attempt posts the whole range again |

use thm_api::{Failpoints, Result};

/// Every failpoint of the sinks.
pub const FAILPOINTS: &[&str] = &[
    "clickhouse.no-token",
    "clickhouse.no-delete",
    "clickhouse.delete-before-insert",
    "clickhouse.no-early-commit",
    "clickhouse.no-delete-session",
    "redis.no-fence",
    "redis.no-take-back",
    "redis.no-generation",
    "http.no-order",
    "http.forget-completed",
];

/// The names that are active in an area, each with a warning in the log; an unknown one is an error.
pub(crate) fn active<'f>(failpoints: &'f Failpoints, area: &str, connector: &str) -> Result<Vec<&'f str>> {
    let names = failpoints.of_area(area, FAILPOINTS)?;
    for name in &names {
        tracing::warn!(connector, failpoint = name, "a mechanism is switched off on purpose: results will be wrong");
    }
    Ok(names)
}
