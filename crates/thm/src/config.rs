//! `thm.toml`: one file for the engine, `THM_SECTION__KEY` in the environment over it.
//!
//! Every key has a default, so an empty file is a valid one. An unknown key is refused by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thm_api::{Error, ErrorKind, Result};

/// The file as `thm run --help` shows it: every key with its default, and what it is for.
pub const KEYS: &str = r#"thm.toml, every key with its default; THM_SECTION__KEY in the environment goes before it:

  data_dir = "thm-data"                  # log and state; relative to the file, as all paths
  connectors = ["connectors/*.json"]     # Kafka Connect's JSON: {"name": …, "config": {…}}
  sql = ["flink/sql/01_enrich.sql"]      # Flink SQL, submitted in this order

  [server]
  bind = "127.0.0.1"                     # every listener; an IP address
  kafka = [{ port = 9092, advertise = "localhost:9092" }, { port = 19092, advertise = "localhost:19092" }]
  connect_port = 8083                    # Kafka Connect's REST API
  flink_port = 8081                      # Flink's REST API, the page, /metrics
  auto_create_on_produce = false         # a producer may make a topic by writing to it

  [log]                                  # 0 stands for the default
  segment_bytes = 0                      # 64 MiB
  retention_ms = 0                       # 7 days
  retention_bytes = 0                    # 10 GiB
  min_free_bytes = 0                     # 512 MiB: with less free on its disk nothing is appended

  [memory]
  budget_mib = 96                        # all queues and caches together

  [hosts]                                # names in connector and SQL files, and where they are
  # postgres = "10.0.0.5:5432"

  [verify]                               # what thm verify and thm smoke connect to
  postgres = "postgres://app:app@127.0.0.1:5432/thm"
  clickhouse = "http://127.0.0.1:8123"
  redis = "redis://127.0.0.1:6379/0"
  mock_api_file = ""                     # of thm mock-api; empty leaves the HTTP sink out"#;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where log, state and spool lie; relative to the file's folder.
    pub data_dir: PathBuf,
    /// Connector files; `*` in the last part is allowed.
    pub connectors: Vec<String>,
    /// SQL files, submitted in this order.
    pub sql: Vec<String>,
    /// Listeners.
    pub server: Server,
    /// The embedded log.
    pub log: Log,
    /// Memory for all queues.
    pub memory: Memory,
    /// Names in users' files → addresses.
    pub hosts: BTreeMap<String, String>,
    /// What `thm verify` and `thm smoke` connect to.
    pub verify: Verify,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("thm-data"),
            connectors: vec!["connectors/*.json".to_owned()],
            sql: vec!["flink/sql/01_enrich.sql".to_owned()],
            server: Server::default(),
            log: Log::default(),
            memory: Memory::default(),
            hosts: BTreeMap::new(),
            verify: Verify::default(),
        }
    }
}

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address that every listener binds; loopback unless said otherwise.
    pub bind: String,
    /// Kafka listeners.
    pub kafka: Vec<KafkaListener>,
    /// Port of the Connect REST API.
    pub connect_port: u16,
    /// Port of the Flink REST API, the dashboard and `/metrics`.
    pub flink_port: u16,
    /// Whether a foreign producer may create a topic by writing to it.
    pub auto_create_on_produce: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1".to_owned(),
            kafka: vec![KafkaListener::local(9092), KafkaListener::local(19092)],
            connect_port: 8083,
            flink_port: 8081,
            auto_create_on_produce: false,
        }
    }
}

/// One entry of `server.kafka`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaListener {
    /// Port to bind.
    pub port: u16,
    /// `host:port` that clients are told.
    pub advertise: String,
}

impl KafkaListener {
    fn local(port: u16) -> Self {
        Self { port, advertise: format!("localhost:{port}") }
    }
}

/// `[log]`; zero means the log's own default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Bytes after which a segment is closed.
    pub segment_bytes: u64,
    /// Age at which closed segments go.
    pub retention_ms: u64,
    /// Size of the log above which the oldest closed segments go.
    pub retention_bytes: u64,
    /// Free disk below which the source stops.
    pub min_free_bytes: u64,
}

/// `[memory]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// Byte permits for tail cache, source, SQL and sinks together, in MiB.
    pub budget_mib: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { budget_mib: 96 }
    }
}

/// `[verify]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Verify {
    /// PostgreSQL, as a URL.
    pub postgres: String,
    /// ClickHouse's HTTP port, as a URL.
    pub clickhouse: String,
    /// Redis, as a URL.
    pub redis: String,
    /// File in which the mock API notes what it received; empty to leave the HTTP sink out.
    pub mock_api_file: PathBuf,
}

impl Default for Verify {
    fn default() -> Self {
        Self {
            postgres: "postgres://app:app@127.0.0.1:5432/thm".to_owned(),
            clickhouse: "http://127.0.0.1:8123".to_owned(),
            redis: "redis://127.0.0.1:6379/0".to_owned(),
            mock_api_file: PathBuf::new(),
        }
    }
}

impl Config {
    /// Reads the file, lays the environment over it, and makes its paths absolute (they are relative to it).
    pub fn load(path: &Path) -> Result<Self> {
        let bad = |source: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::InvalidConfig, "reading the configuration", path.display().to_string())
                .with_source(source)
                .with_hint("Correct the key named here; `thm run --help` shows all of them with their defaults.")
        };
        let text = read_text(path).map_err(|error| {
            bad(error.into()).with_hint("Name an existing file with --config, or start the local stack with `thm dev`.")
        })?;
        let mut table: toml::Table = toml::from_str(&text).map_err(|error| bad(error.into()))?;
        overlay(&mut table, std::env::vars());
        let mut config: Self = table.try_into().map_err(|error: toml::de::Error| bad(error.into()))?;
        let folder = std::path::absolute(path).map_err(|error| bad(error.into()))?;
        config.make_absolute(folder.parent().unwrap_or(Path::new(".")));
        config.check()?;
        Ok(config)
    }

    fn make_absolute(&mut self, folder: &Path) {
        self.data_dir = folder.join(&self.data_dir);
        if !self.verify.mock_api_file.as_os_str().is_empty() {
            self.verify.mock_api_file = folder.join(&self.verify.mock_api_file);
        }
        for pattern in self.connectors.iter_mut().chain(&mut self.sql) {
            *pattern = folder.join(&*pattern).to_string_lossy().into_owned();
        }
    }

    fn check(&self) -> Result<()> {
        let bad = |key: &str, hint: &str| {
            Err(Error::new(ErrorKind::InvalidConfig, "reading the configuration", key).with_hint(hint))
        };
        if self.server.bind.parse::<std::net::IpAddr>().is_err() {
            return bad("server.bind", "Give an IP address such as 127.0.0.1 or 0.0.0.0.");
        }
        for listener in &self.server.kafka {
            let port = listener.advertise.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none() {
                return bad("server.kafka.advertise", "Give host:port, as clients shall reach the listener.");
            }
        }
        if self.memory.budget_mib < 16 {
            return bad("memory.budget_mib", "Give at least 16 MiB; the default is 96.");
        }
        Ok(())
    }

    /// Files that the patterns in `connectors` name, sorted.
    pub fn connector_files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for pattern in &self.connectors {
            files.extend(expand(pattern)?);
        }
        Ok(files)
    }
}

/// A text file. The mark that some editors put at its beginning is no part of the text.
pub fn read_text(path: &Path) -> std::io::Result<String> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// `THM_SERVER__CONNECT_PORT=1` sets `server.connect_port`; a value that is no TOML literal is a string.
fn overlay(table: &mut toml::Table, variables: impl Iterator<Item = (String, String)>) {
    for (name, text) in variables {
        let Some((section, key)) = name.strip_prefix("THM_").and_then(|rest| rest.split_once("__")) else { continue };
        let (section, key) = (section.to_lowercase(), key.to_lowercase());
        let literal = toml::from_str::<toml::Table>(&format!("v = {text}")).ok();
        let value = literal.and_then(|mut table| table.remove("v")).unwrap_or(toml::Value::String(text));
        let section = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        if let toml::Value::Table(section) = section {
            section.insert(key, value);
        }
    }
}

/// Files that match `folder/prefix*suffix`; a pattern without `*` names one file, which must exist.
fn expand(pattern: &str) -> Result<Vec<PathBuf>> {
    let path = Path::new(pattern);
    let bad = |error: std::io::Error| {
        Error::new(ErrorKind::InvalidConfig, "looking for connector files", pattern)
            .with_source(error)
            .with_hint("Correct `connectors` in thm.toml; [] is for those who create them over REST.")
    };
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some((before, after)) = name.split_once('*') else {
        path.metadata().map_err(bad)?;
        return Ok(vec![path.to_owned()]);
    };
    let mut found = Vec::new();
    for entry in path.parent().unwrap_or(Path::new(".")).read_dir().map_err(bad)? {
        let entry = entry.map_err(bad)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(before) && name.ends_with(after) && name.len() >= before.len() + after.len() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str, variables: &[(&str, &str)]) -> std::result::Result<Config, toml::de::Error> {
        let mut table: toml::Table = toml::from_str(text)?;
        overlay(&mut table, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        table.try_into()
    }

    #[test]
    fn an_empty_file_has_the_standard_ports() {
        let config = parse("", &[]).unwrap();
        assert_eq!((config.server.connect_port, config.server.flink_port), (8083, 8081));
        assert_eq!(config.server.kafka[1].advertise, "localhost:19092");
    }

    /// What `thm run --help` shows is the truth, and all of it.
    #[test]
    fn the_keys_in_the_help_have_their_defaults() {
        let shown = parse(KEYS.split_once('\n').unwrap().1, &[]).unwrap();
        let defaults = format!("{:?}", Config::default());
        assert_eq!(format!("{shown:?}"), defaults);
        let keys = defaults.split([' ', '{']).filter_map(|word| word.strip_suffix(':'));
        keys.for_each(|key| assert!(KEYS.contains(key), "{key} is not in the help"));
    }

    #[test]
    fn the_environment_wins_and_other_variables_are_left_alone() {
        let variables = [("THM_SERVER__CONNECT_PORT", "1"), ("THM_SERVER__BIND", "0.0.0.0"), ("THM_CACHE", "x")];
        let config = parse("[server]\nconnect_port = 9", &variables).unwrap();
        assert_eq!((config.server.connect_port, config.server.bind.as_str()), (1, "0.0.0.0"));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = parse("[server]\nconect_port = 9", &[]).unwrap_err();
        assert!(error.to_string().contains("conect_port"), "{error}");
    }
}
