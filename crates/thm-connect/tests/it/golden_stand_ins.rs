//! Kafka's file connectors as far as the recorded exchanges need them, under their own names.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thm_api::{
    BatchPolicy, ConfigDef, ConfigIssue, ConfigKey, ConfigType, Connector, ConnectorConfig, ConnectorKind, Error,
    ErrorKind, Generation, Importance, LogBatch, Lsn, Offset, PartitionProgress, Position, Progress, Result, SinkBatch,
    SinkPartition, SinkTask, SourceAppend, SourceBatch, SourceTask, Task, TaskContext, TopicPartition, TopicSpec,
};
use thm_codec::record_batch::{BatchWriter, HeaderBlock};

const fn key(name: &'static str, kind: ConfigType, default: Option<&'static str>, importance: Importance) -> ConfigKey {
    ConfigKey { importance, group: "", ..ConfigKey::new(name, kind, default, "") }
}

const SOURCE_KEYS: &[ConfigKey] = &[
    key("file", ConfigType::String, None, Importance::High),
    ConfigKey { required: true, ..key("topic", ConfigType::String, None, Importance::High) },
    key("batch.size", ConfigType::Int, Some("2000"), Importance::Low),
];
const SINK_KEYS: &[ConfigKey] = &[key("file", ConfigType::String, None, Importance::High)];
const HEARTBEAT_KEYS: &[ConfigKey] =
    &[ConfigKey { required: true, ..key("source.cluster.alias", ConfigType::String, None, Importance::High) }];

pub struct FileSource;
pub struct FileSink;
pub struct Heartbeat;

macro_rules! connector {
    ($of:ty, $class:literal, $kind:ident, $keys:ident, $task:expr) => {
        #[async_trait]
        impl Connector for $of {
            fn class(&self) -> &'static str {
                $class
            }

            fn kind(&self) -> ConnectorKind {
                ConnectorKind::$kind
            }

            fn config_def(&self) -> &ConfigDef {
                &ConfigDef { keys: $keys }
            }

            fn validate(&self, _: &ConnectorConfig) -> Vec<ConfigIssue> {
                Vec::new()
            }

            async fn check(&self, _: &TaskContext) -> Result<()> {
                Ok(())
            }

            fn task(&self, context: TaskContext) -> Result<Task> {
                Ok($task(context))
            }
        }
    };
}

connector!(FileSource, "org.apache.kafka.connect.file.FileStreamSourceConnector", Source, SOURCE_KEYS, source);
connector!(FileSink, "org.apache.kafka.connect.file.FileStreamSinkConnector", Sink, SINK_KEYS, sink);
connector!(Heartbeat, "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector", Source, HEARTBEAT_KEYS, source);

fn source(context: TaskContext) -> Task {
    let config = &context.config;
    let (file, topic) = (config.text("file", "").into(), config.text("topic", "none").to_owned());
    let schemas = config.text("value.converter", "").ends_with("JsonConverter");
    Task::Source(Box::new(Lines { file, topic, schemas, read: 0 }))
}

fn sink(context: TaskContext) -> Task {
    Task::Sink(Box::new(Writer { file: context.config.text("file", "").into(), next: Vec::new() }))
}

/// Gives the lines of a file.
struct Lines {
    file: PathBuf,
    topic: String,
    /// The worker's converter is no JSON: it asks for values with their schemas.
    schemas: bool,
    read: usize,
}

#[async_trait]
impl SourceTask for Lines {
    async fn start(&mut self, progress: PartitionProgress) -> Result<()> {
        let seen = progress.get(&TopicPartition::new(self.topic.as_str(), 0));
        self.read = usize::try_from(seen.map_or(0, |seen| seen.position.commit_end.0)).unwrap_or(0);
        Ok(())
    }

    async fn poll(&mut self) -> Result<SourceBatch> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let Some(line) = text.lines().nth(self.read) else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            return Ok(SourceBatch::default());
        };
        self.read += 1;
        let position = Position::new(Lsn(self.read as u64), 1);
        let mut writer = BatchWriter::new();
        let framed = format!(r#"{{"schema":{{"type":"string"}},"payload":{}}}"#, serde_json::Value::from(line));
        let value = if self.schemas { framed.as_str() } else { line };
        writer.push(1, None, Some(value.as_bytes()), &HeaderBlock::default());
        let batch = LogBatch { records: 1, bytes: writer.finish(), positions: Arc::from([position]), decoded: None };
        let topic = Arc::new(TopicSpec::new(self.topic.as_str()));
        let append = SourceAppend { topic, partition: 0, batch, progress: Progress::at(position) };
        Ok(SourceBatch { appends: vec![append], complete: Some(position), ..SourceBatch::default() })
    }

    async fn acknowledge(&mut self, _: Position) -> Result<()> {
        Ok(())
    }

    async fn stop(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Appends values to a file.
struct Writer {
    file: PathBuf,
    next: Vec<(TopicPartition, Offset)>,
}

impl Writer {
    fn append(&self, bytes: &[u8]) -> Result<()> {
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(&self.file);
        opened.and_then(|mut file| file.write_all(bytes)).map_err(|error| {
            Error::new(ErrorKind::SinkMismatch, "writing a file", self.file.display().to_string()).with_source(error)
        })
    }
}

#[async_trait]
impl SinkTask for Writer {
    fn batch_policy(&self) -> BatchPolicy {
        BatchPolicy { max_records: 100, max_bytes: 1 << 20, linger: Duration::ZERO, frozen: false }
    }

    async fn open(&mut self, _: &[SinkPartition], _: Generation) -> Result<Vec<(TopicPartition, Offset)>> {
        self.append(b"")?;
        Ok(Vec::new())
    }

    async fn write(&mut self, batch: SinkBatch) -> Result<()> {
        for record in batch.records() {
            self.append(record.value.as_deref().unwrap_or_default())?;
        }
        self.next.push((batch.partition.partition, Offset(batch.last.0 + 1)));
        Ok(())
    }

    async fn flush(&mut self) -> Result<Vec<(TopicPartition, Offset)>> {
        Ok(std::mem::take(&mut self.next))
    }

    async fn close(&mut self) {}
}
