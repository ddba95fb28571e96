//! `thm dlq list|show|replay`: the records that connectors refused, why, and sending those of sinks again.
//!
//! ```text
//!   topic ─▶ sink ── refused ─▶ dlq.<connector> ── show ─▶ you mend the cause ── replay ─▶ topic, for that sink alone
//! ```

mod letter;
mod replay;
mod turn;

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::{Output, Table, line, note};
use crate::connect_client::ConnectClient;
use crate::kafka_client::KafkaClient;
use letter::{Letter, Selection, read};

const EXAMPLES: &str = "\
Examples:
  thm dlq list
  thm dlq show dlq.clickhouse.enriched.sink --number 5
  thm dlq replay dlq.clickhouse.enriched.sink --dry-run
  thm dlq replay dlq.clickhouse.enriched.sink --offset 3 --offset 7

Records get here where a connector has errors.tolerance=all; otherwise they stop it. Those of sinks can be replayed.";

/// See why records were refused, and send them again.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct DlqArgs {
    #[command(subcommand)]
    command: Command,
    /// Kafka address.
    #[arg(long, short, global = true, default_value = "127.0.0.1:9092", env = "THM_BOOTSTRAP")]
    bootstrap: String,
    /// Connect REST API, for queues that are not named dlq.<connector>.
    #[arg(long, global = true, default_value = "http://127.0.0.1:8083", env = "THM_CONNECT")]
    connect: String,
    /// How to print.
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Output,
}

#[derive(Subcommand)]
enum Command {
    /// All queues: how many records, the last one's cause.
    List,
    /// Records of a queue: which, from where, why.
    Show {
        #[command(flatten)]
        selection: Selection,
        /// Print values too.
        #[arg(long, short)]
        long: bool,
    },
    /// Send records again to the sink that refused them, through their own topic.
    #[command(after_help = replay::HELP)]
    Replay(replay::Replay),
}

/// Runs the subcommand.
pub async fn run(args: DlqArgs) -> Result<()> {
    let mut kafka = KafkaClient::connect(&args.bootstrap).await?;
    match args.command {
        Command::List => list(&mut kafka, &args.connect, args.output).await,
        Command::Show { selection, long } => show(&mut kafka, &selection, long, args.output).await,
        Command::Replay(replay) => replay::run(&mut kafka, &replay, args.output).await,
    }
}

/// Names of the queues that are there: `dlq.*`, and what connectors say.
async fn queues(kafka: &mut KafkaClient, connect: &str) -> Result<BTreeMap<String, i32>> {
    let topics = kafka.topics(None).await?;
    let mut named: Vec<String> = Vec::new();
    // Without Connect the common names are shown all the same.
    if let Ok(all) = ConnectClient::new(connect)?.get("/connectors?expand=info").await {
        for info in all.as_object().into_iter().flat_map(|all| all.values()) {
            let option = info["info"]["config"]["errors.deadletterqueue.topic.name"].as_str();
            named.extend(option.map(str::to_owned));
        }
    }
    let is_queue = |name: &String| name.starts_with("dlq.") || named.contains(name);
    Ok(topics.into_iter().filter(|topic| is_queue(&topic.name)).map(|topic| (topic.name, topic.partitions)).collect())
}

async fn list(kafka: &mut KafkaClient, connect: &str, output: Output) -> Result<()> {
    let mut table = Table::new(&["queue", "records", "connector", "last", "code", "cause"]);
    for (queue, partitions) in queues(kafka, connect).await? {
        let (mut records, mut last) = (0, None::<Letter>);
        for partition in 0..partitions {
            let (first, end) = kafka.range(&queue, partition).await?;
            records += end - first;
            if end > first {
                let newest = read(kafka, &queue, partition, end - 1, end).await?.pop();
                last = last.into_iter().chain(newest).max_by_key(|letter| letter.timestamp_ms());
            }
        }
        let text = |read: fn(&Letter) -> String| json!(last.as_ref().map_or_else(|| "-".to_owned(), read));
        table.row([
            json!(queue),
            json!(records),
            text(|letter| letter.connector.clone()),
            text(Letter::time),
            text(|letter| letter.code.clone()),
            text(|letter| letter.cause.clone()),
        ]);
    }
    if output == Output::Text && table.is_empty() {
        note("no dead letters: a sink with errors.tolerance=all makes its queue with the first record that is refused");
        return Ok(());
    }
    table.print(output);
    Ok(())
}

async fn show(kafka: &mut KafkaClient, selection: &Selection, long: bool, output: Output) -> Result<()> {
    let letters = selection.letters(kafka).await?;
    if output == Output::Json {
        letters.iter().for_each(|letter| line(&letter.json().to_string()));
        return Ok(());
    }
    if long {
        for letter in &letters {
            line(&format!("{}  {}  {}  {}", letter.place(), letter.time(), letter.origin(), letter.key()));
            line(&format!("  {}: {}", letter.code, letter.cause));
            line(&format!("  {}", letter.value().unwrap_or_else(|| "null".to_owned())));
        }
        return Ok(());
    }
    let mut table = Table::new(&["offset", "time", "from", "key", "code", "cause"]);
    for letter in &letters {
        let texts = [letter.time(), letter.origin(), letter.key(), letter.code.clone(), letter.cause.clone()];
        table.row(std::iter::once(json!(letter.offset)).chain(texts.into_iter().map(Value::String)));
    }
    table.print(output);
    Ok(())
}

/// The queue's topic: as named, or `dlq.<name>` of a connector's name.
async fn queue_named(kafka: &mut KafkaClient, name: &str) -> Result<(String, i32)> {
    let topics = kafka.topics(None).await?;
    let of_connector = format!("dlq.{name}");
    let find = |wanted: &str| topics.iter().find(|topic| topic.name == wanted);
    let found = find(name).or_else(|| find(&of_connector)).map(|topic| (topic.name.clone(), topic.partitions));
    found.ok_or_else(|| anyhow!("there is no queue {name}, nor {of_connector}; `thm dlq list` shows the queues"))
}
