//! The board in Redis: its keys, its scripts, and a batch packed for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use redis::Cmd;
use thm_api::{Generation, Hosts, Offset, Result, SinkPartition};

use super::client::{LoadedScript, RedisClient};
use super::config::{FUTURE_SLACK_MS, LeaderboardSettings, UNITS_PER_POINT};
use super::event::{Change, Event, Moment};
use super::fence::{Fence, offset_field};

/// The auxiliary keys outlive the board by this: a sink that comes back within a day goes on, a deleted one leaves nothing.
const AUX_TTL_MS: i64 = 86_400_000;
/// Most seconds that one call takes out of the window: so many keys it names.
const MAX_EXPIRE_SECONDS: i64 = 512;
/// Most seconds that one call forgets together when nothing is left in the window: Lua's stack bounds it.
const MAX_FORGET_SECONDS: i64 = 4_096;
/// A call stops after the second that passes this many ids: about 20 ms in which Redis serves nobody else.
const MAX_EXPIRE_IDS: i64 = 20_000;

/// A connection, the names of the keys, the scripts.
pub(super) struct Board {
    client: RedisClient,
    settings: Arc<LeaderboardSettings>,
    keys: [String; 4],
    bucket_prefix: String,
    read: LoadedScript,
    start: LoadedScript,
    write: LoadedScript,
    expire: LoadedScript,
}

/// What a write did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// Last second of any event.
    pub newest: i64,
    /// Records that were out of the window.
    pub late: u64,
}

impl Board {
    /// Connects, checks the key's type and stores the scripts.
    pub async fn connect(settings: Arc<LeaderboardSettings>, hosts: &Hosts) -> Result<Self> {
        let mut client = RedisClient::connect(&settings.target, hosts).await?;
        super::check_type(&mut client, &settings.key).await?;
        let read = client.load(include_str!("scripts/read.lua")).await?;
        let start = client.load(include_str!("scripts/start.lua")).await?;
        let write = client.load(include_str!("scripts/write.lua")).await?;
        let expire = client.load(include_str!("scripts/expire.lua")).await?;
        let keys =
            [settings.key.clone(), settings.aux_key("fence"), settings.aux_key("events"), settings.aux_key("sums")];
        let bucket_prefix = settings.aux_key("s:");
        Ok(Self { client, settings, keys, bucket_prefix, read, start, write, expire })
    }

    /// `host:port/db`.
    pub fn name(&self) -> &str {
        self.client.name()
    }

    /// The fence as it stands in Redis, and whether the keys it speaks of are whole.
    pub async fn read_fence(&mut self) -> Result<(Option<Fence>, bool)> {
        let mut call = self.read.call(self.keys.len());
        call.arg(&self.keys);
        let reply = self.client.run("reading the leaderboard's fence", &self.read, &call).await?;
        let (fields, events, members): (BTreeMap<String, String>, u64, u64) = reply;
        let fence = Fence::parse(&fields);
        let whole = fence.as_ref().is_some_and(|fence| fence.events == events && fence.members == members);
        Ok((fence, whole))
    }

    /// Empties the board under a new fence; false if the fence is no longer the one that was `judged`.
    pub async fn start(&mut self, new: &Fence, judged: Option<&Fence>) -> Result<bool> {
        let mut call = self.start.call(self.keys.len());
        call.arg(&self.keys).arg(new.generation.0).arg(&new.config).arg(new.expired_through).arg(self.aux_ttl_ms());
        match judged {
            Some(fence) => call.arg(fence.generation.0).arg(&fence.config),
            None => call.arg("").arg(""),
        };
        let reply: Vec<i64> = self.client.run("starting an empty leaderboard", &self.start, &call).await?;
        Ok(reply.first() == Some(&1))
    }

    /// Changes board and fence; `None` if the fence is not `fence`.
    pub async fn write(
        &mut self,
        fence: &Fence,
        partition: &SinkPartition,
        next: Offset,
        changes: &Changes,
    ) -> Result<Option<Written>> {
        let mut call = self.write.call_with(self.keys.len() + changes.seconds.len(), changes.arguments());
        call.arg(&self.keys);
        for second in &changes.seconds {
            call.arg(format!("{}{second}", self.bucket_prefix));
        }
        call.arg(fence.generation.0).arg(&fence.config);
        call.arg(offset_field(partition.topic_uuid, partition.partition.partition));
        match fence.offset(partition) {
            Some(Offset(offset)) => call.arg(offset),
            None => call.arg(""),
        };
        call.arg(next.0).arg(UNITS_PER_POINT).arg(self.board_ttl_ms()).arg(self.aux_ttl_ms());
        changes.append_to(&mut call);
        let reply: Vec<i64> = self.client.run("writing the leaderboard", &self.write, &call).await?;
        Ok(match reply[..] {
            [1, _, newest, late] => Some(Written { newest, late: late.unsigned_abs() }),
            _ => None,
        })
    }

    /// Takes seconds out of the window, at most up to `target`, and gives how far it came and how many ids went;
    /// `None` if the fence is not `fence`.
    pub async fn expire(&mut self, fence: &Fence, target: i64) -> Result<Option<(i64, u64)>> {
        let full_until = target.min(fence.newest);
        let everything = target >= fence.newest && fence.newest - fence.expired_through <= MAX_FORGET_SECONDS;
        let most_seconds = if everything { MAX_FORGET_SECONDS } else { MAX_EXPIRE_SECONDS };
        let until = full_until.min(fence.expired_through + most_seconds).max(fence.expired_through);
        let seconds = fence.expired_through + 1..=until;
        let mut call = self.expire.call(self.keys.len() + seconds.clone().count());
        call.arg(&self.keys);
        for second in seconds {
            call.arg(format!("{}{second}", self.bucket_prefix));
        }
        call.arg(fence.generation.0).arg(&fence.config).arg(fence.expired_through).arg(fence.newest);
        // After the last second with events there is nothing up to the target.
        call.arg(if until >= full_until { target } else { until });
        call.arg(UNITS_PER_POINT).arg(self.board_ttl_ms()).arg(self.aux_ttl_ms());
        call.arg(if everything { 0 } else { MAX_EXPIRE_IDS });
        let reply: Vec<i64> = self.client.run("sliding the leaderboard's window", &self.expire, &call).await?;
        Ok(match reply[..] {
            [1, expired_through, ids] => Some((expired_through, ids.unsigned_abs())),
            _ => None,
        })
    }

    /// An empty fence of this board.
    pub fn empty_fence(&self, generation: Generation, config: &str, now_ms: i64) -> Fence {
        let expired_through = self.settings.expired_at(now_ms);
        Fence { generation, config: config.to_owned(), expired_through, newest: expired_through, ..Fence::default() }
    }

    /// A board that nobody slides any more goes away when all its events are out of the window.
    fn board_ttl_ms(&self) -> i64 {
        self.settings.window_ms + FUTURE_SLACK_MS
    }

    fn aux_ttl_ms(&self) -> i64 {
        self.board_ttl_ms() + AUX_TTL_MS
    }
}

/// A batch packed for the script: seconds and members once each, rows that point to them.
#[derive(Debug, Default)]
pub(super) struct Changes {
    seconds: Vec<i64>,
    second_index: HashMap<i64, usize, RandomState>,
    members: Vec<(String, i64)>,
    /// Content to the (units, index) it occurs with.
    member_index: HashMap<String, Vec<(i64, usize)>, RandomState>,
    ids: String,
    rows: Vec<Packed>,
}

#[derive(Clone, Copy, Debug)]
struct Packed {
    id_end: usize,
    when: When,
    /// From 1, as Lua counts.
    member: usize,
}

#[derive(Clone, Copy, Debug)]
enum When {
    At(usize),
    Keep,
    Delete,
}

impl Changes {
    /// Adds an event.
    pub fn push(&mut self, event: &Event<'_>) {
        let (when, member) = match &event.change {
            Change::Delete => (When::Delete, 0),
            Change::Put { content, units, moment } => {
                let when = match moment {
                    Moment::At(second) => When::At(self.second(*second)),
                    Moment::Keep => When::Keep,
                };
                (when, self.member(content, *units))
            }
        };
        self.ids.push_str(&event.id);
        self.rows.push(Packed { id_end: self.ids.len(), when, member });
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many arguments they make of a script, and about how many bytes.
    fn arguments(&self) -> (usize, usize) {
        let count = 32 + 2 * (self.seconds.len() + self.members.len()) + 3 * self.rows.len();
        (count, 1_024 + self.ids.len() + 64 * (self.seconds.len() + self.members.len()) + 8 * self.rows.len())
    }

    fn second(&mut self, second: i64) -> usize {
        let Self { seconds, second_index, .. } = self;
        *second_index.entry(second).or_insert_with(|| {
            seconds.push(second);
            seconds.len()
        })
    }

    fn member(&mut self, content: &str, units: i64) -> usize {
        let known = self.member_index.get(content);
        let found = known.and_then(|places| places.iter().find(|(other, _)| *other == units));
        if let Some((_, index)) = found {
            return *index;
        }
        self.members.push((content.to_owned(), units));
        let index = self.members.len();
        self.member_index.entry(content.to_owned()).or_default().push((units, index));
        index
    }

    fn append_to(&self, call: &mut Cmd) {
        call.arg(self.seconds.len()).arg(self.members.len()).arg(&self.seconds);
        for (content, units) in &self.members {
            call.arg(content).arg(units);
        }
        let mut id_start = 0;
        for Packed { id_end, when, member } in &self.rows {
            call.arg(&self.ids[id_start..*id_end]);
            id_start = *id_end;
            match when {
                When::At(index) => call.arg(index),
                When::Keep => call.arg("k"),
                When::Delete => call.arg("d"),
            };
            call.arg(member);
        }
    }
}
