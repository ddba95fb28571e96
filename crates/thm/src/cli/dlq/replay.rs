//! `thm dlq replay`: dead letters back into their own topic, for the sink that refused them.
//!
//! ```text
//!  letters ─▶ read their topic from there on ─┬─ it holds the letter's replay already ─▶ left out (--again)
//!                                             ├─ it holds a newer record of the key ───▶ left out (--superseded)
//!                                             └─ else ─▶ produced with key, value, time and headers as they were,
//!                                                        and thm.replay = the letter, thm.to = the sink
//! ```
//! The topic itself is the memory of what was replayed: nothing else has to be kept in step with it. Who looks there and
//! then produces is alone in the meantime: a consumer group with one member at a time is the lock ([`Turn`]), which any
//! Kafka has.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use serde_json::json;
use thm_codec::origin;
use thm_codec::record_batch::{BatchWriter, HeaderBlock};

use super::super::output::{Output, Table, note};
use super::letter::{CONTEXT, Letter, Selection};
use super::queue_named;
use super::turn::Turn;
use crate::kafka_client::{KafkaClient, records_from};

/// Most bytes of records in one request.
const MAX_BATCH_BYTES: usize = 512 << 10;

pub const HELP: &str = "\
The record goes back into the topic it came from, behind what is there, and only the sink that refused it takes it;
with --for-all every reader of the topic does. Left out, and said so, are
  records that were replayed before            (--again sends them once more)
  records whose key has a newer record since   (--superseded sends them: the older state then wins)
A source's dead letters are refused: they are rows of the database, and come again when they are written again.

Examples:
  thm dlq replay clickhouse.enriched.sink --dry-run
  thm dlq replay clickhouse.enriched.sink --from 10 --to 20";

/// Arguments.
#[derive(Args)]
pub struct Replay {
    #[command(flatten)]
    selection: Selection,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// For every reader of the topic, not for that sink alone.
    #[arg(long)]
    for_all: bool,
    /// Also records that were replayed before.
    #[arg(long)]
    again: bool,
    /// Also records whose key has a newer record since.
    #[arg(long)]
    superseded: bool,
}

/// What becomes of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Replay,
    /// It stands in its topic at this offset already.
    Replayed(i64),
    /// The key's newer record stands at this offset.
    Superseded(i64),
}

type Partition = (String, i32);

pub async fn run(kafka: &mut KafkaClient, args: &Replay, output: Output) -> Result<()> {
    if args.dry_run {
        return replay(kafka, args, output, None).await;
    }
    let (queue, _) = queue_named(kafka, &args.selection.queue).await?;
    let turn = Turn::wait(kafka, &format!("thm-replay-{queue}")).await?;
    let done = replay(kafka, args, output, Some(&turn)).await;
    turn.end(kafka).await;
    done
}

async fn replay(kafka: &mut KafkaClient, args: &Replay, output: Output, turn: Option<&Turn>) -> Result<()> {
    let letters = args.selection.letters(kafka).await?;
    let mut by_partition: BTreeMap<Partition, Vec<Letter>> = BTreeMap::new();
    for letter in letters {
        let Some((topic, partition, _)) = letter.source.clone() else {
            if letter.is_of_source() {
                bail!(
                    "{} is a letter of the source {}: its row never got into {}, and cannot be sent there from here ({}: \
                     {}); mend the cause, then write the row in the database again (an UPDATE that sets a column to its own \
                     value will do), and the source sends it",
                    letter.place(),
                    letter.connector,
                    letter.origin(),
                    letter.code,
                    letter.cause
                );
            }
            bail!(
                "{} does not say which topic it came from (headers {CONTEXT}topic, .partition, .offset); choose others \
                 with --offset, or produce it by hand with `thm topic produce`",
                letter.place()
            );
        };
        by_partition.entry((topic, partition)).or_default().push(letter);
    }
    let mut table = Table::new(&["offset", "key", "action", "where"]);
    let mut sent = 0;
    for (partition, letters) in by_partition {
        let fates = fates(kafka, &partition, &letters).await?;
        let goes = |fate: &Fate| match fate {
            Fate::Replay => true,
            Fate::Replayed(_) => args.again,
            Fate::Superseded(_) => args.superseded,
        };
        let chosen: Vec<&Letter> =
            letters.iter().zip(&fates).filter(|(_, fate)| goes(fate)).map(|(letter, _)| letter).collect();
        let mut offsets = match turn {
            Some(turn) => send(kafka, &partition, &chosen, (args, turn)).await?,
            None => Vec::new(),
        }
        .into_iter();
        sent += chosen.len();
        for (letter, fate) in letters.iter().zip(&fates) {
            let (action, at) = match fate {
                fate if goes(fate) => (if args.dry_run { "would replay" } else { "replayed" }, offsets.next()),
                Fate::Replayed(at) => ("left out: replayed before", Some(*at)),
                Fate::Superseded(at) => ("left out: the key has a newer record", Some(*at)),
                Fate::Replay => ("left out", None),
            };
            let at = at.map_or_else(|| partition.0.clone(), |at| format!("{}-{}@{at}", partition.0, partition.1));
            table.row([json!(letter.offset), json!(letter.key()), json!(action), json!(at)]);
        }
    }
    table.print(output);
    note(&format!("{sent} records {}", if args.dry_run { "would be replayed" } else { "replayed" }));
    Ok(())
}

/// Reads the topic's partition behind the letters' places.
async fn fates(kafka: &mut KafkaClient, partition: &Partition, letters: &[Letter]) -> Result<Vec<Fate>> {
    let (topic, number) = partition;
    let doing = || format!("looking at {topic}-{number}, where these records came from");
    let (first, end) = kafka.range(topic, *number).await.with_context(doing)?;
    let place = |letter: &Letter| letter.source.as_ref().map_or(0, |(_, _, offset)| *offset);
    let oldest = letters.iter().map(place).min().unwrap_or(end);
    if oldest + 1 < first {
        note(&format!(
            "{topic}-{number} begins at offset {first}: whether records before it have been replayed or superseded is \
             not known"
        ));
    }
    let mut replayed: HashMap<Bytes, i64> = HashMap::new();
    let mut newest: HashMap<Bytes, i64> =
        letters.iter().filter_map(|letter| letter.record.key.clone()).map(|key| (key, -1)).collect();
    let mut at = (oldest + 1).max(first);
    while at < end {
        let found = records_from(kafka.fetch(topic, *number, at, Duration::from_millis(500)).await?, at)?;
        let Some(last) = found.last() else { break };
        at = last.offset + 1;
        for consumed in found {
            if let Some(from) = consumed.record.headers.get(origin::REPLAY) {
                replayed.insert(from, consumed.offset);
            }
            if let Some(newest) = consumed.record.key.as_ref().and_then(|key| newest.get_mut(key)) {
                *newest = consumed.offset;
            }
        }
    }
    let fate = |letter: &Letter| {
        if let Some(at) = replayed.get(letter.place().as_bytes()) {
            return Fate::Replayed(*at);
        }
        let newer =
            letter.record.key.as_ref().and_then(|key| newest.get(key)).filter(|newest| **newest > place(letter));
        newer.map_or(Fate::Replay, |at| Fate::Superseded(*at))
    };
    Ok(letters.iter().map(fate).collect())
}

/// Produces the letters in order; gives their new offsets.
async fn send(
    kafka: &mut KafkaClient,
    partition: &Partition,
    letters: &[&Letter],
    (args, turn): (&Replay, &Turn),
) -> Result<Vec<i64>> {
    let (topic, number) = partition;
    let mut offsets = Vec::with_capacity(letters.len());
    let mut rest = letters;
    while !rest.is_empty() {
        let mut writer = BatchWriter::new();
        let mut bytes = 0;
        let mut taken = 0;
        for letter in rest {
            let record = &letter.record;
            bytes += record.value.as_ref().map_or(0, Bytes::len) + record.key.as_ref().map_or(0, Bytes::len);
            if taken > 0 && bytes > MAX_BATCH_BYTES {
                break;
            }
            writer.push(
                record.timestamp_ms,
                record.key.as_deref(),
                record.value.as_deref(),
                &headers(letter, args.for_all),
            );
            taken += 1;
        }
        turn.hold(kafka).await?;
        let base = kafka.produce(topic, *number, writer.finish()).await?;
        offsets.extend((base..).take(taken));
        rest = &rest[taken..];
    }
    Ok(offsets)
}

/// The record's own headers, then whose replay it is and for whom.
fn headers(letter: &Letter, for_all: bool) -> HeaderBlock {
    let mut headers = HeaderBlock::default();
    for (name, value) in letter.record.headers.iter() {
        let name = String::from_utf8_lossy(&name);
        if !name.starts_with(CONTEXT) && ![origin::TO, origin::REPLAY].contains(&&*name) {
            headers.push(&name, value.as_deref());
        }
    }
    headers.push(origin::REPLAY, Some(letter.place().as_bytes()));
    if !for_all && !letter.connector.is_empty() {
        headers.push(origin::TO, Some(letter.connector.as_bytes()));
    }
    headers
}
