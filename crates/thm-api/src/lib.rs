//! The words every other crate speaks: typed progress, batches, traits with their promises, errors.
//!
//! No I/O happens here. A trait says what its `Ok` promises; each has one conformance suite that
//! every implementation runs.
//!
//! ```text
//!  SourceTask ──poll──▶ SourceBatch ──append──▶ Log ──read──▶ LogBatch ──▶ SinkBatch ──write──▶ SinkTask
//!      ▲                                         │
//!      └────────── acknowledge(Position) ◀── durable
//! ```

pub mod budget;
pub mod changelog;
pub mod config;
pub mod connector;
pub mod error;
pub mod failpoint;
pub mod hosts;
pub mod log;
pub mod lsn;
pub mod offsets;
pub mod position;
pub mod secret;
pub mod sink;
mod sink_records;
pub mod source;
pub mod state;

pub use budget::{MemoryBudget, Permit};
pub use changelog::{ChangelogBatch, Op, RowKind, RowMeta};
pub use config::{ConfigDef, ConfigIssue, ConfigKey, ConfigType, ConnectorConfig, Importance, Support};
pub use connector::{Connector, ConnectorKind, Registry, Task, TaskContext};
pub use error::{Error, ErrorKind, ExitCode, Policy, RejectedRecord, Result};
pub use failpoint::Failpoints;
pub use hosts::Hosts;
pub use log::{
    Append, Appended, Cleanup, Complete, Completeness, FetchedBatch, Log, LogBatch, Offset, PartitionInfo, ReadLimits,
    ReadResult, Topic, TopicPartition, TopicSpec,
};
pub use lsn::Lsn;
pub use offsets::{Generation, GroupLease, GroupOffsets, OffsetStore};
pub use position::{Position, Progress};
pub use secret::Secret;
pub use sink::{BatchPolicy, Origin, SinkBatch, SinkChunk, SinkPartition, SinkRecord, SinkTask};
pub use sink_records::SinkRecords;
pub use source::{PartitionProgress, SourceAppend, SourceBatch, SourceTask, Superseded, Supersession};
pub use state::StateStore;
