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

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::datatypes::{Field as ArrowField, Schema};
use futures::FutureExt;
use futures::future::BoxFuture;
use thm_api::{Append, ChangelogBatch, Error, ErrorKind, Log, LogBatch, Position, Progress, Result, RowKind, RowMeta};
use thm_codec::origin;
use thm_codec::record_batch::HeaderBlock;

use super::targets::Targets;
use crate::expr::{EvalError, Input};
use crate::format::Meta;
use crate::format::write::{RowWriter, Writer};
use crate::operator::{Rows, is_key_only};
use crate::planner::{Graph, SinkKind, SourceKind, TopicSink};

/// Size at which an output batch is cut: large enough to make the fsync cheap, small enough for the tail cache.
const DEFAULT_BATCH_BYTES: usize = 1 << 20;
/// Characters of an expression or a key in an error: several lines of a terminal.
const DEFAULT_SHOWN_CHARS: usize = 400;
/// Pause between appends of progress alone, while a filter drops everything.
const DEFAULT_PROGRESS_PAUSE: Duration = Duration::from_secs(1);

/// An input of the job as a producer of its records: each has a progress of its own, so that their order among each
/// other need not be the same at every run.
struct Producer {
    rank: u32,
    name: Arc<str>,
    last: Option<Progress>,
}

struct Pending {
    bytes: usize,
    durable: BoxFuture<'static, Result<()>>,
}

/// The sink of a job.
pub(super) struct Output {
    graph: Arc<crate::planner::Graph>,
    log: Arc<dyn Log>,
    producers: Vec<Producer>,
    job: Arc<str>,
    /// Topics and partitions.
    pub targets: Targets,
    schema: Arc<Schema>,
    key: Option<Arc<Writer>>,
    value: Arc<Writer>,
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    max_pending_bytes: usize,
    told_at: Instant,
    pub records: u64,
    pub overflows: u64,
}

/// Rows of one call, evaluated.
struct Evaluated {
    branch: usize,
    /// Index of the producer.
    producer: usize,
    rank: u32,
    columns: Vec<ArrayRef>,
    batch: RecordBatch,
    meta: Vec<Meta>,
}

impl Output {
    pub async fn new(
        graph: Arc<Graph>,
        log: Arc<dyn Log>,
        (job, producers): (Arc<str>, Vec<(u32, Arc<str>)>),
        max_pending_bytes: usize,
    ) -> Result<Self> {
        let sink = &graph.sink;
        let SinkKind::Topic(to) = &sink.kind else {
            return Err(
                Error::new(ErrorKind::Internal, "starting a sink", job.to_string()).with_source("it is no topic")
            );
        };
        let names = producers.iter().map(|(_, name)| Arc::clone(name)).collect();
        let targets = Targets::new(Arc::clone(&log), to, names).await?;
        let fields: Vec<ArrowField> = sink
            .columns
            .iter()
            .map(|column| ArrowField::new(&column.name, column.data_type.kind.to_arrow(), true))
            .collect();
        let key = to.key.as_ref().map(|(format, fields)| Arc::new(Writer::new(format, &sink.columns, fields)));
        let value = Arc::new(Writer::new(&to.value, &sink.columns, &to.fields));
        let producer = |(rank, name)| Producer { rank, name, last: None };
        Ok(Self {
            targets,
            schema: Arc::new(Schema::new(fields)),
            key,
            value,
            graph: Arc::clone(&graph),
            log,
            producers: producers.into_iter().map(producer).collect(),
            job,
            pending: VecDeque::new(),
            pending_bytes: 0,
            max_pending_bytes,
            told_at: Instant::now(),
            records: 0,
            overflows: 0,
        })
    }

    /// What the sink's table says of its topic.
    fn topic(graph: &Graph) -> &TopicSink {
        match &graph.sink.kind {
            SinkKind::Topic(topic) => topic,
            _ => unreachable!("made for a topic alone"),
        }
    }

    /// Writes rows that follow from input up to and including `last`. `Ok` promises order, not durability.
    pub async fn write(&mut self, branch: usize, rows: Vec<Rows>, last: Progress) -> Result<()> {
        let Some(producer) = self.producers.iter().position(|producer| producer.rank == last.input) else {
            return Err(
                Error::new(ErrorKind::Internal, "writing rows", self.job.to_string()).with_source("unknown input")
            );
        };
        let rows = rows.into_iter().filter(|rows| !rows.is_empty()).reduce(joined);
        if let Some(rows) = rows {
            let evaluated = self.evaluate(branch, producer, &rows)?;
            if let Err(error) = self.encode(&evaluated).await {
                self.drop_unwritten();
                return Err(error);
            }
            for partition in 0..self.targets.partitions.len() {
                self.flush(partition, &evaluated, last).await?;
            }
        }
        self.producers[producer].last = Some(last);
        Ok(())
    }

    /// Forgets records that have not been appended: their rows come again, one by one, or never.
    fn drop_unwritten(&mut self) {
        for partition in self.targets.partitions.iter_mut().filter(|partition| !partition.rows.is_empty()) {
            partition.rows.clear();
            drop(partition.writer.finish());
        }
    }

    fn evaluate(&mut self, branch: usize, producer: usize, rows: &Rows) -> Result<Evaluated> {
        let graph = Arc::clone(&self.graph);
        let node = &graph.branches[branch];
        let at = |row: usize| {
            let offset = rows.meta.get(row).map_or(0, |meta| meta.offset);
            format!("{} {}, offset {offset}", node.source.table, node.source.place())
        };
        let input = Input::new(&rows.columns, rows.len());
        let deleted = BooleanArray::from_iter(rows.meta.iter().map(|meta| Some(is_key_only(meta))));
        let any_deleted = deleted.true_count() > 0;
        let counted = !deleted.values();
        let mut columns = Vec::with_capacity(node.values.len());
        for (index, value) in node.values.iter().enumerate() {
            let mask = any_deleted.then_some(&counted);
            let failed = |error: EvalError| not_evaluated(&graph, (branch, index), &at(error.row), error);
            let array = value.eval(&input, mask).map_err(failed)?.into_column(rows.len());
            // Of a deleted row only the key is known.
            let blank = any_deleted && !graph.sink.identity().any(|known| known == index);
            columns.push(if blank { arrow::compute::nullif(&array, &deleted).map_err(internal)? } else { array });
        }
        self.overflows += input.overflows.get();
        let rows = &self.without_nulls(&mut columns, &deleted, rows)?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns.clone()).map_err(internal)?;
        let rank = self.producers[producer].rank;
        Ok(Evaluated { branch, producer, rank, columns, batch, meta: rows.clone() })
    }

    /// A NULL in a NOT NULL column fails the job, as Flink does, or drops the row; of a key it is handled per row.
    fn without_nulls(&self, columns: &mut [ArrayRef], deleted: &BooleanArray, rows: &Rows) -> Result<Vec<Meta>> {
        let sink = &self.graph.sink;
        let TopicSink { topic, timestamp, .. } = Self::topic(&self.graph);
        let mut keep: Option<Vec<bool>> = None;
        for (index, column) in sink.columns.iter().enumerate() {
            let array = &columns[index];
            let free =
                column.data_type.nullable || sink.key.contains(&index) || [topic, timestamp].contains(&&Some(index));
            if free || array.null_count() == 0 {
                continue;
            }
            for row in (0..rows.len()).filter(|row| array.is_null(*row) && !deleted.value(*row)) {
                if !sink.drop_nulls {
                    let at = format!("{}, offset {}", sink.path, rows.meta[row].offset);
                    return Err(null_in(&column.name, at));
                }
                keep.get_or_insert_with(|| vec![true; rows.len()])[row] = false;
            }
        }
        let Some(keep) = keep else { return Ok(rows.meta.clone()) };
        let mut kept = keep.iter().copied();
        let meta = rows.meta.iter().filter(|_| kept.next().unwrap_or(false)).copied().collect();
        let mask = BooleanArray::from(keep);
        for column in columns.iter_mut() {
            *column = arrow::compute::filter(column, &mask).map_err(internal)?;
        }
        Ok(meta)
    }

    async fn encode(&mut self, evaluated: &Evaluated) -> Result<()> {
        let graph = Arc::clone(&self.graph);
        let topic = Self::topic(&graph);
        let (mut key, mut before_key) = (Vec::with_capacity(64), Vec::with_capacity(64));
        let (key_writer, value_writer) = (self.key.clone(), Arc::clone(&self.value));
        let keys = key_writer.as_ref().map(|writer| writer.rows(&evaluated.columns));
        let values = value_writer.rows(&evaluated.columns);
        let mut headers = HeaderBlock::default();
        let named = topic.topic.map(|column| &evaluated.columns[column]);
        for (row, meta) in evaluated.meta.iter().enumerate() {
            let Some(has_key) = self.encode_key((keys.as_ref(), &mut key), evaluated, row, meta)? else { continue };
            let target =
                self.targets.of_row(named, row, || format!("{}, offset {}", graph.sink.path, meta.offset)).await?;
            if topic.upsert && meta.kind == RowKind::UpdateBefore {
                // The old row goes only if the new one has another key or topic.
                let next = evaluated.meta.get(row + 1).filter(|next| next.offset == meta.offset);
                let same = match next {
                    Some(next) => {
                        let next = self.encode_key((keys.as_ref(), &mut before_key), evaluated, row + 1, next)?;
                        next == Some(has_key) && before_key == key && same_text(named, row, row + 1)
                    }
                    None => false,
                };
                if same {
                    continue;
                }
            }
            let index = target.partition(topic.partitioner, key_writer.as_ref().map(|_| key.as_slice()), meta.offset);
            let here = Progress { position: meta.position, input: evaluated.rank, offset: meta.offset };
            let told = self.targets.partitions[index].told[evaluated.producer];
            if told.is_some_and(|told| meta.offset <= told.offset) {
                continue;
            }
            let before = row.checked_sub(1).map(|before| evaluated.meta[before]);
            let new_input = before.is_some_and(|before| before.offset != meta.offset);
            if new_input && self.targets.partitions[index].writer.byte_len() >= DEFAULT_BATCH_BYTES {
                let before =
                    before.map_or(here, |before| Progress { position: before.position, offset: before.offset, ..here });
                self.flush(index, evaluated, before).await?;
            }
            let gone = matches!(meta.kind, RowKind::Delete | RowKind::UpdateBefore);
            let tombstone = gone && !value_writer.writes_deletes();
            let failed = |error: EvalError| {
                let at = format!("{}, offset {}", graph.sink.path, meta.offset);
                Error::new(ErrorKind::Evaluation, "writing a row", at).with_source(error)
            };
            headers.clear();
            if let Some(column) = topic.headers {
                record_headers(&mut headers, &evaluated.columns[column], row);
            }
            if meta.position != Position::default() {
                origin::push_headers(&mut headers, meta.op, meta.position, meta.commit_us, None);
            }
            let given = topic.timestamp.map(|column| &evaluated.columns[column]).filter(|array| !array.is_null(row));
            let timestamp_ms = match given {
                Some(array) => record_timestamp(array, row).map_err(failed)?,
                None => meta.timestamp_ms,
            };
            let partition = &mut self.targets.partitions[index];
            let key = has_key.then_some(key.as_slice());
            let mut record = partition.writer.open();
            if !tombstone && values.write(record.value(), row, gone).map_err(failed)? {
                record.close(timestamp_ms, key, &headers);
            } else {
                partition.writer.push(timestamp_ms, key, None, &headers);
            }
            partition.rows.push(u32::try_from(row).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    /// Writes the key of a row, if it has one: of a NULL there is none in the format 'raw'. Nothing if the row is skipped
    /// because a part of the sink's key is NULL.
    fn encode_key(
        &self,
        (keys, out): (Option<&RowWriter<'_>>, &mut Vec<u8>),
        evaluated: &Evaluated,
        row: usize,
        meta: &Meta,
    ) -> Result<Option<bool>> {
        let Some(keys) = keys else { return Ok(Some(false)) };
        let sink = &self.graph.sink;
        if let Some(null) = sink.key.iter().find(|index| evaluated.columns[**index].is_null(row)) {
            let source = &self.graph.branches[evaluated.branch].source;
            let ignores = matches!(&source.kind, SourceKind::Topics(topics) if topics.value.ignores_errors());
            if ignores || sink.drop_nulls {
                let job = self.job.to_string();
                metrics::counter!("thm_sql_null_keys_total", "job" => job).increment(1);
                return Ok(None);
            }
            let at = format!("{} {}, offset {}", source.table, source.place(), meta.offset);
            return Err(null_in(&sink.columns[*null].name, at).with_hint(
                "The primary key must have a value; filter such rows out, or set 'ignore-parse-errors' to skip them.",
            ));
        }
        out.clear();
        let failed = |error: EvalError| {
            let at = format!("{}, offset {}", sink.path, meta.offset);
            Error::new(ErrorKind::Evaluation, "writing a key", at).with_source(error)
        };
        keys.write(out, row, false).map_err(failed).map(Some)
    }

    /// Appends what a partition has gathered.
    async fn flush(&mut self, index: usize, evaluated: &Evaluated, progress: Progress) -> Result<()> {
        let partition = &mut self.targets.partitions[index];
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
        partition.told[evaluated.producer] = Some(progress);
        let name = Arc::clone(&self.producers[evaluated.producer].name);
        let bytes = batch.bytes.len();
        let append = Append { batch: Some(batch), progress: Some((name, progress)) };
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
        if !now && self.told_at.elapsed() < DEFAULT_PROGRESS_PAUSE {
            return Ok(());
        }
        self.told_at = Instant::now();
        for (index, producer) in self.producers.iter().enumerate() {
            let Some(last) = producer.last else { continue };
            for partition in &mut self.targets.partitions {
                if partition.told[index].is_some_and(|told| told >= last) {
                    continue;
                }
                partition.told[index] = Some(last);
                let append = Append { batch: None, progress: Some((Arc::clone(&producer.name), last)) };
                let appended = self.log.append(&partition.at, append).await?;
                self.pending.push_back(Pending { bytes: 0, durable: appended.durable });
            }
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

/// Whether two rows have the same text in a column, if there is one.
fn same_text(column: Option<&ArrayRef>, row: usize, other: usize) -> bool {
    column.is_none_or(|column| {
        let text = |row| column.is_valid(row).then(|| column.as_string::<i32>().value(row));
        text(row) == text(other)
    })
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

/// What to do about a row that cannot be evaluated.
pub(super) const ERRORS_HINT: &str = "Correct the expression (TRY_CAST gives NULL where CAST fails), or go on with the next row: \
    SET 'errors.tolerance' = 'all', and 'errors.deadletterqueue.topic.name' to keep such records.";

/// A value of a branch's n-th column that cannot be computed, with its expression.
pub(super) fn not_evaluated(graph: &Graph, (branch, index): (usize, usize), at: &str, error: EvalError) -> Error {
    let value = shortened(graph.branches[branch].values[index].sql(&graph.names(branch)));
    let what = format!("{at}, column '{}' of {} = {value}", graph.sink.columns[index].name, graph.sink.path);
    Error::new(ErrorKind::Evaluation, "evaluating a row", what).with_source(error).with_hint(ERRORS_HINT)
}

/// As much of an expression or a key as helps to find it.
pub(super) fn shortened(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(DEFAULT_SHOWN_CHARS) {
        text.truncate(at);
        text.push('…');
    }
    text
}

/// Flink's words for a NULL where none may be.
pub(super) fn null_in(column: &str, at: String) -> Error {
    let message = format!("Column '{column}' is NOT NULL, however, a null value is being written into it.");
    Error::new(ErrorKind::Evaluation, "writing a row", at)
        .with_source(message)
        .with_hint("Declare the sink's column without NOT NULL, filter such rows out, or SET 'table.exec.sink.not-null-enforcer' = 'DROP'.")
}

/// A record's timestamp as the column METADATA FROM 'timestamp' gives it, milliseconds since 1970; Kafka has none before.
fn record_timestamp(array: &ArrayRef, row: usize) -> Result<i64, EvalError> {
    let moment = crate::expr::text::moment(array, row, 3);
    let millis = moment.seconds * 1_000 + i64::from(moment.nanos / 1_000_000);
    if millis < 0 {
        let message = format!("Invalid timestamp: {millis}. Timestamp should always be non-negative or null.");
        return Err(EvalError { message, row });
    }
    Ok(millis)
}

/// The entries of a MAP<STRING, BYTES> as headers of a record.
fn record_headers(out: &mut HeaderBlock, map: &ArrayRef, row: usize) {
    let Some(list) = map.as_list_opt::<i32>().filter(|list| list.is_valid(row)) else { return };
    let entries = list.value(row);
    let Some(entries) = entries.as_struct_opt() else { return };
    let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_binary::<i32>());
    // As in Flink, one without a name or a value is none.
    for entry in (0..entries.len()).filter(|entry| keys.is_valid(*entry) && values.is_valid(*entry)) {
        out.push(keys.value(entry), Some(values.value(entry)));
    }
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, "evaluating a batch", "columns").with_source(error)
}
