//! A promoted standby: where its history left the timeline that our positions are of.
//!
//! ```text
//!   timeline 1 ──────┬──▶ old primary, perhaps with changes that no standby got
//!                    └──▶ timeline 2, the promoted one
//! ```
//!
//! What we have durably must lie before the fork: then both servers agree on all of it, and the slot, if the standby kept it
//! in step, has all that comes after.

use thm_api::{Hosts, Lsn, Result};

use crate::failure::from_replication;
use crate::options::Options;
use crate::transport::{client, handshake};

/// Where the server's timeline `now` left `ours`; `None`: its history does not know ours.
pub async fn left_at(options: &Options, hosts: &Hosts, ours: u32, now: u32) -> Result<Option<Lsn>> {
    let doing = "asking for the server's timelines";
    let mut connection = client::connect(options, hosts, true, doing).await?;
    let rows = handshake::command(&mut connection, &format!("TIMELINE_HISTORY {now}")).await;
    let rows = rows.map_err(|error| from_replication(error, doing, &options.slot))?;
    let history = rows.into_iter().next().and_then(|row| row.into_iter().nth(1)).flatten();
    Ok(history.and_then(|history| fork_of(&history, ours)))
}

/// Reads a history file: `parent <tab> LSN of the fork <tab> reason`, one line for each ancestor.
fn fork_of(history: &str, ours: u32) -> Option<Lsn> {
    history.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let parent: u32 = fields.next()?.parse().ok()?;
        (parent == ours).then(|| fields.next()?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_names_each_fork() {
        let history = "1\t0/3000148\tno recovery target specified\n\n# a comment\n2\t1/A\tbefore 2000-01-01\n";
        assert_eq!(fork_of(history, 1), Some(Lsn(0x300_0148)));
        assert_eq!(fork_of(history, 2), Some(Lsn(0x1_0000_000A)));
        assert_eq!(fork_of(history, 3), None);
        assert_eq!(fork_of("1\tnonsense", 1), None);
        assert_eq!(fork_of("", 1), None);
    }
}
