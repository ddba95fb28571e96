//! The leaderboard against a recount of the log for the fence that Redis holds.

use std::collections::BTreeSet;

use anyhow::Result;
use thm_api::{ConnectorConfig, Hosts, SinkPartition, TopicPartition};
use thm_sink::redis::verify::{BoardState, Recount, read_board};

use super::ROUND_PAUSE;
use super::engine::Engine;
use super::report::{Difference, Report};
use crate::config::Config;

/// Class of the connectors whose boards are checked.
const CLASS: &str = "thamanya.connect.redis.LeaderboardSinkConnector";
/// Scores are sums of tenths: anything above this is a difference.
const TOLERANCE: f64 = 1e-6;

/// Checks every leaderboard connector: its fence is past what the topic had before the barrier, and its board is what
/// the log gives up to the fence. Board and fence are read together, so nothing has to stand still.
pub async fn check(
    config: &Config,
    engine: &Engine,
    client: &tokio_postgres::Client,
    report: &mut Report,
) -> Result<()> {
    let hosts = Hosts::new(config.hosts.clone());
    for (name, options) in engine.connectors_of(CLASS).await? {
        let mut differing = Vec::new();
        for round in 0..report.rounds {
            if round > 0 {
                tokio::time::sleep(ROUND_PAUSE).await;
            }
            let topics = topics(engine, &options).await?;
            engine.barrier(client).await?;
            let board = read_board(&options, &hosts).await?;
            report.leaderboard_members = board.points.len() as u64;
            differing = compare(engine, &name, &options, &topics, board).await?;
            if differing.is_empty() {
                break;
            }
        }
        differing.into_iter().for_each(|difference| report.add(difference));
    }
    Ok(())
}

/// The partitions that the connector reads, with their ends.
type Topics = Vec<(SinkPartition, i64)>;

async fn topics(engine: &Engine, options: &ConnectorConfig) -> Result<Topics> {
    let mut topics = Topics::new();
    for topic in options.list("topics") {
        let info = engine.topic(&topic).await?;
        for (partition, end) in (0..info.partitions).zip(&info.ends) {
            let partition = TopicPartition::new(topic.as_str(), partition);
            topics.push((SinkPartition { partition, topic_uuid: info.uuid }, *end));
        }
    }
    Ok(topics)
}

async fn compare(
    engine: &Engine,
    name: &str,
    options: &ConnectorConfig,
    topics: &Topics,
    board: BoardState,
) -> Result<Vec<Difference>> {
    let Some(fence) = board.fence else {
        let what = "has no fence: the sink has not written yet, or the key was lost";
        return Ok(vec![Difference::new("Redis", name, what)]);
    };
    let mut differences = Vec::new();
    let mut recount = Recount::new(options, fence)?;
    for (at, topic_end) in topics {
        let fence_end = recount.end(at).map_or(0, |end| end.0);
        if fence_end < *topic_end {
            let what = format!("stands at {} offset {fence_end}, which had {topic_end} records", at.partition);
            differences.push(Difference::new("Redis", name, what));
        }
        let take = |record: &super::engine::LogRecord| recount.add(at, &record.to_sink_record());
        engine.each_record_of(&at.partition.topic, at.partition.partition, fence_end, take).await?;
    }
    let expected = recount.points();
    let members: BTreeSet<&String> = expected.keys().chain(board.points.keys()).collect();
    for member in members {
        let (should, is) = (expected.get(member), board.points.get(member));
        let same = should.zip(is).is_some_and(|(should, is)| (should - is).abs() < TOLERANCE);
        if !same {
            let text = |points: Option<&f64>| points.map_or_else(|| "absent".to_owned(), f64::to_string);
            let what = format!("is {}, should be {}", text(is), text(should));
            differences.push(Difference::new("Redis", member, what));
        }
    }
    Ok(differences)
}
