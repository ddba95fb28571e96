//! The targets as they look from outside: rows of ClickHouse tables, first places of leaderboards.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use thm_api::{ConnectorConfig, Hosts, Result};
use thm_connect::ConnectorSnapshot;
use thm_sink::clickhouse::TableWatch;
use thm_sink::redis::BoardWatch;

use super::Place;
use super::titles::Titles;
use crate::engine::Engine;

/// Places shown.
const PLACES: usize = 10;
/// A target may take this long; a slow one must not hold up the others' figures.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);

/// What stands behind a connector.
enum Eye {
    Table(TableWatch),
    Board(BoardWatch),
}

struct Target {
    eye: Eye,
    /// What the eye was made of: another configuration or other topics need another.
    made_of: (ConnectorConfig, Vec<String>),
    rows: Option<u64>,
    board: Vec<(String, f64)>,
}

/// All targets that are looked at, by connector.
#[derive(Default)]
pub struct Targets {
    by_connector: BTreeMap<String, Target>,
}

impl Targets {
    /// Looks at all of them side by side. One that does not answer keeps its last figure: its connector says what is
    /// wrong.
    pub async fn look(&mut self, engine: &Engine, connectors: &[ConnectorSnapshot]) {
        let names: BTreeSet<&str> = connectors.iter().map(|one| one.name.as_str()).collect();
        self.by_connector.retain(|name, _| names.contains(name.as_str()));
        for one in connectors {
            self.renew(engine, one);
        }
        let looks = self.by_connector.values_mut().map(|target| target.look(&engine.hosts));
        futures::future::join_all(looks).await;
    }

    /// Makes the eye of a connector if it has none, or one made of something else.
    fn renew(&mut self, engine: &Engine, one: &ConnectorSnapshot) {
        let Some(config) = config(engine, &one.name) else { return };
        let made_of = (config, one.topics.clone());
        if self.by_connector.get(&one.name).is_some_and(|target| target.made_of == made_of) {
            return;
        }
        let eye = match open(&one.class, &made_of, &engine.hosts) {
            Some(Ok(eye)) => eye,
            Some(Err(error)) => {
                tracing::debug!(connector = one.name, %error, "its target cannot be watched");
                return;
            }
            None => return,
        };
        let target = Target { eye, made_of, rows: None, board: Vec::new() };
        self.by_connector.insert(one.name.clone(), target);
    }

    /// Rows, by connector.
    pub fn rows(&self) -> BTreeMap<String, u64> {
        self.by_connector.iter().filter_map(|(name, target)| Some((name.clone(), target.rows?))).collect()
    }

    /// First places, by connector.
    pub fn boards(&self, titles: &Titles) -> BTreeMap<String, Vec<Place>> {
        let boards = self.by_connector.iter().filter(|(_, target)| matches!(target.eye, Eye::Board(_)));
        let place = |(member, score): &(String, f64)| Place {
            member: member.clone(),
            title: titles.of(member).map(str::to_owned),
            score: *score,
        };
        boards.map(|(name, target)| (name.clone(), target.board.iter().map(place).collect())).collect()
    }
}

impl Target {
    async fn look(&mut self, hosts: &Hosts) {
        match &mut self.eye {
            Eye::Table(table) => {
                if let Ok(Ok(rows)) = tokio::time::timeout(DEFAULT_TIMEOUT, table.rows()).await {
                    self.rows = Some(rows);
                }
            }
            Eye::Board(board) => {
                if let Ok(Ok(top)) = tokio::time::timeout(DEFAULT_TIMEOUT, board.top(PLACES, hosts)).await {
                    self.board = top;
                }
            }
        }
    }
}

fn open(class: &str, made_of: &(ConnectorConfig, Vec<String>), hosts: &Hosts) -> Option<Result<Eye>> {
    let (config, topics) = made_of;
    match class.rsplit('.').next()?.trim_end_matches("Connector") {
        "ClickHouseSink" if !topics.is_empty() => {
            Some(TableWatch::new(config, hosts, topics.iter().map(String::as_str)).map(Eye::Table))
        }
        "LeaderboardSink" => Some(BoardWatch::new(config).map(Eye::Board)),
        _ => None,
    }
}

/// A connector's options, secrets resolved.
fn config(engine: &Engine, name: &str) -> Option<ConnectorConfig> {
    let written = engine.herder.info(name).ok()?.config;
    let written = written.into_iter().filter_map(|(option, text)| Some((option, text?))).collect();
    thm_connect::resolve_secrets(&written).ok()
}
