//! The log's metrics.
//!
//! | name | what |
//! |---|---|
//! | `thm_log_appended_records_total` {topic} | durable records |
//! | `thm_log_appended_bytes_total` {topic} | durable bytes of batches |
//! | `thm_log_fsyncs_total`, `thm_log_fsync_seconds` | fsyncs of segment files |
//! | `thm_log_tail_cache_hits_total`, `thm_log_tail_cache_misses_total` {topic} | reads |
//! | `thm_log_size_bytes` | all segments, as of the last look of retention |

use metrics::{Counter, Gauge, Histogram};

/// Handles of one topic, looked up once.
#[derive(Clone, Debug)]
pub(crate) struct TopicMeters {
    /// Durable records.
    pub records: Counter,
    /// Durable bytes.
    pub bytes: Counter,
    /// Reads served by the tail cache.
    pub hits: Counter,
    /// Reads served by segments.
    pub misses: Counter,
}

impl TopicMeters {
    /// Handles for a topic.
    pub(crate) fn new(topic: &str) -> Self {
        let topic = topic.to_owned();
        Self {
            records: metrics::counter!("thm_log_appended_records_total", "topic" => topic.clone()),
            bytes: metrics::counter!("thm_log_appended_bytes_total", "topic" => topic.clone()),
            hits: metrics::counter!("thm_log_tail_cache_hits_total", "topic" => topic.clone()),
            misses: metrics::counter!("thm_log_tail_cache_misses_total", "topic" => topic),
        }
    }
}

/// Handles of the log thread.
#[derive(Clone, Debug)]
pub(crate) struct DiskMeters {
    /// Number of fsyncs.
    pub fsyncs: Counter,
    /// Their duration.
    pub fsync_seconds: Histogram,
    /// Size of the log.
    pub size_bytes: Gauge,
}

impl DiskMeters {
    /// Handles for a log.
    pub(crate) fn new() -> Self {
        Self {
            fsyncs: metrics::counter!("thm_log_fsyncs_total"),
            fsync_seconds: metrics::histogram!("thm_log_fsync_seconds"),
            size_bytes: metrics::gauge!("thm_log_size_bytes"),
        }
    }
}
