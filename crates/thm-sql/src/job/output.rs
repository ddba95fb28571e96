//! Rows → records of the sink's topic, each once.
//!
//! ```text
//!  rows ─▶ values ─▶ not suppressed? ─▶ batch per partition ─▶ append with progress ─▶ wait for durability
//!                    (progress of the partition            bounded in bytes
//!                     before this run began)
//! ```
//! Invariant: a batch is cut between input rows only, and its progress is that of the last input row in it, so what a
//! crash leaves is always a whole prefix of the input, per partition.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow::datatypes::{Field as ArrowField, Schema};
use futures::FutureExt;
use futures::future::BoxFuture;
use thm_api::{
    Append, ChangelogBatch, Error, ErrorKind, Log, LogBatch, Position, Progress, Result, RowKind, RowMeta,
    TopicPartition,
};
use thm_codec::origin;
use thm_codec::record_batch::{BatchWriter, HeaderBlock};

use crate::expr::{EvalError, Input};
use crate::format::Meta;
use crate::format::json_write::JsonWriter;
use crate::operator::Rows;
use crate::planner::Graph;

/// Size at which an output batch is cut: large enough to make the fsync cheap, small enough for the tail cache.
const DEFAULT_BATCH_BYTES: usize = 1 << 20;
/// Pause between appends of progress alone, while a filter drops everything.
const DEFAULT_PROGRESS_PAUSE: Duration = Duration::from_secs(1);

struct Partition {
    at: TopicPartition,
    /// Progress before this run: rows at or below it are in the topic already.
    resumed: Option<Progress>,
    writer: BatchWriter,
    rows: Vec<u32>,
    told: Option<Progress>,
}

struct Pending {
    bytes: usize,
    durable: BoxFuture<'static, Result<()>>,
}

/// The sink of a job.
pub(super) struct Output {
    graph: Arc<crate::planner::Graph>,
    log: Arc<dyn Log>,
    producer: Arc<str>,
    job: Arc<str>,
    partitions: Vec<Partition>,
    schema: Arc<Schema>,
    key: Option<JsonWriter>,
    value: JsonWriter,
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    max_pending_bytes: usize,
    last: Option<Progress>,
    told_at: Instant,
    pub records: u64,
    pub overflows: u64,
}

/// Rows of one call, evaluated.
struct Evaluated {
    columns: Vec<ArrayRef>,
    batch: RecordBatch,
    meta: Vec<Meta>,
}

impl Output {
    pub fn new(
        graph: Arc<Graph>,
        log: Arc<dyn Log>,
        (job, producer): (Arc<str>, Arc<str>),
        partitions: u32,
        max_pending_bytes: usize,
    ) -> Result<Self> {
        let sink = &graph.sink;
        let topic: Arc<str> = sink.topic.as_str().into();
        let of = |partition| {
            let at = TopicPartition::new(Arc::clone(&topic), partition);
            let resumed = log.progress(&at, &producer)?;
            Ok(Partition { at, resumed, writer: BatchWriter::new(), rows: Vec::new(), told: resumed })
        };
        let partitions: Result<Vec<Partition>> = (0..partitions.max(1)).map(of).collect();
        let fields: Vec<ArrowField> = sink
            .columns
            .iter()
            .map(|column| ArrowField::new(&column.name, column.data_type.kind.to_arrow(), true))
            .collect();
        let key =
            (!sink.key.is_empty()).then(|| JsonWriter::new(&sink.columns, sink.key.iter().copied(), sink.key_options));
        let written = (0..sink.columns.len()).filter(|index| !sink.except_key || !sink.key.contains(index));
        let value = JsonWriter::new(&sink.columns, written, sink.value_options);
        Ok(Self {
            partitions: partitions?,
            schema: Arc::new(Schema::new(fields)),
            key,
            value,
            graph: Arc::clone(&graph),
            log,
            producer,
            job,
            pending: VecDeque::new(),
            pending_bytes: 0,
            max_pending_bytes,
            last: None,
            told_at: Instant::now(),
            records: 0,
            overflows: 0,
        })
    }

    /// Writes rows that follow from input up to and including `last`. `Ok` promises order, not durability.
    pub async fn write(&mut self, rows: Vec<Rows>, rank: u32, last: Progress) -> Result<()> {
        let rows = rows.into_iter().filter(|rows| !rows.is_empty()).reduce(joined);
        if let Some(rows) = rows {
            let evaluated = self.evaluate(&rows)?;
            self.encode(&evaluated, rank).await?;
            for partition in 0..self.partitions.len() {
                self.flush(partition, &evaluated, last).await?;
            }
        }
        self.last = Some(last);
        Ok(())
    }

    fn evaluate(&mut self, rows: &Rows) -> Result<Evaluated> {
        let failed = |error: EvalError| {
            let offset = rows.meta.get(error.row).map_or(0, |meta| meta.offset);
            let topic = &self.graph.source.topic;
            Error::new(ErrorKind::Evaluation, "evaluating a row", format!("topic {topic}, offset {offset}"))
                .with_source(error)
        };
        let input = Input::new(&rows.columns, rows.len());
        let deleted = BooleanArray::from_iter(rows.meta.iter().map(|meta| Some(meta.kind == RowKind::Delete)));
        let any_deleted = deleted.true_count() > 0;
        let counted = !deleted.values();
        let mut columns = Vec::with_capacity(self.graph.sink.values.len());
        for (index, value) in self.graph.sink.values.iter().enumerate() {
            let mask = any_deleted.then_some(&counted);
            let array = value.eval(&input, mask).map_err(failed)?.into_column(rows.len());
            // Of a deleted row only the key is known.
            let blank = any_deleted && !self.graph.sink.key.contains(&index);
            columns.push(if blank { arrow::compute::nullif(&array, &deleted).map_err(internal)? } else { array });
        }
        self.overflows += input.overflows.get();
        self.check_not_null(&columns, &deleted, rows)?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns.clone()).map_err(internal)?;
        Ok(Evaluated { columns, batch, meta: rows.meta.clone() })
    }

    /// A NULL in a NOT NULL column fails the job, as Flink does; of a key it is handled per row.
    fn check_not_null(&self, columns: &[ArrayRef], deleted: &BooleanArray, rows: &Rows) -> Result<()> {
        let sink = &self.graph.sink;
        for (index, column) in sink.columns.iter().enumerate() {
            let array = &columns[index];
            if column.data_type.nullable || sink.key.contains(&index) || array.null_count() == 0 {
                continue;
            }
            if let Some(row) = (0..rows.len()).find(|row| array.is_null(*row) && !deleted.value(*row)) {
                let at = format!("topic {}, offset {}", self.graph.source.topic, rows.meta[row].offset);
                let message =
                    format!("Column '{}' is NOT NULL, however, a null value is being written into it.", column.name);
                return Err(Error::new(ErrorKind::Evaluation, "writing a row", at)
                    .with_source(message)
                    .with_hint("Declare the sink's column without NOT NULL, or filter such rows out."));
            }
        }
        Ok(())
    }

    async fn encode(&mut self, evaluated: &Evaluated, rank: u32) -> Result<()> {
        let (mut key, mut value) = (Vec::with_capacity(64), Vec::with_capacity(512));
        let mut headers = HeaderBlock::default();
        for (row, meta) in evaluated.meta.iter().enumerate() {
            if !self.encode_key(&mut key, evaluated, row, meta)? {
                continue;
            }
            let count = u32::try_from(self.partitions.len()).unwrap_or(1);
            let index = match &self.key {
                Some(_) if count > 1 => thm_codec::murmur2::partition_for_key(&key, count) as usize,
                _ => 0,
            };
            let here = Progress { position: meta.position, input: rank, offset: meta.offset };
            if self.partitions[index].resumed.is_some_and(|resumed| here <= resumed) {
                continue;
            }
            let before = row.checked_sub(1).map(|before| evaluated.meta[before]);
            let new_input = before.is_some_and(|before| before.offset != meta.offset);
            if new_input && self.partitions[index].writer.byte_len() >= DEFAULT_BATCH_BYTES {
                let before = before.map_or(here, |before| Progress {
                    position: before.position,
                    input: rank,
                    offset: before.offset,
                });
                self.flush(index, evaluated, before).await?;
            }
            value.clear();
            let tombstone = meta.kind == RowKind::Delete;
            if !tombstone {
                self.value.write(&mut value, &evaluated.columns, row);
            }
            headers.clear();
            if meta.position != Position::default() {
                origin::push_headers(&mut headers, meta.op, meta.position, meta.commit_us, None);
            }
            let partition = &mut self.partitions[index];
            let key = self.key.is_some().then_some(key.as_slice());
            partition.writer.push(meta.timestamp_ms, key, (!tombstone).then_some(value.as_slice()), &headers);
            partition.rows.push(u32::try_from(row).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    /// Writes the key of a row; false if the row is skipped because a part is NULL.
    fn encode_key(&self, out: &mut Vec<u8>, evaluated: &Evaluated, row: usize, meta: &Meta) -> Result<bool> {
        let Some(writer) = &self.key else { return Ok(true) };
        let sink = &self.graph.sink;
        if let Some(null) = sink.key.iter().find(|index| evaluated.columns[**index].is_null(row)) {
            if self.graph.source.options.ignore_parse_errors {
                let job = self.job.to_string();
                metrics::counter!("thm_sql_null_keys_total", "job" => job).increment(1);
                return Ok(false);
            }
            let at = format!("topic {}, offset {}", self.graph.source.topic, meta.offset);
            let message = format!(
                "Column '{}' is NOT NULL, however, a null value is being written into it.",
                sink.columns[*null].name
            );
            return Err(Error::new(ErrorKind::Evaluation, "writing a row", at).with_source(message).with_hint(
                "The primary key must have a value; filter such rows out, or set 'ignore-parse-errors' to skip them.",
            ));
        }
        out.clear();
        writer.write(out, &evaluated.columns, row);
        Ok(true)
    }

    /// Appends what a partition has gathered.
    async fn flush(&mut self, index: usize, evaluated: &Evaluated, progress: Progress) -> Result<()> {
        let partition = &mut self.partitions[index];
        if partition.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut partition.rows);
        let metas: Vec<Meta> = rows.iter().map(|row| evaluated.meta[*row as usize]).collect();
        let of_row = |(record, meta): (u32, &Meta)| RowMeta {
            kind: meta.kind,
            op: meta.op,
            position: meta.position,
            commit_us: meta.commit_us,
            record,
        };
        let meta = (0..).zip(&metas).map(of_row).collect();
        let whole = rows.len() == evaluated.meta.len();
        let columns = if whole {
            evaluated.batch.clone()
        } else {
            let indices = UInt32Array::from(rows);
            arrow::compute::take_record_batch(&evaluated.batch, &indices).map_err(internal)?
        };
        let records = u32::try_from(metas.len()).unwrap_or(u32::MAX);
        let batch = LogBatch {
            bytes: partition.writer.finish(),
            records,
            positions: metas.iter().map(|meta| meta.position).collect(),
            decoded: Some(Arc::new(ChangelogBatch { rows: columns, meta })),
        };
        partition.told = Some(progress);
        let bytes = batch.bytes.len();
        let append = Append { batch: Some(batch), progress: Some((Arc::clone(&self.producer), progress)) };
        let appended = self.log.append(&partition.at, append).await?;
        self.records += u64::from(records);
        self.pending_bytes += bytes;
        self.pending.push_back(Pending { bytes, durable: appended.durable });
        self.settle(self.max_pending_bytes).await
    }

    /// Waits until at most `bytes` are not durable.
    async fn settle(&mut self, bytes: usize) -> Result<()> {
        while let Some(front) = self.pending.front_mut() {
            if self.pending_bytes > bytes {
                (&mut front.durable).await?;
            } else {
                match (&mut front.durable).now_or_never() {
                    Some(done) => done?,
                    None => return Ok(()),
                }
            }
            if let Some(done) = self.pending.pop_front() {
                self.pending_bytes -= done.bytes;
            }
        }
        Ok(())
    }

    /// Tells partitions that got nothing how far the job is, at most once a second.
    pub async fn tell_progress(&mut self, now: bool) -> Result<()> {
        self.settle(self.max_pending_bytes).await?;
        let Some(last) = self.last else { return Ok(()) };
        if !now && self.told_at.elapsed() < DEFAULT_PROGRESS_PAUSE {
            return Ok(());
        }
        self.told_at = Instant::now();
        for partition in &mut self.partitions {
            if partition.told.is_some_and(|told| told >= last) {
                continue;
            }
            partition.told = Some(last);
            let append = Append { batch: None, progress: Some((Arc::clone(&self.producer), last)) };
            let appended = self.log.append(&partition.at, append).await?;
            self.pending.push_back(Pending { bytes: 0, durable: appended.durable });
        }
        Ok(())
    }

    /// Waits until everything written is durable.
    pub async fn durable(&mut self) -> Result<()> {
        while let Some(pending) = self.pending.pop_front() {
            self.pending_bytes -= pending.bytes;
            pending.durable.await?;
        }
        Ok(())
    }
}

/// Rows of one run stay together, for the run's progress belongs to all of them.
fn joined(mut first: Rows, second: Rows) -> Rows {
    for (column, more) in first.columns.iter_mut().zip(&second.columns) {
        let both = arrow::compute::concat(&[column, more]);
        *column = both.expect("an operator gives all its rows the same types");
    }
    first.meta.extend(second.meta);
    first
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, "evaluating a batch", "columns").with_source(error)
}
