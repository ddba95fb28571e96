//! What a record says about the board: which event, which member, how many units, and which moment counts.
//!
//! In: one record, and its row of the tail cache where there is one (then no JSON is parsed). Out: an [`Event`].
//! Sink and verifier use the same code, and the rule of the moment is a function of the log alone:
//!
//! | record | moment, under `window.time=record` |
//! |---|---|
//! | an insert, a foreign record | its Kafka timestamp, also if the id is known |
//! | a row of a snapshot | the event's own time |
//! | an update | the one it had; of an unknown (long expired) event it is ignored |

use std::borrow::Cow;

use thm_api::{Offset, Op, SinkRecord, TopicPartition};

use super::columns::Row;
use super::config::{FUTURE_SLACK_MS, LeaderboardSettings, WindowTime};
use super::json;
use super::values::Time;

/// Which second an event counts in, seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// This one, from now on.
    At(i64),
    /// The one it had; of an unknown event nothing counts.
    Keep,
}

/// What to do with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// It is gone: its points are taken back.
    Delete,
    /// It is this now.
    Put {
        /// Member of the board; empty (with 0 units) for NULL.
        content: Cow<'a, str>,
        /// Its points in units.
        units: i64,
        /// When it counts.
        moment: Moment,
    },
}

/// One record's meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Identity within everything the connector reads.
    pub id: Cow<'a, str>,
    /// What to do.
    pub change: Change<'a>,
}

/// Where a record stands, for identity, and the clock, for moments.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The partition.
    pub partition: &'a TopicPartition,
    /// Milliseconds since 1970: moments are at most a little later than this.
    pub latest_ms: i64,
}

/// Reads a record; the error says what is wrong with it, for the dead letter queue.
pub(super) fn read<'a>(
    settings: &LeaderboardSettings,
    place: Place<'_>,
    record: &'a SinkRecord,
    row: Option<Row<'a>>,
) -> Result<Event<'a>, String> {
    let op = record.origin.as_ref().map(|origin| origin.op);
    let Some(value) = record.value.as_deref().filter(|_| op != Some(Op::Delete)) else {
        let id = row.and_then(|row| row.id()).or_else(|| json::id_of_key(record, &settings.fields.id));
        return Ok(Event { id: identity(settings, place, record.offset, id), change: Change::Delete });
    };
    let values = match row {
        Some(row) => row.values(),
        None => json::values(value, &settings.fields)?,
    };
    let missing = |field: &str| format!("field \"{field}\" is missing");
    let content = values.content.ok_or_else(|| missing(&settings.fields.content))?;
    let kind = values.kind.ok_or_else(|| missing(&settings.fields.kind))?;
    let units = match (&content, &kind) {
        (Some(_), Some(kind)) => settings.units(kind).unwrap_or_else(|| {
            metrics::counter!("thm_redis_unknown_types_total").increment(1);
            0
        }),
        _ => 0,
    };
    let moment = moment(settings.time, op, record.timestamp_ms, place.latest_ms, values.time.flatten())?;
    let id = values.id.flatten().or_else(|| json::id_of_key(record, &settings.fields.id));
    Ok(Event {
        id: identity(settings, place, record.offset, id),
        change: Change::Put { content: content.unwrap_or_default(), units, moment },
    })
}

fn identity<'a>(
    settings: &LeaderboardSettings,
    place: Place<'_>,
    offset: Offset,
    id: Option<Cow<'a, str>>,
) -> Cow<'a, str> {
    let TopicPartition { topic, partition } = place.partition;
    match id {
        Some(id) if settings.several_topics => Cow::Owned(format!("{topic}/{id}")),
        Some(id) => id,
        None => Cow::Owned(format!("@{topic}/{partition}/{offset}")),
    }
}

fn moment(
    time: WindowTime,
    op: Option<Op>,
    record_ms: i64,
    latest_ms: i64,
    own: Option<Time<'_>>,
) -> Result<Moment, String> {
    let second = |ms: i64| ms.min(latest_ms).div_euclid(1_000);
    let own = || match own {
        None => Ok(None),
        Some(Time::Millis(ms)) => Ok(Some(second(ms))),
        Some(Time::Text(text)) => {
            json::parse_time_ms(&text).map(|ms| Some(second(ms))).ok_or_else(|| format!("`{text}` is no time"))
        }
    };
    Ok(match (op, time) {
        (Some(Op::Update), _) => Moment::Keep,
        // The caller's clock without the slack for other people's clocks.
        (_, WindowTime::Processing) => Moment::At((latest_ms - FUTURE_SLACK_MS).div_euclid(1_000)),
        (Some(Op::Read), WindowTime::Record) | (_, WindowTime::Event) => own()?.map_or(Moment::Keep, Moment::At),
        (_, WindowTime::Record) => Moment::At(second(record_ms)),
    })
}
