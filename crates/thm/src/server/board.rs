//! The leaderboard for the page, read from the Redis that the leaderboard connector writes.

use serde_json::{Value, json};
use thm_api::ConnectorConfig;
use thm_sink::redis::verify::read_board;

use crate::engine::Engine;

const CLASS: &str = "thamanya.connect.redis.LeaderboardSinkConnector";
/// Places shown.
const PLACES: usize = 10;

/// The first places, best first; empty while Redis is away.
pub async fn top(engine: &Engine) -> Vec<Value> {
    let Some(config) = config(engine) else { return Vec::new() };
    let Ok(board) = read_board(&config, &engine.hosts).await else { return Vec::new() };
    let mut rows: Vec<_> = board.points.into_iter().collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    rows.truncate(PLACES);
    rows.into_iter().map(|(member, score)| json!({"member": member, "score": score})).collect()
}

/// Options, secrets resolved, of the first leaderboard connector.
fn config(engine: &Engine) -> Option<ConnectorConfig> {
    let connector = engine.herder.snapshot().into_iter().find(|one| one.class == CLASS)?;
    let written = engine.herder.info(&connector.name).ok()?.config;
    let written = written.into_iter().filter_map(|(option, text)| Some((option, text?))).collect();
    thm_connect::resolve_secrets(&written).ok()
}
