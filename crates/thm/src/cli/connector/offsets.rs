//! `thm connector offsets show|reset`: a sink's places, and where it shall go on instead.
//!
//! ```text
//!  --to ─▶ one offset per partition (Kafka tells beginning, end and times) ─▶ stop ─▶ PATCH …/offsets ─▶ resume
//! ```
//! A reset begins a new life of the consumer group: what the target remembers of the old one no longer wins.

use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};
use chrono::{DateTime, NaiveDateTime};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::super::output::{Output, Table, note};
use super::{state_of, to_state};
use crate::connect_client::ConnectClient;
use crate::kafka_client::KafkaClient;

/// Where a sink stands in its topics, and setting it elsewhere.
#[derive(Args)]
pub struct OffsetsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Next offset of each partition, and how much is left.
    Show {
        /// Connector name.
        name: String,
    },
    /// Deliver again from an earlier place, or skip to a later one.
    #[command(after_help = RESET_HELP)]
    Reset(Reset),
}

const RESET_HELP: &str = "\
What each sink does with records that come again:
  ClickHouse  inserts them again; right under FINAL, and once they are all there each event has its last state
  Redis       empties the board and counts again from there
  HTTP        posts them again, under new idempotency keys
docs/backfill.md has the whole recipe.

Examples:
  thm connector offsets reset clickhouse.enriched.sink --to earliest --stop
  thm connector offsets reset http.enriched.sink --to 2025-08-23T05:40:00Z --stop --dry-run";

#[derive(Args)]
struct Reset {
    /// Connector name.
    name: String,
    /// earliest, latest, an offset, or a time (2025-08-23T05:40:00Z, or "2025-08-23 05:40:00" in UTC).
    #[arg(long)]
    to: Target,
    /// This topic alone.
    #[arg(long)]
    topic: Option<String>,
    /// This partition alone.
    #[arg(long)]
    partition: Option<i32>,
    /// Stop the connector before and resume it after; without it a running one is refused.
    #[arg(long)]
    stop: bool,
    /// Only say what would be set.
    #[arg(long)]
    dry_run: bool,
}

/// `--to`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Earliest,
    Latest,
    Offset(i64),
    /// Milliseconds since 1970.
    Time(i64),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if let Ok(offset) = text.parse::<i64>() {
            return if offset < 0 { Err("an offset is not negative".to_owned()) } else { Ok(Self::Offset(offset)) };
        }
        let zoned = DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis());
        let plain =
            || NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").map(|t| t.and_utc().timestamp_millis());
        zoned
            .or_else(|_| plain())
            .map(Self::Time)
            .map_err(|_| "write earliest, latest, an offset, or a time like 2025-08-23T05:40:00Z".to_owned())
    }
}

pub(super) async fn run(connect: &ConnectClient, bootstrap: &str, args: OffsetsArgs, output: Output) -> Result<()> {
    match args.command {
        Command::Show { name } => show(connect, bootstrap, &name, output).await,
        Command::Reset(reset) => run_reset(connect, bootstrap, reset, output).await,
    }
}

async fn show(connect: &ConnectClient, bootstrap: &str, name: &str, output: Output) -> Result<()> {
    let committed = connect.get(&ConnectClient::path(name, "/offsets")).await?;
    let entries = committed["offsets"].as_array().cloned().unwrap_or_default();
    if entries.iter().any(|entry| entry["partition"]["kafka_topic"].is_null()) {
        let mut table = Table::new(&["partition", "offset"]);
        entries.iter().for_each(|entry| table.row([entry["partition"].clone(), entry["offset"].clone()]));
        table.print(output);
        return Ok(());
    }
    let mut kafka = KafkaClient::connect(bootstrap).await?;
    let mut table = Table::new(&["topic", "partition", "next", "first", "end", "left"]);
    for Place { topic, partition, next } in entries.iter().filter_map(Place::of) {
        let range = kafka.range(&topic, partition).await.ok();
        let (first, end) = (range.map(|range| range.0), range.map(|range| range.1));
        let left = end.map(|end| end - next);
        table.row([json!(topic), json!(partition), json!(next), json!(first), json!(end), json!(left)]);
    }
    table.print(output);
    Ok(())
}

/// A committed place.
struct Place {
    topic: String,
    partition: i32,
    next: i64,
}

impl Place {
    fn of(entry: &Value) -> Option<Self> {
        Some(Self {
            topic: entry["partition"]["kafka_topic"].as_str()?.to_owned(),
            partition: i32::try_from(entry["partition"]["kafka_partition"].as_i64()?).ok()?,
            next: entry["offset"]["kafka_offset"].as_i64()?,
        })
    }
}

async fn run_reset(connect: &ConnectClient, bootstrap: &str, args: Reset, output: Output) -> Result<()> {
    let name = &args.name;
    let info = connect.get(&ConnectClient::path(name, "")).await?;
    if info["type"] == "source" {
        bail!(
            "{name} is a source: its place stands beside its records in the log. To take everything anew, stop the \
             engine and start it once with `thm run --resnapshot`"
        );
    }
    let mut kafka = KafkaClient::connect(bootstrap).await?;
    let before = connect.get(&ConnectClient::path(name, "/offsets")).await?;
    let before: Vec<Place> = before["offsets"].as_array().into_iter().flatten().filter_map(Place::of).collect();
    let mut table = Table::new(&["topic", "partition", "from", "to"]);
    let mut entries = Vec::new();
    for (topic, partition) in partitions(connect, &mut kafka, &args, &info, &before).await? {
        let to = resolve(&mut kafka, args.to, &topic, partition).await?;
        let from = before.iter().find(|place| place.topic == topic && place.partition == partition);
        table.row([json!(topic), json!(partition), json!(from.map(|place| place.next)), json!(to)]);
        entries.push(json!({
            "partition": {"kafka_topic": topic, "kafka_partition": partition}, "offset": {"kafka_offset": to},
        }));
    }
    if args.dry_run {
        note("nothing was changed (--dry-run)");
        table.print(output);
        return Ok(());
    }
    let status = connect.get(&ConnectClient::path(name, "/status")).await?;
    let was_stopped = state_of(&status) == "STOPPED";
    if !was_stopped && !args.stop {
        bail!(
            "{name} is {}: offsets change only while it is stopped. Add --stop, or run `thm connector stop {name}`, \
             this command, and `thm connector resume {name}`",
            state_of(&status)
        );
    }
    if !was_stopped {
        to_state(connect, name, "stop", "STOPPED").await?;
    }
    let body = json!({"offsets": entries});
    let altered = connect.ask(Method::PATCH, &ConnectClient::path(name, "/offsets"), Some(&body)).await;
    if !was_stopped {
        // Also if they could not be altered: it was running before.
        to_state(connect, name, "resume", "RUNNING").await?;
    }
    altered.context("setting the offsets")?;
    table.print(output);
    Ok(())
}

/// The partitions that are meant: those of the options' topics, else of the topics it has read, less what the
/// arguments leave out.
async fn partitions(
    connect: &ConnectClient,
    kafka: &mut KafkaClient,
    args: &Reset,
    info: &Value,
    before: &[Place],
) -> Result<Vec<(String, i32)>> {
    let listed = info["config"]["topics"].as_str().unwrap_or_default();
    let mut topics: Vec<String> =
        listed.split(',').map(|topic| topic.trim().to_owned()).filter(|topic| !topic.is_empty()).collect();
    if topics.is_empty() {
        let used = connect.get(&ConnectClient::path(&args.name, "/topics")).await?;
        let used = used[&args.name]["topics"].as_array().cloned().unwrap_or_default();
        topics = used.iter().filter_map(|topic| Some(topic.as_str()?.to_owned())).collect();
        topics.extend(before.iter().map(|place| place.topic.clone()));
        topics.sort();
        topics.dedup();
    }
    if let Some(only) = &args.topic {
        if !topics.contains(only) {
            bail!("{} does not read topic {only}; it reads {}", args.name, topics.join(", "));
        }
        topics = vec![only.clone()];
    }
    let mut found = Vec::new();
    for topic in topics {
        let count = kafka.topics(Some(&topic)).await?.first().map_or(0, |topic| topic.partitions);
        found.extend((0..count).map(|partition| (topic.clone(), partition)));
    }
    found.retain(|(_, partition)| args.partition.is_none_or(|only| only == *partition));
    if found.is_empty() {
        return Err(anyhow!("there is no such partition; `thm topic list` shows what there is"));
    }
    if matches!(args.to, Target::Offset(_)) && found.len() > 1 {
        bail!("an offset is one partition's: name it with --topic and --partition (there are {})", found.len());
    }
    Ok(found)
}

async fn resolve(kafka: &mut KafkaClient, to: Target, topic: &str, partition: i32) -> Result<i64> {
    let (first, end) = kafka.range(topic, partition).await?;
    match to {
        Target::Earliest => Ok(first),
        Target::Latest => Ok(end),
        Target::Time(ms) => match kafka.offset_at(topic, partition, ms).await? {
            // Nothing is that new.
            -1 => Ok(end),
            offset => Ok(offset),
        },
        Target::Offset(offset) if (first..=end).contains(&offset) => Ok(offset),
        Target::Offset(offset) => bail!("{topic}-{partition} has the offsets {first} to {end}, not {offset}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_words_offsets_or_times() {
        assert_eq!("earliest".parse(), Ok(Target::Earliest));
        assert_eq!("17".parse(), Ok(Target::Offset(17)));
        assert_eq!("1970-01-01T00:00:01Z".parse(), Ok(Target::Time(1_000)));
        assert_eq!("1970-01-01 00:00:01.5".parse(), Ok(Target::Time(1_500)));
        assert!("-3".parse::<Target>().is_err() && "yesterday".parse::<Target>().is_err());
    }
}
