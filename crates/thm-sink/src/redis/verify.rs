//! For `thm verify`: the board as it stands, and the board as the log says it must be.
//!
//! [`read_board`] takes fence and board in one transaction; [`Recount`] takes the records below the fence's offsets
//! and gives the expected points. The two are equal, whatever happened in between, because the rule of the moment
//! (see [`super::event`]) depends on the log alone.

use std::collections::{BTreeMap, HashMap};

use thm_api::{ConnectorConfig, Hosts, Offset, Result, SinkPartition, SinkRecord};

use super::client::RedisClient;
use super::config::{FUTURE_SLACK_MS, LeaderboardSettings, UNITS_PER_POINT};
use super::event::{self, Change, Moment, Place};
use super::fence::Fence;

/// The board and its fence at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct BoardState {
    /// How far it is; `None` if there is no fence.
    pub fence: Option<Fence>,
    /// Points by content.
    pub points: BTreeMap<String, f64>,
}

/// Reads fence and board in one transaction, with the connector's options (secrets resolved).
pub async fn read_board(config: &ConnectorConfig, hosts: &Hosts) -> Result<BoardState> {
    let settings = LeaderboardSettings::parse(config)?;
    let mut client = RedisClient::connect(&settings.target, hosts).await?;
    // One command answers both: a script runs alone.
    let mut command = redis::cmd("EVAL");
    command.arg("return {redis.call('HGETALL', KEYS[1]), redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')}");
    command.arg(2).arg(settings.aux_key("fence")).arg(&settings.key);
    let (fields, points) = client.query("reading the leaderboard", &command).await?;
    let fields: BTreeMap<String, String> = fields;
    Ok(BoardState { fence: Fence::parse(&fields), points })
}

/// Counts again what the board must show at a fence.
///
/// Give it every record of the topics from as far back as the log goes (at least one window before the fence's
/// oldest second), each partition in offset order; records at or after the fence's offsets are left out by itself.
/// Memory: one entry per event of the window.
#[derive(Debug)]
pub struct Recount {
    settings: LeaderboardSettings,
    fence: Fence,
    /// Second, content and units by id.
    events: HashMap<String, (i64, String, i64)>,
    rejected: u64,
}

impl Recount {
    /// For the board of these options at this fence.
    pub fn new(config: &ConnectorConfig, fence: Fence) -> Result<Self> {
        Ok(Self { settings: LeaderboardSettings::parse(config)?, fence, events: HashMap::new(), rejected: 0 })
    }

    /// Where the fence stands in a partition: records from here on do not count.
    #[must_use]
    pub fn end(&self, partition: &SinkPartition) -> Option<Offset> {
        self.fence.offset(partition)
    }

    /// Takes a record.
    pub fn add(&mut self, partition: &SinkPartition, record: &SinkRecord) {
        if self.fence.offset(partition).is_none_or(|end| record.offset >= end) {
            return;
        }
        let latest_ms = (self.fence.expired_through + 1) * 1_000 + self.settings.window_ms + FUTURE_SLACK_MS;
        let place = Place { partition: &partition.partition, latest_ms };
        let Ok(event) = event::read(&self.settings, place, record, None) else {
            self.rejected += 1;
            return;
        };
        let Change::Put { content, units, moment } = event.change else {
            self.events.remove(event.id.as_ref());
            return;
        };
        let known = self.events.get(event.id.as_ref()).map(|(second, ..)| *second);
        let second = match moment {
            Moment::At(second) => Some(second),
            Moment::Keep => known,
        };
        match second.filter(|second| *second > self.fence.expired_through) {
            Some(second) => self.events.insert(event.id.into_owned(), (second, content.into_owned(), units)),
            None => self.events.remove(event.id.as_ref()),
        };
    }

    /// Records that are no events; they are in the dead letter queue or have stopped the sink.
    #[must_use]
    pub const fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Expected points by content; compare with [`BoardState::points`] for equality.
    #[must_use]
    pub fn points(&self) -> BTreeMap<String, f64> {
        let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
        for (_, content, units) in self.events.values() {
            *sums.entry(content).or_default() += units;
        }
        let points = |units: i64| units as f64 / UNITS_PER_POINT as f64;
        sums.into_iter()
            .filter(|(_, units)| *units != 0)
            .map(|(content, units)| (content.to_owned(), points(units)))
            .collect()
    }
}

/// [`Recount`] in one call: records with their partitions, each partition in offset order.
pub fn expected<'a>(
    config: &ConnectorConfig,
    fence: &Fence,
    records: impl Iterator<Item = (&'a SinkPartition, &'a SinkRecord)>,
) -> Result<BTreeMap<String, f64>> {
    let mut recount = Recount::new(config, fence.clone())?;
    for (partition, record) in records {
        recount.add(partition, record);
    }
    Ok(recount.points())
}
