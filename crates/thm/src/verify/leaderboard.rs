//! The leaderboard against a recount of the log for the fence that Redis holds.

use std::collections::BTreeSet;

use anyhow::Result;
use thm_api::{Hosts, SinkPartition, TopicPartition};
use thm_sink::redis::verify::{Recount, read_board};

use super::engine::Engine;
use super::report::{Difference, Report};
use crate::config::Config;

/// Class of the connectors whose boards are checked.
const CLASS: &str = "thamanya.connect.redis.LeaderboardSinkConnector";
/// Scores are sums of tenths: anything above this is a difference.
const TOLERANCE: f64 = 1e-6;

/// Checks every leaderboard connector. Board and fence are read together, so no pause is needed.
pub async fn check(config: &Config, engine: &Engine, report: &mut Report) -> Result<()> {
    let hosts = Hosts::new(config.hosts.clone());
    for (name, options) in engine.connectors_of(CLASS).await? {
        let board = read_board(&options, &hosts).await?;
        let Some(fence) = board.fence else {
            report.add(Difference::new(
                "Redis",
                &name,
                "has no fence: the sink has not written yet, or the key was lost",
            ));
            continue;
        };
        let mut recount = Recount::new(&options, fence)?;
        for topic in options.list("topics") {
            let info = engine.topic(&topic).await?;
            for partition in 0..info.partitions {
                let at =
                    SinkPartition { partition: TopicPartition::new(topic.as_str(), partition), topic_uuid: info.uuid };
                let Some(end) = recount.end(&at) else { continue };
                let take = |record: &super::engine::LogRecord| recount.add(&at, &record.to_sink_record());
                engine.each_record_of(&topic, partition, end.0, take).await?;
            }
        }
        let expected = recount.points();
        report.leaderboard_members += board.points.len() as u64;
        let members: BTreeSet<&String> = expected.keys().chain(board.points.keys()).collect();
        for member in members {
            let (should, is) = (expected.get(member), board.points.get(member));
            let same = should.zip(is).is_some_and(|(should, is)| (should - is).abs() < TOLERANCE);
            if !same {
                let text = |points: Option<&f64>| points.map_or_else(|| "absent".to_owned(), f64::to_string);
                let what = format!("is {}, should be {}", text(is), text(should));
                report.add(Difference::new("Redis", member, what));
            }
        }
    }
    Ok(())
}
