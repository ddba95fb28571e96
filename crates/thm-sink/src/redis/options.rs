//! The class's options in display order.

use thm_api::config::ConfigType::{Int, List, Long, Password, String as Text};
use thm_api::{ConfigDef, ConfigKey, ConfigType, Importance};

/// Points by event type, as the original's consumer counted them.
pub const DEFAULT_SCORES: &str = "play:1.0,finish:1.0,click:0.2,pause:0";

const CONNECTION: &str = "Connection";
const BOARD: &str = "Leaderboard";
const FIELDS: &str = "Fields";

const fn key(
    name: &'static str,
    kind: ConfigType,
    default: Option<&'static str>,
    group: &'static str,
    doc: &'static str,
) -> ConfigKey {
    ConfigKey { group, ..ConfigKey::new(name, kind, default, doc) }
}

/// The class's options in display order.
pub const CONFIG_DEF: ConfigDef = ConfigDef {
    keys: &[
        ConfigKey {
            importance: Importance::High,
            ..key(
                "redis.uri",
                Text,
                Some("redis://redis:6379/0"),
                CONNECTION,
                "Where Redis is: redis://[user:password@]host:port/db, rediss:// for TLS.",
            )
        },
        key(
            "redis.hosts",
            List,
            None,
            CONNECTION,
            "host:port of Redis; wins over the one in redis.uri. One host is supported.",
        ),
        key("redis.host", Text, None, CONNECTION, "Host of Redis; wins over redis.uri and redis.hosts."),
        ConfigKey {
            range: Some((1, 65535)),
            ..key("redis.port", Int, None, CONNECTION, "Port of Redis; wins over redis.uri and redis.hosts.")
        },
        ConfigKey {
            range: Some((0, 1_000_000)),
            ..key("redis.db", Int, None, CONNECTION, "Database number; wins over redis.uri.")
        },
        key("redis.username", Text, None, CONNECTION, "User of Redis' access control lists; wins over redis.uri."),
        ConfigKey {
            importance: Importance::High,
            ..key("redis.password", Password, None, CONNECTION, "Password; wins over redis.uri.")
        },
        key(
            "ssl.ca.location",
            Text,
            None,
            CONNECTION,
            "PEM file of the authorities, or of the certificate itself, that a rediss:// server is believed by; without it the system's authorities.",
        ),
        ConfigKey {
            range: Some((1, 600_000)),
            ..key(
                "redis.timeout.ms",
                Long,
                Some("5000"),
                CONNECTION,
                "How long to wait for a connection or an answer, in milliseconds.",
            )
        },
        ConfigKey {
            importance: Importance::High,
            ..key(
                "leaderboard.key",
                Text,
                Some("thm:top:10m"),
                BOARD,
                "Key of the sorted set. Auxiliary keys are named {key}:* and share its cluster slot.",
            )
        },
        ConfigKey {
            range: Some((1_000, 86_400_000)),
            ..key("window.ms", Long, Some("600000"), BOARD, "Length of the sliding window, in milliseconds.")
        },
        ConfigKey {
            range: Some((1, 1_440)),
            ..key("window.minutes", Int, None, BOARD, "The same in minutes, if window.ms is not given.")
        },
        ConfigKey {
            allowed: &["record", "event", "processing"],
            ..key(
                "window.time",
                Text,
                Some("record"),
                BOARD,
                "Which moment of an event counts: its record's Kafka timestamp (of rows of a snapshot: the event's own time), the event's own time, or the moment of processing.",
            )
        },
        key(
            "scores",
            List,
            Some(DEFAULT_SCORES),
            BOARD,
            "Points of each event type, as type:points; types that are not listed get none.",
        ),
        key("id.field", Text, Some("id"), FIELDS, "Field that identifies an event."),
        key("content.field", Text, Some("content_id"), FIELDS, "Field that becomes the member of the board."),
        key("type.field", Text, Some("event_type"), FIELDS, "Field with the event's type."),
        key("time.field", Text, Some("event_ts"), FIELDS, "Field with the event's own time."),
    ],
};
