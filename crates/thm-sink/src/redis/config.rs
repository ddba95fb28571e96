//! Typed settings of the leaderboard, from its options.

use std::time::Duration;

use thm_api::{ConnectorConfig, Error, ErrorKind, Result, Secret};

use super::options::DEFAULT_SCORES;

/// Ten minutes: the name of the board says so.
pub const DEFAULT_WINDOW_MS: i64 = 600_000;
/// Longer than any script of a full batch takes by far; a target that is slower counts as unreachable.
pub const DEFAULT_TIMEOUT_MS: u64 = 5_000;
/// Points are counted in whole millionths, so that sums neither drift nor depend on their order.
pub const UNITS_PER_POINT: i64 = 1_000_000;
/// Most points of one event: a sum of 2^53 units stays exact in Redis' scripts.
const MAX_POINTS: f64 = 1e6;
/// Clocks of database, producers and ours may differ by this much; a moment further ahead is pulled back to it.
pub const FUTURE_SLACK_MS: i64 = 60_000;

/// Which moment of an event counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowTime {
    /// The record's Kafka timestamp; of snapshot rows the event's own time.
    Record,
    /// The event's own time.
    Event,
    /// When the sink sees it. A rebuild cannot restore it.
    Processing,
}

/// Names of the fields that matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// Identity of an event.
    pub id: String,
    /// Member of the board.
    pub content: String,
    /// Type, looked up in the scores.
    pub kind: String,
    /// The event's own time.
    pub time: String,
}

/// Where Redis is.
#[derive(Clone, Debug)]
pub struct Target {
    /// Host as the file says it.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database number.
    pub db: i64,
    /// User, if any.
    pub username: Option<String>,
    /// Password, if any.
    pub password: Option<Secret>,
    /// TLS, if any, with the PEM file of authorities; none in it: the system's.
    pub tls: Option<Option<String>>,
    /// For a connection and for each answer.
    pub timeout: Duration,
}

/// All options, parsed.
#[derive(Clone, Debug)]
pub struct LeaderboardSettings {
    /// Where Redis is.
    pub target: Target,
    /// Key of the sorted set.
    pub key: String,
    /// Length of the window, milliseconds.
    pub window_ms: i64,
    /// Which moment counts.
    pub time: WindowTime,
    /// Units by event type.
    pub scores: Vec<(String, i64)>,
    /// Field names.
    pub fields: Fields,
    /// Whether identities need the topic's name before them.
    pub several_topics: bool,
}

impl LeaderboardSettings {
    /// Parses and checks the options; names the first that is wrong.
    pub fn parse(config: &ConnectorConfig) -> Result<Self> {
        let time = match config.text("window.time", "record") {
            "record" => WindowTime::Record,
            "event" => WindowTime::Event,
            "processing" => WindowTime::Processing,
            other => return Err(invalid("window.time", format!("`{other}` is none of record, event, processing."))),
        };
        let default_ms = config.parse::<i64>("window.minutes", DEFAULT_WINDOW_MS / 60_000)?.saturating_mul(60_000);
        let window_ms = config.parse("window.ms", default_ms)?;
        if !(1_000..=86_400_000).contains(&window_ms) {
            return Err(invalid("window.ms", "A window lasts between one second and one day."));
        }
        let field = |option: &str, default: &str| config.text(option, default).to_owned();
        Ok(Self {
            target: Target::parse(config)?,
            key: field("leaderboard.key", "thm:top:10m"),
            window_ms,
            time,
            scores: parse_scores(config.text("scores", DEFAULT_SCORES))?,
            fields: Fields {
                id: field("id.field", "id"),
                content: field("content.field", "content_id"),
                kind: field("type.field", "event_type"),
                time: field("time.field", "event_ts"),
            },
            several_topics: config.list("topics").len() > 1 || config.get("topics.regex").is_some(),
        })
    }

    /// Units of an event type; `None` for a type that is not listed.
    #[must_use]
    pub fn units(&self, kind: &str) -> Option<i64> {
        self.scores.iter().find(|(name, _)| name == kind).map(|(_, units)| *units)
    }

    /// Text that differs when a board built under other options cannot be gone on with.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let Fields { id, content, kind, time } = &self.fields;
        let mut scores = self.scores.clone();
        scores.sort();
        let scores: Vec<String> = scores.iter().map(|(name, units)| format!("{name}:{units}")).collect();
        let (window, moment, several) = (self.window_ms, self.time, self.several_topics);
        format!("v1 {window} {moment:?} {id},{content},{kind},{time} {several} {}", scores.join(","))
    }

    /// Name of an auxiliary key, in the cluster slot of the board.
    #[must_use]
    pub fn aux_key(&self, name: &str) -> String {
        let tagged =
            self.key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).is_some_and(|(tag, _)| !tag.is_empty());
        let key = &self.key;
        if tagged { format!("{key}:{name}") } else { format!("{{{key}}}:{name}") }
    }

    /// The last second (since 1970) that is out of the window at `now_ms`.
    #[must_use]
    pub const fn expired_at(&self, now_ms: i64) -> i64 {
        (now_ms - self.window_ms).div_euclid(1_000)
    }
}

impl Target {
    fn parse(config: &ConnectorConfig) -> Result<Self> {
        let uri = config.text("redis.uri", "redis://redis:6379/0");
        let bad_uri =
            || invalid("redis.uri", "Write it as redis://[user:password@]host:port/db, or rediss:// for TLS.");
        // The library reads neither the scheme nor the rest of it as we have TLS from elsewhere.
        let (is_tls, plain) = match uri.strip_prefix("rediss:") {
            Some(rest) => (true, format!("redis:{rest}")),
            None => (false, uri.to_owned()),
        };
        let info = redis::IntoConnectionInfo::into_connection_info(plain).map_err(|_| bad_uri())?;
        let redis::ConnectionAddr::Tcp(mut host, mut port) = info.addr().clone() else { return Err(bad_uri()) };
        let hosts = config.list("redis.hosts");
        if hosts.len() > 1 {
            return Err(invalid("redis.hosts", "Name one host; clusters and sentinels are not supported."));
        }
        if let Some(address) = hosts.first() {
            let (name, digits) = address.rsplit_once(':').unwrap_or((address, "6379"));
            name.clone_into(&mut host);
            port = digits.parse().map_err(|_| invalid("redis.hosts", "Write it as host:port."))?;
        }
        let login = info.redis_settings();
        let username = config.get("redis.username").or(login.username());
        let password = config.get("redis.password").or(login.password());
        Ok(Self {
            host: config.text("redis.host", &host).to_owned(),
            port: config.parse("redis.port", port)?,
            db: config.parse("redis.db", login.db())?,
            username: username.map(str::to_owned),
            password: password.map(Secret::new),
            tls: is_tls.then(|| config.get("ssl.ca.location").map(str::to_owned)),
            timeout: Duration::from_millis(config.parse("redis.timeout.ms", DEFAULT_TIMEOUT_MS)?.max(1)),
        })
    }
}

fn invalid(option: &str, hint: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, "reading the connector's options", option).with_hint(hint)
}

fn parse_scores(text: &str) -> Result<Vec<(String, i64)>> {
    let mut scores: Vec<(String, i64)> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let points =
            part.rsplit_once(':').and_then(|(name, points)| Some((name.trim(), points.trim().parse::<f64>().ok()?)));
        let Some((name, points)) = points.filter(|(_, points)| (0.0..=MAX_POINTS).contains(points)) else {
            return Err(invalid("scores", format!("`{part}` is not type:points with points from 0 to a million.")));
        };
        let units = points * UNITS_PER_POINT as f64;
        if (units - units.round()).abs() > 1e-3 {
            return Err(invalid("scores", format!("`{part}` has more than six decimal places.")));
        }
        if scores.iter().any(|(other, _)| other == name) {
            return Err(invalid("scores", format!("`{name}` is listed twice.")));
        }
        scores.push((name.to_owned(), units.round() as i64));
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    fn settings(options: &[(&str, &str)]) -> Result<LeaderboardSettings> {
        let values = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        LeaderboardSettings::parse(&ConnectorConfig::new(values.collect::<BTreeMap<_, _>>()))
    }

    #[test]
    fn defaults_are_the_contract() {
        let settings = settings(&[]).unwrap();
        assert_eq!((settings.target.host.as_str(), settings.target.port, settings.target.db), ("redis", 6379, 0));
        assert_eq!(settings.units("click"), Some(200_000));
        assert_eq!(settings.units("pause"), Some(0));
        assert_eq!(settings.units("seek"), None);
        assert_eq!(settings.window_ms, 600_000);
    }

    #[test]
    fn auxiliary_keys_share_the_slot_of_the_board() {
        assert_eq!(settings(&[]).unwrap().aux_key("fence"), "{thm:top:10m}:fence");
        assert_eq!(settings(&[("leaderboard.key", "{thm}:top")]).unwrap().aux_key("fence"), "{thm}:top:fence");
    }

    #[test]
    fn wrong_options_are_named() {
        for (option, value) in [
            ("scores", "play"),
            ("scores", "play:-1"),
            ("scores", "play:0.0000001"),
            ("window.ms", "10"),
            ("window.time", "never"),
            ("redis.uri", "rediss:"),
            ("redis.uri", "http://x"),
            ("redis.hosts", "a:1,b:2"),
            ("redis.port", "x"),
        ] {
            let error = settings(&[(option, value)]).unwrap_err();
            assert_eq!((error.kind(), error.object()), (ErrorKind::InvalidConfig, option), "{value}");
        }
    }

    #[test]
    fn the_scheme_says_whether_inside_tls() {
        assert_eq!(settings(&[("redis.uri", "redis://x")]).unwrap().target.tls, None);
        assert_eq!(settings(&[("redis.uri", "rediss://x:6380/1")]).unwrap().target.tls, Some(None));
        let named = settings(&[("redis.uri", "rediss://x"), ("ssl.ca.location", "ca.pem")]).unwrap();
        assert_eq!(named.target.tls, Some(Some("ca.pem".to_owned())));
    }

    #[test]
    fn single_options_win_over_the_uri_and_the_password_never_prints() {
        let settings = settings(&[
            ("redis.uri", "redis://me:first@one:1/2"),
            ("redis.hosts", "two:3"),
            ("redis.port", "4"),
            ("redis.password", "hush"),
        ])
        .unwrap();
        let Target { host, port, db, username, password, .. } = &settings.target;
        assert_eq!((host.as_str(), *port, *db, username.as_deref()), ("two", 4, 2, Some("me")));
        assert_eq!(password.as_ref().unwrap().expose(), "hush");
        assert!(!format!("{settings:?}").contains("hush"));
    }
}
