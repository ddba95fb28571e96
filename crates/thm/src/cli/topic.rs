//! `thm topic list|describe|consume|produce`: a look into topics, ours or a real Kafka's.

use std::io::{BufRead, IsTerminal};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use thm_codec::murmur2::partition_for_key;
use thm_codec::record_batch::{BatchWriter, HeaderBlock};

use super::output::{Output, Table, line, note};
use crate::kafka_client::{ConsumedRecord, KafkaClient, records_from};

/// Look into topics over the Kafka protocol.
#[derive(Args)]
pub struct TopicArgs {
    #[command(subcommand)]
    command: Command,
    /// Kafka address.
    #[arg(long, short, global = true, default_value = "127.0.0.1:9092", env = "THM_BOOTSTRAP")]
    bootstrap: String,
    /// How to print.
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Output,
}

#[derive(Subcommand)]
enum Command {
    /// All topics with their ranges.
    List,
    /// Partitions of a topic with first and next offset.
    Describe {
        /// Topic name.
        topic: String,
    },
    /// Print records: from the beginning to the end, or on and on with --follow.
    Consume(Consume),
    /// Write records from standard input, one a line.
    Produce(Produce),
}

#[derive(Args)]
struct Consume {
    /// Topic name.
    topic: String,
    /// Partition to read; all by default.
    #[arg(long, short)]
    partition: Option<i32>,
    /// First offset; negative counts from the end (-10: the last ten).
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    offset: i64,
    /// Stop after this many records.
    #[arg(long, short)]
    number: Option<usize>,
    /// Keep waiting for new records (Ctrl-C ends it).
    #[arg(long, short)]
    follow: bool,
    /// Print keys, offsets, times and headers too.
    #[arg(long, short)]
    long: bool,
}

#[derive(Args)]
struct Produce {
    /// Topic name.
    topic: String,
    /// What separates key and value in a line; without it the whole line is the value.
    #[arg(long, short)]
    key_separator: Option<String>,
}

/// Runs the subcommand.
pub async fn run(args: TopicArgs) -> Result<()> {
    let mut client = KafkaClient::connect(&args.bootstrap).await?;
    match args.command {
        Command::List => list(&mut client, None, args.output).await,
        Command::Describe { topic } => list(&mut client, Some(&topic), args.output).await,
        Command::Consume(consume) => run_consume(&mut client, consume, args.output).await,
        Command::Produce(produce) => run_produce(&mut client, produce).await,
    }
}

async fn list(client: &mut KafkaClient, only: Option<&str>, output: Output) -> Result<()> {
    let mut table = Table::new(&["topic", "partition", "first", "next", "records"]);
    for topic in client.topics(only).await? {
        for partition in 0..topic.partitions {
            let (first, next) = client.range(&topic.name, partition).await?;
            table.row([json!(topic.name), json!(partition), json!(first), json!(next), json!(next - first)]);
        }
    }
    table.print(output);
    Ok(())
}

async fn run_consume(client: &mut KafkaClient, args: Consume, output: Output) -> Result<()> {
    let topics = client.topics(Some(&args.topic)).await?;
    let partitions = topics.first().map_or(0, |topic| topic.partitions);
    let wanted: Vec<i32> = match args.partition {
        Some(partition) if partition >= partitions => bail!("{} has {partitions} partitions", args.topic),
        Some(partition) => vec![partition],
        None => (0..partitions).collect(),
    };
    let mut cursors = Vec::new();
    for partition in wanted {
        let (first, next) = client.range(&args.topic, partition).await?;
        let from = if args.offset < 0 { next + args.offset } else { args.offset };
        cursors.push((partition, from.max(first), next));
    }
    let mut left = args.number.unwrap_or(usize::MAX);
    loop {
        let mut idle = true;
        for (partition, at, end) in &mut cursors {
            if left == 0 || (*at >= *end && !args.follow) {
                continue;
            }
            let wait = Duration::from_millis(if args.follow { 500 } else { 100 });
            let fetched = client.fetch(&args.topic, *partition, *at, wait).await?;
            for record in records_from(fetched, *at)?.into_iter().take(left) {
                *at = record.offset + 1;
                left -= 1;
                print_record(*partition, &record, args.long, output);
            }
            idle &= *at >= *end;
        }
        if left == 0 || (idle && !args.follow) {
            return Ok(());
        }
    }
}

fn print_record(partition: i32, consumed: &ConsumedRecord, long: bool, output: Output) {
    let record = &consumed.record;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let value = record.value.as_deref().map(text);
    if output == Output::Json {
        let headers: Vec<_> =
            record.headers.iter().map(|(name, value)| json!([text(&name), value.as_deref().map(text)])).collect();
        let all = json!({"partition": partition, "offset": consumed.offset, "timestamp": record.timestamp_ms,
            "key": record.key.as_deref().map(text), "value": value, "headers": headers});
        return line(&all.to_string());
    }
    let mut shown = String::new();
    if long {
        let key = record.key.as_deref().map_or_else(|| "null".to_owned(), text);
        shown = format!("{partition}:{} t={} {key} ", consumed.offset, record.timestamp_ms);
        for (name, value) in record.headers.iter() {
            shown += &format!("{}={} ", text(&name), value.as_deref().map(text).unwrap_or_default());
        }
    }
    line(&(shown + value.as_deref().unwrap_or("null")));
}

async fn run_produce(client: &mut KafkaClient, args: Produce) -> Result<()> {
    let partitions = client.partitions_to_write(&args.topic).await? as u32;
    if std::io::stdin().is_terminal() {
        note("one record a line; Ctrl-D ends");
    }
    let lines: Vec<String> = std::io::stdin().lock().lines().collect::<Result<_, _>>()?;
    let mut writers: Vec<BatchWriter> = (0..partitions).map(|_| BatchWriter::new()).collect();
    let now = chrono::Utc::now().timestamp_millis();
    let mut count = 0;
    for text in lines.iter().filter(|text| !text.is_empty()) {
        let split = args.key_separator.as_deref().and_then(|separator| text.split_once(separator));
        let (key, value) = split.map_or((None, text.as_str()), |(key, value)| (Some(key), value));
        let partition = key.map_or(0, |key| partition_for_key(key.as_bytes(), partitions));
        let none = HeaderBlock::default();
        writers[partition as usize].push(now, key.map(str::as_bytes), Some(value.as_bytes()), &none);
        count += 1;
    }
    for (partition, writer) in writers.iter_mut().enumerate().filter(|(_, writer)| !writer.is_empty()) {
        client.produce(&args.topic, partition as i32, writer.finish()).await?;
    }
    note(&format!("{count} records produced to {}", args.topic));
    Ok(())
}
