//! The mechanisms of the sinks that can be switched off, and the faults that show what each is for.

use clap::ValueEnum;

use super::fault::Emphasis;
use super::stack::Part;

/// A mechanism behind promises 5 to 7 of the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Mechanism {
    /// The deduplication token: a late first attempt brings an old row back
    #[value(name = "clickhouse.no-token")]
    ClickHouseToken,
    /// The delete: a row that moved or went stays
    #[value(name = "clickhouse.no-delete")]
    ClickHouseDelete,
    /// The order of insert and delete: a repeated insert is deduplicated, and its row is gone
    #[value(name = "clickhouse.delete-before-insert")]
    ClickHouseOrder,
    /// The commit before a range with deletes: it comes again after later ranges, and takes their rows
    #[value(name = "clickhouse.no-early-commit")]
    ClickHouseCommit,
    /// The session of deletes: one that comes late takes rows of later ranges
    #[value(name = "clickhouse.no-delete-session")]
    ClickHouseSession,
    /// The fence: an attempt whose answer was lost counts twice
    #[value(name = "redis.no-fence")]
    RedisFence,
    /// The memory of what an event scored
    #[value(name = "redis.no-take-back")]
    RedisTakeBack,
    /// The generation in the fence: a reset changes nothing
    #[value(name = "redis.no-generation")]
    RedisGeneration,
    /// One request at a time for a key
    #[value(name = "http.no-order")]
    HttpOrder,
    /// What was delivered of an unfinished batch
    #[value(name = "http.forget-completed")]
    HttpCompleted,
}

impl Mechanism {
    /// As the engine's environment names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ClickHouseToken => "clickhouse.no-token",
            Self::ClickHouseDelete => "clickhouse.no-delete",
            Self::ClickHouseOrder => "clickhouse.delete-before-insert",
            Self::ClickHouseCommit => "clickhouse.no-early-commit",
            Self::ClickHouseSession => "clickhouse.no-delete-session",
            Self::RedisFence => "redis.no-fence",
            Self::RedisTakeBack => "redis.no-take-back",
            Self::RedisGeneration => "redis.no-generation",
            Self::HttpOrder => "http.no-order",
            Self::HttpCompleted => "http.forget-completed",
        }
    }

    /// The faults that show it.
    pub(super) fn emphasis(self) -> Emphasis {
        match self {
            Self::ClickHouseToken | Self::ClickHouseDelete | Self::ClickHouseOrder => {
                Emphasis::Delivery(Part::ClickHouse)
            }
            Self::ClickHouseCommit => Emphasis::Crashes,
            Self::ClickHouseSession => Emphasis::LateDeletes,
            Self::RedisFence | Self::RedisTakeBack => Emphasis::Delivery(Part::Redis),
            Self::RedisGeneration => Emphasis::Board,
            Self::HttpOrder => Emphasis::Delivery(Part::Api),
            Self::HttpCompleted => Emphasis::Refusals,
        }
    }
}
