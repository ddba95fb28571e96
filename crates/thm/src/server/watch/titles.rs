//! Names for the ids on a leaderboard, from the look-up topics of the jobs: what people call the content.
//!
//! A look-up topic is read once and then as it grows; of each row that has an id and a title (or a slug) the latest is
//! kept. Bounded: large tables and other tables are left alone.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::Deserialize;
use thm_api::{FetchedBatch, Log, Offset, ReadLimits, TopicPartition};
use thm_codec::record_batch;
use thm_sql::JobStatus;

/// Titles kept; beyond, ids do.
const MAX_TITLES: usize = 10_000;
/// Bytes read at a look.
const READ_BYTES: usize = 256 << 10;
/// Records without a title after which a topic is no table of titles.
const MAX_FRUITLESS: usize = 100;

/// Titles by id.
#[derive(Default)]
pub struct Titles {
    by_id: HashMap<String, String>,
    read: BTreeMap<TopicPartition, Place>,
}

#[derive(Default)]
struct Place {
    next: Offset,
    fruitless: usize,
}

/// The state of a row after its change, as far as it matters here.
#[derive(Deserialize)]
struct Envelope {
    after: Option<After>,
}

#[derive(Deserialize)]
struct After {
    id: Option<String>,
    title: Option<String>,
    slug: Option<String>,
}

impl Titles {
    /// What an id is called.
    pub fn of(&self, id: &str) -> Option<&str> {
        self.by_id.get(id).map(String::as_str)
    }

    /// Reads what has been added to the topics that jobs look up, a page each.
    pub async fn look(&mut self, log: &dyn Log, jobs: &[JobStatus]) {
        // The stream comes last among a job's inputs: look-ups are read first.
        let streams: Vec<&str> = jobs.iter().filter_map(|job| Some(job.inputs.last()?.topic.as_str())).collect();
        let inputs = jobs.iter().flat_map(|job| &job.inputs).filter(|input| !streams.contains(&input.topic.as_str()));
        for input in inputs {
            let at = TopicPartition::new(input.topic.as_str(), input.partition);
            let place = self.read.entry(at.clone()).or_default();
            if place.fruitless > MAX_FRUITLESS {
                continue;
            }
            let limits = ReadLimits { max_bytes: READ_BYTES, max_wait: Duration::ZERO };
            let start = log.topic(&at.topic).and_then(|topic| topic.partitions.get(at.partition as usize).copied());
            let from = place.next.max(start.map_or(place.next, |info| info.log_start));
            let Ok(read) = log.read(&at, from, limits).await else { continue };
            for batch in &read.batches {
                take(batch, from, &mut self.by_id, place);
            }
        }
    }
}

fn take(batch: &FetchedBatch, from: Offset, titles: &mut HashMap<String, String>, place: &mut Place) {
    place.next = place.next.max(batch.next_offset());
    let Ok(records) = record_batch::records(&batch.batch.bytes) else { return };
    let new = records.flatten().filter(|record| batch.base_offset.0 + i64::from(record.offset_delta) >= from.0);
    for value in new.filter_map(|record| record.value) {
        let after = serde_json::from_slice::<Envelope>(&value).ok().and_then(|envelope| envelope.after);
        let named = after.and_then(|after| Some((after.id?, after.title.or(after.slug)?)));
        match named {
            Some((id, title)) if titles.len() < MAX_TITLES || titles.contains_key(&id) => {
                titles.insert(id, title);
            }
            _ => place.fruitless += 1,
        }
    }
}
