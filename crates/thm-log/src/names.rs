//! What a topic may be called and how many partitions it may have, as Kafka rules.

use thm_api::{Error, ErrorKind, Result, TopicPartition, TopicSpec};

/// Kafka's own limit: a name with a partition number still fits a file name of 255 bytes.
const MAX_NAME_BYTES: usize = 249;

/// More than anyone needs on one machine; each partition costs an open file.
const MAX_PARTITIONS: u32 = 1024;

/// Whether Kafka accepts it as a topic's name.
pub(crate) fn is_legal(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name != "." && name != ".." && name.bytes().all(legal)
}

/// Refuses names that Kafka refuses, and partition counts out of range.
pub(crate) fn check_spec(spec: &TopicSpec) -> Result<()> {
    let name = &spec.name;
    let refuse = |hint: &str| {
        Err(Error::new(ErrorKind::TopicMismatch, "creating topic", name.clone()).with_hint(hint.to_owned()))
    };
    if !is_legal(name) {
        return refuse("A topic name has 1 to 249 of [a-zA-Z0-9._-] and is neither `.` nor `..`.");
    }
    if spec.partitions == 0 || spec.partitions > MAX_PARTITIONS {
        return refuse("A topic has 1 to 1024 partitions.");
    }
    Ok(())
}

/// The error of a wrong number of partitions.
pub(crate) fn mismatch(spec: &TopicSpec, existing: u32) -> Error {
    Error::new(ErrorKind::TopicMismatch, "creating topic", spec.name.clone())
        .with_source(format!("it has {existing} partitions, {} are asked for", spec.partitions))
}

/// The error of a topic or partition that is not there.
pub(crate) fn missing(partition: &TopicPartition) -> Error {
    Error::new(ErrorKind::TopicMissing, "looking for partition", partition.to_string())
}

/// The error of an offset outside `start..=end`.
pub(crate) fn out_of_range(partition: &TopicPartition, from: i64, start: i64, end: i64) -> Error {
    let cause = if from < start {
        format!("offset {from} is gone: offsets {from} to {} were removed by retention", start - 1)
    } else {
        format!("offset {from} is above the high watermark {end}")
    };
    Error::new(ErrorKind::OffsetOutOfRange, "reading", partition.to_string()).with_source(cause)
}
