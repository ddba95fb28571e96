//! Which partitions a sink reads: those of its topics that exist now.

use regex::Regex;
use thm_api::{ConnectorConfig, Error, ErrorKind, Log, PartitionInfo, Result, SinkPartition, TopicPartition};

/// `topics` or `topics.regex`.
#[derive(Debug)]
pub(crate) enum Wanted {
    Names(Vec<String>),
    Pattern(Regex),
}

impl Wanted {
    /// From the connector's options.
    pub(crate) fn from_config(config: &ConnectorConfig) -> Result<Self> {
        if let Some(pattern) = config.get("topics.regex") {
            let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
                Error::new(ErrorKind::InvalidConfig, "reading the connector's options", "topics.regex")
                    .with_source(error)
            })?;
            return Ok(Self::Pattern(regex));
        }
        config.require("topics")?;
        Ok(Self::Names(config.list("topics")))
    }

    fn has(&self, topic: &str) -> bool {
        match self {
            Self::Names(names) => names.iter().any(|name| name == topic),
            // Kafka's pattern subscriptions leave internal topics out.
            Self::Pattern(pattern) => !topic.starts_with("__") && pattern.is_match(topic),
        }
    }

    /// The partitions that exist now, by topic and number.
    pub(crate) fn assigned(&self, log: &dyn Log) -> Vec<(SinkPartition, PartitionInfo)> {
        let mut found = Vec::new();
        for topic in log.topics().into_iter().filter(|topic| self.has(&topic.spec.name)) {
            let name: std::sync::Arc<str> = topic.spec.name.as_str().into();
            for (number, info) in (0..).zip(topic.partitions) {
                let partition = TopicPartition::new(std::sync::Arc::clone(&name), number);
                found.push((SinkPartition { partition, topic_uuid: topic.uuid }, info));
            }
        }
        found
    }
}
