//! What a job says of itself, for REST and pages.

use serde::Serialize;
use thm_api::TopicPartition;

/// State of a job, in Flink's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobState {
    /// Submitted, not running yet.
    Created,
    /// Running, or waiting for its source.
    Running,
    /// Failed by something that may pass, waiting to start again.
    Restarting,
    /// All it read has come to its end.
    Finished,
    /// Stopped by an error.
    Failed,
    /// Stopped by a user.
    Canceled,
    /// Stopped with the engine; goes on from its checkpoint.
    Suspended,
}

impl JobState {
    /// As Flink's REST API says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Restarting => "RESTARTING",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Canceled => "CANCELED",
            Self::Suspended => "SUSPENDED",
        }
    }
}

/// One operator.
#[derive(Clone, Debug, Serialize)]
pub struct VertexStatus {
    /// 32 lower-case hexadecimal digits.
    pub id: String,
    /// What it does.
    pub name: String,
    /// Records that came in.
    pub records_in: u64,
    /// Records that went out.
    pub records_out: u64,
}

/// How far a job is in one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InputStatus {
    /// Topic.
    pub topic: String,
    /// Partition number.
    pub partition: u32,
    /// Next offset it consumes.
    pub consumed: i64,
}

impl InputStatus {
    /// Tells the place; the name is copied once.
    pub(super) fn take(&mut self, partition: &TopicPartition, consumed: i64) {
        if self.topic.is_empty() {
            self.topic = partition.topic.to_string();
            self.partition = partition.partition;
        }
        self.consumed = consumed;
    }
}

/// Checkpoints of a job.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CheckpointStatus {
    /// Completed since the start of the engine.
    pub completed: u64,
    /// Failed since the start of the engine.
    pub failed: u64,
    /// Number of the latest.
    pub latest_id: Option<u64>,
    /// When the latest began, milliseconds since 1970.
    pub trigger_ms: Option<i64>,
    /// How long the latest took, milliseconds.
    pub duration_ms: u64,
    /// Size of what the latest wrote, bytes.
    pub bytes: u64,
}

/// A job.
#[derive(Clone, Debug, Serialize)]
pub struct JobStatus {
    /// 32 lower-case hexadecimal digits, stable from the name.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: JobState,
    /// When it was submitted, milliseconds since 1970.
    pub start_ms: i64,
    /// When it ended, milliseconds since 1970.
    pub end_ms: Option<i64>,
    /// Why it failed.
    pub exception: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Version of the plan.
    pub plan_hash: String,
    /// Rows of the stream consumed.
    pub records_in: u64,
    /// Records written.
    pub records_out: u64,
    /// Records of the stream that are durable and not consumed yet.
    pub lag: u64,
    /// How far each input partition is consumed, its output appended though perhaps not durable yet.
    pub inputs: Vec<InputStatus>,
    /// Topic the job writes; of several, or a pattern, as its table names them.
    pub output_topic: String,
    /// Topics that it has written, or will: those that rows named so far.
    pub output_topics: Vec<String>,
    /// Pause between checkpoints, milliseconds.
    pub checkpoint_interval_ms: u64,
    /// Operators, from source to sink.
    pub vertices: Vec<VertexStatus>,
    /// Checkpoints.
    pub checkpoints: CheckpointStatus,
}
