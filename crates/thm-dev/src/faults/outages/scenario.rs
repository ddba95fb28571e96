//! What goes down, how, and how it comes back.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use thm_api::ErrorKind;
use tokio::process::Command;

use super::super::rest::Rest;
use super::super::stack::{Part, Stack};

/// Size of the disk that is filled, before the events of the outage: what must stay free, and as much again.
const SMALL_DISK_BYTES: f64 = 1e9;
/// Last lines of the engine's log, where it does not answer.
const ENGINE_LINES: usize = 8;
/// What an event takes there: two topics, and some for the spool of a long transaction.
const EVENT_BYTES: f64 = 3e3;
/// What fills it.
const FILLER: &str = "filler";

/// How a service is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// `kill -9`, and started again.
    Dead,
    /// SIGSTOP, later SIGCONT: connections stay open and nothing answers.
    Frozen,
}

/// One outage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    /// Sinks' targets are away.
    Down { parts: Vec<Part>, manner: Manner },
    /// PostgreSQL is stopped as an operator does and started again, once.
    PostgresRestart,
    /// The log's disk is full.
    DiskFull,
}

impl Scenario {
    /// All of them: each target alone, each pair, the database, the disk.
    pub(super) fn all() -> Vec<Self> {
        let [redis, clickhouse, api] = [Part::Redis, Part::ClickHouse, Part::Api];
        let groups = [
            vec![redis],
            vec![clickhouse],
            vec![api],
            vec![redis, clickhouse],
            vec![clickhouse, api],
            vec![redis, api],
        ];
        let manners = [Manner::Dead, Manner::Frozen];
        let down =
            groups.into_iter().flat_map(|parts| manners.map(|manner| Self::Down { parts: parts.clone(), manner }));
        down.chain([Self::PostgresRestart, Self::DiskFull]).collect()
    }

    /// The targets that are away.
    pub(super) fn down(&self) -> &[Part] {
        match self {
            Self::Down { parts, .. } => parts,
            Self::PostgresRestart | Self::DiskFull => &[],
        }
    }

    /// Whether it stops the input, and so every target.
    pub(super) fn stops_all(&self) -> bool {
        self.down().is_empty()
    }

    /// Whether it lasts as long as the options say.
    pub(super) fn is_lasting(&self) -> bool {
        *self != Self::PostgresRestart
    }

    /// Breaks, waits, mends.
    pub(super) async fn happen(&self, stack: &Stack, lasting: Duration) -> Result<()> {
        match self {
            Self::Down { parts, manner: Manner::Dead } => {
                parts.iter().for_each(|part| stack.kill(*part));
                tokio::time::sleep(lasting).await;
                for part in parts {
                    stack.bring_back(*part).await?;
                }
            }
            Self::Down { parts, manner: Manner::Frozen } => {
                parts.iter().for_each(|part| stack.freeze(*part));
                tokio::time::sleep(lasting).await;
                parts.iter().for_each(|part| stack.thaw(*part));
            }
            Self::PostgresRestart => {
                stack.stop(Part::Postgres);
                stack.bring_back(Part::Postgres).await?;
            }
            Self::DiskFull => {
                let filler = stack.folder().join("engine").join(FILLER);
                fill(&filler).await?;
                tokio::time::sleep(lasting).await;
                let stopped = Rest::new(&stack.connect_url)?.failed().await;
                let stopped = stopped.with_context(|| stack.engine_log(ENGINE_LINES))?;
                if !stopped.iter().any(|reason| reason.contains(ErrorKind::LogIo.code())) {
                    bail!("the disk was full, and nothing stopped with {}: {stopped:?}", ErrorKind::LogIo.code());
                }
                tokio::fs::remove_file(&filler).await?;
                // As the error's hint says: free space, then start again.
                stack.stop(Part::Engine);
                stack.bring_back(Part::Engine).await?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down { parts, manner } => {
                let names: Vec<&str> = parts.iter().map(|part| short_name(*part)).collect();
                let manner = if *manner == Manner::Dead { "dead" } else { "frozen" };
                write!(out, "{}-{manner}", names.join("+"))
            }
            Self::PostgresRestart => out.write_str("postgres-restart"),
            Self::DiskFull => out.write_str("disk-full"),
        }
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::all();
        let names = || known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let found = known.iter().find(|one| one.to_string() == text).cloned();
        found.ok_or_else(|| format!("no outage is called '{text}'; there are {}", names()))
    }
}

/// As in a scenario's name.
pub(super) fn short_name(part: Part) -> &'static str {
    match part {
        Part::Api => "http",
        other => other.name(),
    }
}

/// Takes all the room that is left.
async fn fill(filler: &Path) -> Result<()> {
    let status = Command::new("dd")
        .args(["if=/dev/zero", "bs=1M", &format!("of={}", filler.display())])
        .stderr(Stdio::null())
        .status()
        .await
        .context("running dd")?;
    // dd ends with an error: that the disk is full.
    if status.success() { bail!("{} could not be filled", filler.display()) } else { Ok(()) }
}

/// A small disk in memory, for the engine's folder; taken away when dropped.
pub(super) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// With room for all that comes at `rate` events a second while it is full and before. Needs root; none without it.
    pub(super) fn mount(at: &Path, rate: f64, lasting: Duration) -> Result<Option<Self>> {
        if !nix::unistd::Uid::effective().is_root() {
            return Ok(None);
        }
        std::fs::create_dir_all(at)?;
        let bytes = SMALL_DISK_BYTES + EVENT_BYTES * rate * lasting.as_secs_f64();
        let mut mount = std::process::Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &format!("size={bytes:.0}"), "tmpfs"]).arg(at).output()?;
        if mounted.status.success() { Ok(Some(Self(at.to_owned()))) } else { Ok(None) }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is just ending may still hold a file.
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_outage_has_a_name_that_leads_back_to_it() {
        let all = Scenario::all();
        assert_eq!(all.len(), 14);
        for scenario in all {
            assert_eq!(scenario.to_string().parse::<Scenario>().unwrap(), scenario);
        }
        assert!("redis-sleepy".parse::<Scenario>().unwrap_err().contains("redis+http-frozen"));
    }
}
