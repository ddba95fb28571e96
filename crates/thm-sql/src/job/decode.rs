//! A batch of the log → rows: from the tail cache's columns where they are there and fit, else from the bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray};
use bytes::Bytes;
use thm_api::{Error, ErrorKind, FetchedBatch, Op, Position, Result, RowKind, TopicPartition};
use thm_codec::record_batch::{self, BatchHeader, Compression};

use super::chunk::Chunk;
use super::columns::Trust;
use super::last_values::LastValues;
use super::record::{self, RecordPlace};
use super::shape::{self, Shapes, TableShape};
use crate::format::cells::{Cell, Cells};
use crate::format::debezium_json::{LastSource, OldRows};
use crate::format::json_read::Marks;
use crate::format::{Field, Format, Meta, Place, ReadError, ValueFormat, debezium_json, java_text};
use crate::operator::Rows;

/// Largest batch after decompression: what a producer may send, many times over.
const MAX_DECOMPRESSED_BYTES: usize = 256 << 20;
/// How often a burst of records that cannot be read is logged.
const LOG_PAUSE: Duration = Duration::from_secs(10);
/// Room for the texts of a row's column before any row is known.
const DEFAULT_TEXT_BYTES: usize = 16;

/// How records become rows.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadSpec {
    pub value: Format,
    /// Format of keys, if they are read.
    pub key: Option<Format>,
    /// The columns of keys, in the order in which they stand there.
    pub key_fields: Vec<usize>,
    /// A record is the new row of its key, a tombstone its end.
    pub upsert: bool,
    /// The key's columns are read from the value, where there is one.
    pub key_in_value: bool,
    /// Old rows are wanted.
    pub retract: bool,
}

/// Reads the records of one topic.
pub(super) struct Decoder {
    pub fields: Vec<Field>,
    pub spec: ReadSpec,
    /// Whether record keys are wanted.
    pub with_keys: bool,
    /// Columns that must be in the record's key, for updates and deletes.
    pub key_sources: Vec<String>,
    pub job: Arc<str>,
    /// `upsert-kafka` where old rows are wanted: the last value of each key.
    last: LastValues,
    /// The key's fields as they stand in it. All are read, as in Flink.
    key_layout: Vec<Field>,
    /// Of `upsert-kafka`: all fields, with those of the key where they are in the value.
    in_value: Vec<Field>,
    pub(super) key_checked: bool,
    logged: Option<Instant>,
    pub(super) trust: Trust,
    pub(super) shapes: Shapes,
    /// By field, the bytes of texts that a row had in the last batch: those of the next will be alike.
    text_bytes: Vec<usize>,
}

/// A row as it was read.
pub(super) struct Read<'a> {
    pub cells: Vec<Option<Cell<'a>>>,
    /// The row before an update, where old rows are wanted.
    before: Option<Vec<Option<Cell<'a>>>>,
    kind: RowKind,
    op: Op,
    commit_us: Option<i64>,
    /// What an envelope says beside the row.
    envelope: Option<record::Envelope<'a>>,
    /// Of an envelope: the table that it is of.
    table: shape::Table<'a>,
    marks: Marks,
}

impl Decoder {
    pub fn new(
        (fields, spec): (Vec<Field>, ReadSpec),
        with_keys: bool,
        key_sources: Vec<String>,
        job: Arc<str>,
    ) -> Self {
        let of_key = |place: Place, field: &Field| Field { needed: true, place, ..field.clone() };
        let key_layout = spec.key_fields.iter().map(|index| of_key(Place::Key, &fields[*index])).collect();
        let mut in_value = if spec.upsert { fields.clone() } else { Vec::new() };
        for field in in_value.iter_mut().filter(|field| field.place == Place::Key) {
            *field = of_key(Place::Value, field);
        }
        Self {
            key_layout,
            in_value,
            fields,
            spec,
            with_keys,
            key_sources,
            job,
            last: LastValues::default(),
            key_checked: false,
            logged: None,
            trust: Trust::default(),
            shapes: Shapes::default(),
            text_bytes: Vec::new(),
        }
    }

    /// Rows at or behind `from`. `place` is the position of the record before; foreign records inherit it.
    pub fn decode(
        &mut self,
        partition: &TopicPartition,
        fetched: &FetchedBatch,
        from: i64,
        place: &mut Position,
    ) -> Result<Chunk> {
        let next_offset = fetched.next_offset().0;
        let empty = |rows| Chunk { rows, keys: Vec::new(), at: 0, next_offset };
        if let Some(batch) = &fetched.batch.decoded
            && let Some(chunk) = self.take_columns(partition, fetched, batch, from)?
        {
            *place = fetched.batch.positions.last().copied().unwrap_or(*place).max(*place);
            return Ok(chunk);
        }
        let header = BatchHeader::parse(&fetched.batch.bytes).map_err(|error| broken(partition, fetched, error))?;
        if header.is_control() {
            return Ok(empty(Rows::default()));
        }
        let bytes = unpacked(partition, fetched)?;
        self.parse(partition, fetched, &bytes, (from, place))
    }

    /// Keys of the records of these rows; none if one lacks what the sink's key is made of.
    pub(super) fn keys_of(
        &mut self,
        partition: &TopicPartition,
        fetched: &FetchedBatch,
        rows: &[Meta],
    ) -> Result<Option<Vec<Bytes>>> {
        let records = record_batch::records(&fetched.batch.bytes).map_err(|error| broken(partition, fetched, error))?;
        let mut keys = Vec::with_capacity(rows.len());
        let mut wanted = rows.iter().peekable();
        for record in records {
            let record = record.map_err(|error| broken(partition, fetched, error))?;
            let offset = fetched.base_offset.0 + i64::from(record.offset_delta);
            while let Some(meta) = wanted.next_if(|meta| meta.offset == offset) {
                if !self.check_key(meta.kind, record.key.as_deref()) {
                    return Ok(None);
                }
                if self.with_keys {
                    keys.push(record.key.clone().ok_or_else(|| no_key(partition, offset))?);
                }
            }
        }
        Ok(Some(keys))
    }

    fn parse(
        &mut self,
        partition: &TopicPartition,
        fetched: &FetchedBatch,
        bytes: &Bytes,
        (from, place): (i64, &mut Position),
    ) -> Result<Chunk> {
        let records = record_batch::records(bytes).map_err(|error| broken(partition, fetched, error))?;
        let capacity = usize::try_from(fetched.batch.records).unwrap_or(0);
        let mut cells = self.new_cells(capacity);
        let mut meta = Vec::with_capacity(capacity);
        let mut keys = Vec::new();
        let mut last = LastSource::default();
        // A batch of the source is of one table.
        let mut types = fetched.batch.decoded.as_ref().map(|batch| self.types_of(batch));
        for (index, record) in records.enumerate() {
            let record = record.map_err(|error| broken(partition, fetched, error))?;
            let offset = fetched.base_offset.0 + i64::from(record.offset_delta);
            *place = fetched.batch.positions.get(index).copied().unwrap_or(*place).max(*place);
            if offset < from {
                continue;
            }
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            let at = RecordPlace { partition, offset, timestamp_ms: record.timestamp_ms, headers: &record.headers };
            let old_rows = self.old_rows(key);
            let keeps = self.remembers();
            let identity = if keeps { self.identity(key, value) } else { None };
            let own_key = identity.as_deref().or(key);
            let before = if keeps { self.last.get(own_key) } else { None };
            let mut mended = (None, None);
            let row = self.record_or_mended((key, value), &mut mended, &at, old_rows, &mut last);
            let row = if keeps { self.normalized(row, key, before.as_deref(), &at) } else { row };
            if keeps && matches!(row, Ok(Some(_))) {
                self.last
                    .put(offset, own_key, value)
                    .map_err(|error| self.unreadable(partition, offset, error, old_rows))?;
            }
            let row = match row {
                Ok(Some(row)) => row,
                Ok(None) => continue,
                Err(error) if self.spec.value.ignores_errors() => {
                    self.skipped(partition, offset, &error);
                    continue;
                }
                Err(error) => return Err(self.unreadable(partition, offset, error, old_rows)),
            };
            let own = index < fetched.batch.positions.len();
            if own && self.spec.value.kind == ValueFormat::DebeziumJson && row.kind != RowKind::Delete {
                let types = types.take().unwrap_or_default();
                self.shapes
                    .follow(row.table, row.marks)
                    .map_err(|field| self.changed(field, partition, offset, *place))?;
                if let Err(column) = self.shapes.follow_types(row.table, types) {
                    let field = self.fields.iter().position(|field| field.name == column).unwrap_or(usize::MAX);
                    return Err(self.changed((field, shape::RETYPED), partition, offset, *place));
                }
            }
            let commit_us = row.commit_us.unwrap_or_else(|| record.timestamp_ms.saturating_mul(1_000));
            let timestamp_ms = commit_us.div_euclid(1_000);
            let of = |kind, whole| Meta { kind, op: row.op, position: *place, commit_us, timestamp_ms, offset, whole };
            let needed = old_rows == OldRows::Needed;
            let whole = needed && (row.before.is_some() || row.kind == RowKind::Delete);
            let old = match row.before {
                Some(before) if needed => Some((before, of(RowKind::UpdateBefore, true))),
                Some(before) if self.moves(&before, &row.cells) => Some((before, of(RowKind::Delete, false))),
                _ => None,
            };
            for (values, of_row) in old.into_iter().chain([(row.cells, of(row.kind, whole))]) {
                if self.with_keys {
                    keys.push(record.key.clone().ok_or_else(|| no_key(partition, offset))?);
                }
                cells.iter_mut().zip(values).for_each(|(cells, value)| cells.push(value));
                meta.push(of_row);
            }
        }
        let columns: Vec<ArrayRef> = cells.iter_mut().map(Cells::finish).collect();
        self.text_bytes = columns.iter().map(text_bytes).collect();
        Ok(Chunk { rows: Rows { columns, meta }, keys, at: 0, next_offset: fetched.next_offset().0 })
    }

    /// One record's row, if it has one. What cannot be read is looked at once more, with what Jackson takes and a strict
    /// reader does not in `mended`: a record of the usual kind costs nothing.
    fn record_or_mended<'a>(
        &self,
        (key, value): (Option<&'a [u8]>, Option<&'a [u8]>),
        mended: &'a mut (Option<Vec<u8>>, Option<Vec<u8>>),
        at: &RecordPlace<'_>,
        old_rows: OldRows,
        last: &mut LastSource,
    ) -> Result<Option<Read<'a>>, ReadError> {
        let row = self.record(key, value, at, old_rows, last);
        if row.is_ok() {
            return row;
        }
        let of = |format: &Format, bytes: Option<&[u8]>| {
            let json = matches!(format.kind, ValueFormat::Json | ValueFormat::DebeziumJson);
            bytes.filter(|_| json).and_then(java_text::mended)
        };
        *mended = (self.spec.key.as_ref().and_then(|format| of(format, key)), of(&self.spec.value, value));
        if mended.0.is_none() && mended.1.is_none() {
            return row;
        }
        self.record(mended.0.as_deref().or(key), mended.1.as_deref().or(value), at, old_rows, last)
    }

    fn new_cells(&self, rows: usize) -> Vec<Cells> {
        let known = self.text_bytes.iter().copied().chain(std::iter::repeat(DEFAULT_TEXT_BYTES));
        let of = |(field, bytes): (&Field, usize)| {
            // An eighth more, for rows differ.
            Cells::with_text_bytes(field.kind, field.needed, rows, rows * (bytes + bytes / 8 + 1))
        };
        self.fields.iter().zip(known).map(of).collect()
    }

    /// One record's row, if it has one.
    pub(super) fn record<'a>(
        &self,
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        at: &RecordPlace<'_>,
        old_rows: OldRows,
        last: &mut LastSource,
    ) -> Result<Option<Read<'a>>, ReadError> {
        let key_in_value = self.spec.key_in_value && value.is_some();
        let mut read = match self.spec.value.kind {
            ValueFormat::DebeziumJson => {
                let change = debezium_json::read(key, value, &self.fields, &self.spec.value.json, old_rows, last)?;
                let Some(change) = change else { return Ok(None) };
                Read {
                    cells: change.cells,
                    before: change.before,
                    kind: change.kind,
                    op: change.op,
                    commit_us: change.commit_us,
                    envelope: Some(record::Envelope {
                        source: change.source,
                        ingestion_ms: change.ingestion_ms,
                        schema: change.schema,
                    }),
                    table: change.table,
                    marks: change.marks,
                }
            }
            _ => {
                let kind = match value {
                    None if self.spec.upsert => RowKind::Delete,
                    _ if self.spec.upsert => RowKind::UpdateAfter,
                    _ => RowKind::Insert,
                };
                let fields = if key_in_value { &self.in_value } else { &self.fields };
                let cells = match value {
                    None if self.spec.upsert => vec![None; self.fields.len()],
                    value => match record::cells(&self.spec.value, value, fields, Place::Value)? {
                        Some(cells) => cells,
                        None => return Ok(None),
                    },
                };
                let op = if kind == RowKind::Delete { Op::Delete } else { Op::Create };
                Read {
                    cells,
                    before: None,
                    kind,
                    op,
                    commit_us: None,
                    envelope: None,
                    table: ("", ""),
                    marks: Marks::default(),
                }
            }
        };
        if let Some(format) = &self.spec.key {
            let found = match record::cells(format, key, &self.key_layout, Place::Key) {
                Err(_) if format.ignores_errors() => None,
                found => found?,
            };
            // Without a key there is no row, as in Flink.
            let Some(found) = found else { return Ok(None) };
            for (index, found) in self.spec.key_fields.iter().zip(found) {
                if self.fields[*index].place == Place::Key && !key_in_value {
                    read.cells[*index] = found;
                }
            }
        }
        for (field, cell) in self.fields.iter().zip(&mut read.cells) {
            if let (Place::Metadata(name), true) = (&field.place, field.needed) {
                *cell = record::metadata(name, at, read.envelope, self.spec.value.ignores_errors())?;
            }
        }
        if let Some(before) = &mut read.before {
            for (field, (old, new)) in self.fields.iter().zip(before.iter_mut().zip(&read.cells)) {
                if field.place != Place::Value {
                    old.clone_from(new);
                }
            }
        }
        Ok(Some(read))
    }

    /// The primary key of an `upsert-kafka` record as bytes, the same however the record writes it; none if it cannot be
    /// read.
    fn identity(&self, key: Option<&[u8]>, value: Option<&[u8]>) -> Option<Vec<u8>> {
        let own = match value {
            Some(value) if self.spec.key_in_value => {
                let cells = record::cells(&self.spec.value, Some(value), &self.in_value, Place::Value).ok()??;
                self.spec.key_fields.iter().map(|index| cells[*index].clone()).collect()
            }
            _ => record::cells(self.spec.key.as_ref()?, key, &self.key_layout, Place::Key).ok()??,
        };
        Some(own.iter().map(|cell| format!("{cell:?},")).collect::<String>().into_bytes())
    }

    /// A record of `upsert-kafka` as a change of the last row of its key.
    fn normalized<'a>(
        &self,
        row: Result<Option<Read<'a>>, ReadError>,
        key: Option<&'a [u8]>,
        before: Option<&'a [u8]>,
        at: &RecordPlace<'_>,
    ) -> Result<Option<Read<'a>>, ReadError> {
        let Some(row) = row? else { return Ok(None) };
        let old = match before {
            Some(before) => self.record(key, Some(before), at, OldRows::Unread, &mut LastSource::default())?,
            None => None,
        };
        Ok(match (row.kind, old) {
            (RowKind::Delete, None) => None,
            (RowKind::Delete, Some(old)) => Some(Read { cells: old.cells, ..row }),
            (_, None) => Some(Read { kind: RowKind::Insert, ..row }),
            (_, Some(old)) if old.cells == row.cells => None,
            (_, Some(old)) => Some(Read { before: Some(old.cells), ..row }),
        })
    }

    /// Whether the last value of each key is kept.
    pub const fn remembers(&self) -> bool {
        self.spec.upsert && self.spec.retract
    }

    /// The last values as of the records before an offset, if they are kept and have changed since the last call.
    pub fn snapshot(&mut self, next: i64) -> Option<Vec<u8>> {
        if self.remembers() { self.last.snapshot(next) } else { None }
    }

    /// Takes back what [`Self::snapshot`] gave.
    pub fn restore(&mut self, last: LastValues) {
        self.last = last;
    }

    /// All records before an offset are consumed.
    pub fn consumed(&mut self, next: i64) {
        self.last.consumed(next);
    }

    /// How a record's changes are followed: by its key, or by the old row.
    fn old_rows(&mut self, key: Option<&[u8]>) -> OldRows {
        match key {
            _ if self.spec.retract || self.lacks_key(key) => OldRows::Needed,
            None if !self.key_sources.is_empty() => OldRows::IfThere,
            _ => OldRows::Unread,
        }
    }

    /// Whether an update has taken its row to another key of the sink; of the old row the key must be there.
    fn moves(&self, before: &[Option<Cell<'_>>], after: &[Option<Cell<'_>>]) -> bool {
        let own = || (0..self.fields.len()).filter(|at| self.key_sources.contains(&self.fields[*at].name));
        own().all(|at| before[at].is_some()) && own().any(|at| before[at] != after[at])
    }

    /// Whether the record's key does not hold what the sink's key is made of: then changes are followed by the old row.
    fn lacks_key(&mut self, key: Option<&[u8]>) -> bool {
        if self.key_sources.is_empty() {
            return false;
        }
        key.and_then(|key| debezium_json::key_has(key, &self.key_sources)) == Some(false)
    }

    /// The fast way knows no old rows: updates and deletes find their row by the record's key.
    fn check_key(&mut self, kind: RowKind, key: Option<&[u8]>) -> bool {
        if self.key_checked || kind == RowKind::Insert || self.key_sources.is_empty() {
            return true;
        }
        if self.lacks_key(key) {
            return false;
        }
        self.key_checked = key.is_some();
        true
    }

    /// A column that is used is gone from the captured table, or has another type.
    fn changed(&self, (field, what): (usize, &str), partition: &TopicPartition, offset: i64, at: Position) -> Error {
        let name = self.fields.get(field).map_or("?", |field| field.name.as_str());
        let object = format!("column '{name}' of topic {}", partition.topic);
        let message = format!(
            "column '{name}' {what} since LSN {} (partition {}, offset {offset})",
            at.commit_end, partition.partition
        );
        Error::new(ErrorKind::Evaluation, "following the captured table", object).with_source(message).with_hint(
            "The table was altered. Change the SQL file to the new columns and submit it again with --from and a time behind the \
             change, or bring the column back.",
        )
    }

    /// What has been seen of the captured tables, for a checkpoint.
    pub fn shapes(&self) -> Vec<TableShape> {
        self.shapes.stored(&self.fields)
    }

    /// Takes back what [`Self::shapes`] gave.
    pub fn restore_shapes(&mut self, stored: &[TableShape]) {
        self.shapes = Shapes::restored(stored, &self.fields);
    }

    fn unreadable(&self, partition: &TopicPartition, offset: i64, error: ReadError, old_rows: OldRows) -> Error {
        let told = error.to_string();
        let out = Error::new(ErrorKind::Evaluation, "reading a record", place(partition, offset)).with_source(error);
        if old_rows == OldRows::Needed && told.contains("REPLICA IDENTITY") {
            return out.with_hint(if self.spec.retract {
                "The sink needs the old rows: write ALTER TABLE … REPLICA IDENTITY FULL in the database, or write to an 'upsert-kafka' \
                 table whose PRIMARY KEY is that of the captured table."
            } else {
                "Choose a PRIMARY KEY of the sink from the table's primary key, or write ALTER TABLE … REPLICA IDENTITY FULL in the \
                 database: of an old row nothing else is known."
            });
        }
        out.with_hint(
            "Correct the producer, or set 'ignore-parse-errors' = 'true' for the table's format and submit the job again.",
        )
    }

    fn skipped(&mut self, partition: &TopicPartition, offset: i64, error: &ReadError) {
        let (job, topic) = (self.job.to_string(), partition.topic.to_string());
        metrics::counter!("thm_sql_records_skipped_total", "job" => job, "topic" => topic).increment(1);
        if self.logged.is_none_or(|last| last.elapsed() >= LOG_PAUSE) {
            self.logged = Some(Instant::now());
            let field = if let ReadError::Field(name) = error { name.as_str() } else { "" };
            tracing::warn!(job = %self.job, %partition, offset, field, "skipped a record that cannot be read");
        }
    }
}

/// Bytes of text that a row of the column has.
fn text_bytes(column: &ArrayRef) -> usize {
    match column.as_string_opt::<i32>() {
        Some(texts) if !texts.is_empty() => texts.value_data().len().div_ceil(texts.len()),
        _ => DEFAULT_TEXT_BYTES,
    }
}

fn place(partition: &TopicPartition, offset: i64) -> String {
    format!("topic {}, partition {}, offset {offset}", partition.topic, partition.partition)
}

fn no_key(partition: &TopicPartition, offset: i64) -> Error {
    Error::new(ErrorKind::Evaluation, "reading a record of a look-up table", place(partition, offset))
        .with_source("it has no key")
        .with_hint("Give the captured table a primary key.")
}

/// A batch's bytes without compression.
pub(super) fn unpacked(partition: &TopicPartition, fetched: &FetchedBatch) -> Result<Bytes> {
    let header = BatchHeader::parse(&fetched.batch.bytes).map_err(|error| broken(partition, fetched, error))?;
    if header.compression() == Compression::None {
        return Ok(fetched.batch.bytes.clone());
    }
    let unpacked = record_batch::decompress(&fetched.batch.bytes, MAX_DECOMPRESSED_BYTES);
    unpacked.map_err(|error| broken(partition, fetched, error))
}

pub(super) fn broken(partition: &TopicPartition, fetched: &FetchedBatch, error: record_batch::CodecError) -> Error {
    Error::new(ErrorKind::LogCorrupt, "reading a batch", place(partition, fetched.base_offset.0)).with_source(error)
}
