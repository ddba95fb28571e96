//! What was compared and what differed.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::json;

use crate::cli::output::{Output, line};

/// One row of one sink that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which sink.
    pub sink: &'static str,
    /// The row's key.
    pub key: String,
    /// What differs.
    pub what: String,
}

impl Difference {
    /// Names a difference.
    pub fn new(sink: &'static str, key: impl ToString, what: impl Into<String>) -> Self {
        Self { sink, key: key.to_string(), what: what.into() }
    }
}

/// Everything that `thm verify` found.
#[derive(Debug, Default)]
pub struct Report {
    /// How often what differs is looked at.
    pub rounds: usize,
    /// WAL position that all sinks had passed.
    pub barrier: String,
    /// Events in PostgreSQL that were compared.
    pub events: u64,
    /// Versions of content rows in the topic.
    pub content_versions: u64,
    /// Rows in ClickHouse under FINAL.
    pub clickhouse_rows: u64,
    /// Members of the leaderboard.
    pub leaderboard_members: u64,
    /// Different events that the API received.
    pub api_events: u64,
    /// Deliveries to the API beyond the first of each key.
    pub api_repeats: u64,
    /// Records without an origin in the enriched topic.
    pub foreign: u64,
    /// Time it took.
    pub seconds: f64,
    differences: Vec<Difference>,
}

impl Report {
    /// An empty one; what differs will be looked at `rounds` times, once at least.
    pub fn new(rounds: usize) -> Self {
        Self { rounds: rounds.max(1), ..Self::default() }
    }

    /// Notes a difference.
    pub fn add(&mut self, difference: Difference) {
        self.differences.push(difference);
    }

    /// Whether all is as it should be.
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty()
    }

    /// Prints it, with at most `show` differences.
    pub fn print(&self, output: Output, show: usize) -> Result<()> {
        let mut by_sink: BTreeMap<&str, u64> = BTreeMap::new();
        for difference in &self.differences {
            *by_sink.entry(difference.sink).or_default() += 1;
        }
        if output == Output::Json {
            let shown: Vec<_> = self.differences.iter().take(show).collect();
            let shown: Vec<_> =
                shown.iter().map(|one| json!({"sink": one.sink, "key": one.key, "what": one.what})).collect();
            line(&serde_json::to_string_pretty(&json!({
                "ok": self.is_clean(), "barrier": self.barrier, "events": self.events,
                "content_versions": self.content_versions, "clickhouse_rows": self.clickhouse_rows,
                "leaderboard_members": self.leaderboard_members, "api_events": self.api_events,
                "api_repeats": self.api_repeats, "foreign": self.foreign, "seconds": self.seconds,
                "differences": self.differences.len(), "by_sink": by_sink, "shown": shown,
            }))?);
            return Ok(());
        }
        line(&format!("barrier      {}", self.barrier));
        line(&format!("PostgreSQL   {} events, {} content versions", self.events, self.content_versions));
        line(&format!("topic        {}", said(&by_sink, "topic")));
        line(&format!("ClickHouse   {} rows, {}", self.clickhouse_rows, said(&by_sink, "ClickHouse")));
        line(&format!("Redis        {} members, {}", self.leaderboard_members, said(&by_sink, "Redis")));
        line(&format!(
            "HTTP         {} events, {} repeated deliveries, {}",
            self.api_events,
            self.api_repeats,
            said(&by_sink, "HTTP")
        ));
        if self.foreign > 0 {
            line(&format!("foreign      {} records produced by hand, counted apart", self.foreign));
        }
        for one in self.differences.iter().take(show) {
            line(&format!("  {} {}: {}", one.sink, one.key, one.what));
        }
        if self.differences.len() > show {
            line(&format!("  … and {} more (--show N)", self.differences.len() - show));
        }
        let verdict = if self.is_clean() { "verified: zero differences" } else { "NOT verified" };
        line(&format!("{verdict} ({} differences, {:.1} s)", self.differences.len(), self.seconds));
        Ok(())
    }
}

fn said(by_sink: &BTreeMap<&str, u64>, sink: &str) -> String {
    match by_sink.get(sink) {
        None => "equal".to_owned(),
        Some(1) => "1 difference".to_owned(),
        Some(count) => format!("{count} differences"),
    }
}
