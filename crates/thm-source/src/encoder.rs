//! Row changes to records: one growing batch per topic, cut into appends.
//!
//! ```text
//!   RowChange ──▶ JSON value + key ──▶ BatchWriter ─┐
//!             ──▶ Arrow columns      ──▶ RowMeta    ├── cut() ──▶ SourceAppend per topic
//!             ──▶ Position per record ──────────────┘
//! ```
//!
//! Invariant: all records of one change (a key change makes three) go to the same append, so an append ends where
//! a position ends and progress never stands inside a change. Where several tables share a topic, its appends are in the
//! order of their changes: a table's records are cut off when those of another begin.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use thm_api::{
    ChangelogBatch, Error, ErrorKind, LogBatch, Op, Position, Progress, Result, RowKind, RowMeta, SourceAppend,
    TopicSpec,
};
use thm_codec::debezium::{Change, ContextHeaders, Envelope, EnvelopeTail, EventTime};
use thm_codec::record_batch::{BatchWriter, HeaderBlock};

use crate::columns::ColumnBuilder;
use crate::notes::{Counts, Note};
use crate::pgoutput::{OldImage, Tuple};
use crate::table::{Image, Spans, Table};
use crate::toast::Hydrator;

/// What happened to a row.
#[derive(Clone, Copy, Debug)]
pub enum RowChange<'a> {
    /// `c`, or `r` in a snapshot.
    Insert(Op, Tuple<'a>),
    /// `u`
    Update(Option<(OldImage, Tuple<'a>)>, Tuple<'a>),
    /// `d`
    Delete(OldImage, Tuple<'a>),
    /// `t`: all rows are gone.
    Truncate,
}

/// Where and when it happened.
#[derive(Clone, Copy, Debug)]
pub struct RowOrigin<'a> {
    /// Its place in commit order.
    pub position: Position,
    /// What `source` says of it.
    pub change: Change<'a>,
    /// Now.
    pub now: EventTime,
}

/// Which records a change gives.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// A delete is followed by a tombstone.
    pub tombstones: bool,
    /// Letters of operations that are left out, also of those that a key change consists of.
    pub skipped: Vec<u8>,
    /// An update that changes nothing of what records show is left out.
    pub skip_unchanged: bool,
}

impl Rules {
    fn skips(&self, letter: u8) -> bool {
        self.skipped.contains(&letter)
    }
}

/// Records of one table since the last cut.
struct Output {
    table: Arc<Table>,
    /// What envelopes of the table end with, of the change before.
    tail: EnvelopeTail,
    writer: BatchWriter,
    columns: Vec<ColumnBuilder>,
    meta: Vec<RowMeta>,
    /// Rows of the batch before: the next will be much the same.
    rows_before: usize,
    positions: Vec<Position>,
    /// Its columns say all that its records do. They cannot tell of a TRUNCATE.
    rows_only: bool,
    /// Other tables have the same topic.
    shares: bool,
}

/// Turns changes into appends.
pub struct Encoder {
    headers: ContextHeaders,
    rules: Rules,
    outputs: Vec<Output>,
    notes: Vec<Notes>,
    by_relation: HashMap<u32, usize>,
    /// Of each topic that several tables share: whose records it was given last.
    writing: Vec<(Arc<TopicSpec>, usize)>,
    sealed: Vec<SourceAppend>,
    bytes: usize,
    rows: u64,
    scratch: Scratch,
    /// A change was written in part.
    torn: bool,
    /// Completes updated rows; none where the placeholder is wanted.
    toast: Option<Hydrator>,
}

#[derive(Default)]
struct Scratch {
    value: Vec<u8>,
    key: Vec<u8>,
    old_row: Vec<u8>,
    old_key: Vec<u8>,
    framed_key: Vec<u8>,
    spans: Spans,
    /// Changes of the open transaction, where they are told.
    counts: Option<Counts>,
}

/// Notes of one topic since the last cut.
struct Notes {
    topic: Arc<TopicSpec>,
    writer: BatchWriter,
    positions: Vec<Position>,
}

impl Notes {
    fn cut(&mut self) -> SourceAppend {
        let records = self.writer.len();
        let last = self.positions.last().copied().unwrap_or_default();
        let positions = self.positions.as_slice().into();
        let batch = LogBatch { bytes: self.writer.finish(), records, positions, decoded: None };
        self.positions.clear();
        SourceAppend { topic: Arc::clone(&self.topic), partition: 0, batch, progress: Progress::at(last) }
    }
}

impl Encoder {
    /// Knows no table yet.
    #[must_use]
    pub fn new(headers: ContextHeaders, rules: Rules) -> Self {
        Self {
            headers,
            rules,
            outputs: Vec::new(),
            notes: Vec::new(),
            by_relation: HashMap::new(),
            writing: Vec::new(),
            sealed: Vec::new(),
            bytes: 0,
            rows: 0,
            scratch: Scratch::default(),
            torn: false,
            toast: None,
        }
    }

    /// With what completes updated rows.
    #[must_use]
    pub fn hydrating(mut self, toast: Option<Hydrator>) -> Self {
        self.toast = toast;
        self
    }

    /// What completes updated rows.
    pub const fn toast(&mut self) -> Option<&mut Hydrator> {
        self.toast.as_mut()
    }

    /// Counts the changes from now on as those of a new transaction.
    pub fn begin_transaction(&mut self) {
        self.scratch.counts = Some(Counts::default());
    }

    /// Counts a logical message as one more change of the transaction: its place there and in its collection.
    pub fn count_message(&mut self, collection: impl FnOnce() -> String) -> Option<(u64, u64)> {
        self.scratch.counts.as_mut().map(|counts| counts.next(&collection()))
    }

    /// The changes of the transaction that ends.
    pub fn end_transaction(&mut self) -> Counts {
        self.scratch.counts.take().unwrap_or_default()
    }

    /// Appends a record beside the rows.
    pub fn push_note(&mut self, note: Note<'_>, position: Position, now: EventTime) {
        self.push_note_with(note, &HeaderBlock::default(), position, now);
    }

    /// The same with headers.
    pub fn push_note_with(&mut self, note: Note<'_>, headers: &HeaderBlock, position: Position, now: EventTime) {
        let index = self.notes.iter().position(|notes| notes.topic == *note.topic).unwrap_or_else(|| {
            let topic = Arc::clone(note.topic);
            self.notes.push(Notes { topic, writer: BatchWriter::new(), positions: Vec::new() });
            self.notes.len() - 1
        });
        let notes = &mut self.notes[index];
        let before = notes.writer.byte_len();
        notes.writer.push(now.0.div_euclid(1_000_000), Some(note.key), Some(note.value), headers);
        notes.positions.push(position);
        self.bytes += notes.writer.byte_len() - before;
    }

    /// Appends a record beside the rows, behind all that came before it, whatever topics that went to.
    pub fn push_note_in_order(&mut self, note: Note<'_>, position: Position, now: EventTime) -> Result<()> {
        self.push_note(note, position, now);
        self.seal_all()
    }

    /// Makes a table known, or known anew: rows of its former shape are sealed.
    pub fn set_table(&mut self, table: Arc<Table>) -> Result<()> {
        let (columns, topic) = (table.builders(), Arc::clone(&table.topic));
        match self.by_relation.get(&table.relation.oid) {
            Some(&index) => {
                self.seal(index)?;
                let output = &mut self.outputs[index];
                (output.columns, output.table, output.tail) = (columns, table, EnvelopeTail::default());
            }
            None => {
                self.by_relation.insert(table.relation.oid, self.outputs.len());
                let (writer, tail) = (BatchWriter::new(), EnvelopeTail::default());
                let (meta, positions) = (Vec::new(), Vec::new());
                let (rows_before, rows_only, shares) = (0, true, false);
                let output = Output { table, tail, writer, columns, meta, rows_before, positions, rows_only, shares };
                self.outputs.push(output);
            }
        }
        let mut alike: Vec<_> = self.outputs.iter_mut().filter(|output| output.table.topic == topic).collect();
        let shares = alike.len() > 1;
        alike.iter_mut().for_each(|output| output.shares = shares);
        Ok(())
    }

    /// The table of a relation, if it was made known.
    #[must_use]
    pub fn table(&self, relation: u32) -> Option<&Arc<Table>> {
        self.by_relation.get(&relation).map(|index| &self.outputs[*index].table)
    }

    /// Bytes of records since the last cut.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Row changes since the encoder was made.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Encodes one change; false if it gave no record, because its operation is left out.
    pub fn push(&mut self, relation: u32, change: RowChange<'_>, origin: &RowOrigin<'_>) -> Result<bool> {
        let Some(&index) = self.by_relation.get(&relation) else {
            let object = format!("relation {relation}");
            return Err(Error::new(ErrorKind::SourceDecode, "finding a row's table", object));
        };
        if self.outputs[index].shares {
            self.seal_other(index)?;
        }
        let (output, scratch, rules) = (&mut self.outputs[index], &mut self.scratch, &self.rules);
        let plain = self.headers.plain();
        let before = output.writer.byte_len();
        match change {
            RowChange::Insert(Op::Create, _) if rules.skips(b'c') => {}
            RowChange::Insert(op, new) => output.write(scratch, plain, op, None, Some(&new), origin)?,
            RowChange::Truncate if rules.skips(b't') => {}
            RowChange::Truncate => output.truncate(scratch, plain, origin),
            RowChange::Delete(..) if rules.skips(b'd') => {}
            RowChange::Delete(image, old) => output.delete(scratch, plain, rules, (image, &old), origin)?,
            RowChange::Update(..) if rules.skips(b'u') => {}
            RowChange::Update(old, new) => {
                let old = old.as_ref().map(|(image, tuple)| (*image, tuple));
                match old {
                    Some(old) if !output.table.key.is_empty() && output.key_changes(scratch, old, &new)? => {
                        output.change_key(scratch, &mut self.headers, rules, old, &new, origin)?;
                    }
                    Some(old) if rules.skip_unchanged && output.is_unchanged(scratch, old, &new)? => {}
                    _ => output.write(scratch, plain, Op::Update, old, Some(&new), origin)?,
                }
            }
        }
        let grown = output.writer.byte_len() - before;
        self.rows += 1;
        self.bytes += grown;
        Ok(grown > 0)
    }

    /// After a change that could not be encoded: its batch goes on without it, and without columns, of which some have
    /// its values. False: some of its records are written already.
    pub fn leave_out(&mut self, relation: u32, change: &RowChange<'_>, position: Position) -> bool {
        let Some(&index) = self.by_relation.get(&relation) else { return false };
        let output = &mut self.outputs[index];
        output.columns = output.table.builders();
        output.meta.clear();
        output.rows_only = false;
        // Only a change of key writes several records; the others write theirs when all of it is encoded.
        let whole = !matches!(change, RowChange::Update(..)) || output.positions.last() != Some(&position);
        self.torn |= !whole;
        whole
    }

    /// Whether all changes that were given are written whole.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        !self.torn
    }

    /// Seals what another table gave the same topic.
    fn seal_other(&mut self, index: usize) -> Result<()> {
        let topic = &self.outputs[index].table.topic;
        match self.writing.iter_mut().find(|(of, _)| of == topic) {
            Some((_, before)) => {
                let before = std::mem::replace(before, index);
                if before == index { Ok(()) } else { self.seal(before) }
            }
            None => {
                self.writing.push((Arc::clone(topic), index));
                Ok(())
            }
        }
    }

    fn seal(&mut self, index: usize) -> Result<()> {
        let output = &mut self.outputs[index];
        if !output.writer.is_empty() {
            self.sealed.push(output.cut()?);
        }
        Ok(())
    }

    fn seal_all(&mut self) -> Result<()> {
        for index in 0..self.outputs.len() {
            self.seal(index)?;
        }
        let notes = self.notes.iter_mut().filter(|notes| !notes.writer.is_empty());
        self.sealed.extend(notes.map(Notes::cut));
        Ok(())
    }

    /// All records since the last cut, by topic.
    pub fn cut(&mut self) -> Result<Vec<SourceAppend>> {
        self.seal_all()?;
        self.bytes = 0;
        Ok(std::mem::take(&mut self.sealed))
    }
}

impl Output {
    /// Writes one record; its key stays in `scratch.key`. The row of the Arrow columns is `new`, or for a delete `old`.
    /// A create shows no row before it; one that a change of key makes still has `old` to complete `new` from.
    fn write(
        &mut self,
        scratch: &mut Scratch,
        headers: &HeaderBlock,
        op: Op,
        old: Option<(OldImage, &Tuple<'_>)>,
        new: Option<&Tuple<'_>>,
        origin: &RowOrigin<'_>,
    ) -> Result<()> {
        let Scratch { key, framed_key, spans, counts, .. } = scratch;
        key.clear();
        if self.meta.is_empty() {
            self.meta.reserve(self.rows_before);
            self.columns.iter_mut().for_each(ColumnBuilder::begin);
        }
        let row_of_old = if new.is_none() { Some(self.columns.as_mut_slice()) } else { None };
        let number = self.writer.len();
        let mut record = self.writer.open();
        let value = record.value();
        self.table.value_frame.open(value);
        match old.filter(|_| op != Op::Create) {
            Some((image, tuple)) => {
                Envelope::open(value);
                self.table.write_row(tuple, image.into(), None, value, spans, row_of_old)?;
                Envelope::after(value);
            }
            None => Envelope::open_after(value),
        }
        let mut has_key = false;
        if let Some((image, tuple)) = old.filter(|_| new.is_none()) {
            has_key = self.table.write_key((tuple, image.into()), value, spans, key)?;
        }
        match new {
            Some(tuple) => {
                self.table.write_row(tuple, Image::Whole, whole(old), value, spans, Some(&mut self.columns))?;
                has_key = self.table.write_key((tuple, Image::Whole), value, spans, key)?;
            }
            None => value.extend_from_slice(b"null"),
        }
        let order = counts.as_mut().map(|counts| counts.next(&self.table.full_name));
        self.table.envelope.close_like(value, &mut self.tail, &Change { order, ..origin.change }, op, origin.now);
        self.table.value_frame.close(value);
        let kind = match op {
            Op::Create | Op::Read => RowKind::Insert,
            Op::Update => RowKind::UpdateAfter,
            Op::Delete => RowKind::Delete,
        };
        let (position, commit_us) = (origin.position, origin.change.commit_us);
        self.meta.push(RowMeta { kind, op, position, commit_us, record: number });
        let key = self.table.key_frame.around(key, framed_key);
        record.close(record_time(origin), has_key.then_some(key), headers);
        self.positions.push(position);
        Ok(())
    }

    fn record(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, headers: &HeaderBlock, origin: &RowOrigin<'_>) {
        self.writer.push(record_time(origin), key, value, headers);
        self.positions.push(origin.position);
    }

    /// A record without a key that says that all rows are gone.
    fn truncate(&mut self, scratch: &mut Scratch, headers: &HeaderBlock, origin: &RowOrigin<'_>) {
        let Scratch { value, counts, .. } = scratch;
        value.clear();
        let order = counts.as_mut().map(|counts| counts.next(&self.table.full_name));
        self.table.value_frame.open(value);
        self.table.envelope.truncate(value, &Change { order, ..origin.change }, origin.now);
        self.table.value_frame.close(value);
        self.rows_only = false;
        self.record(None, Some(value), headers, origin);
    }

    /// A delete, and its tombstone where wanted.
    fn delete(
        &mut self,
        scratch: &mut Scratch,
        headers: &HeaderBlock,
        rules: &Rules,
        old: (OldImage, &Tuple<'_>),
        origin: &RowOrigin<'_>,
    ) -> Result<()> {
        self.write(scratch, headers, Op::Delete, Some(old), None, origin)?;
        if rules.tombstones {
            let has_key = !scratch.key.is_empty();
            let key = self.table.key_frame.around(&scratch.key, &mut scratch.framed_key);
            self.record(has_key.then_some(key), None, headers, origin);
        }
        Ok(())
    }

    /// Puts the old and the new row's key into the scratch space and compares them.
    fn key_changes(&self, scratch: &mut Scratch, old: (OldImage, &Tuple<'_>), new: &Tuple<'_>) -> Result<bool> {
        let Scratch { key, old_key, old_row, spans, .. } = scratch;
        for (tuple, image, key) in [(old.1, old.0.into(), &mut *old_key), (new, Image::Whole, &mut *key)] {
            old_row.clear();
            key.clear();
            self.table.write_row(tuple, image, whole(Some(old)), old_row, spans, None)?;
            self.table.write_key((tuple, image), old_row, spans, key)?;
        }
        Ok(key != old_key)
    }

    /// Whether an update whose old row is known leaves everything that records show as it was.
    fn is_unchanged(&self, scratch: &mut Scratch, old: (OldImage, &Tuple<'_>), new: &Tuple<'_>) -> Result<bool> {
        if old.0 != OldImage::Full {
            return Ok(false);
        }
        let Scratch { value, old_row, spans, .. } = scratch;
        value.clear();
        old_row.clear();
        self.table.write_row(old.1, Image::Whole, None, old_row, spans, None)?;
        self.table.write_row(new, Image::Whole, whole(Some(old)), value, spans, None)?;
        Ok(value == old_row)
    }

    /// Delete and tombstone under the old key, create under the new one; each names the other key.
    fn change_key(
        &mut self,
        scratch: &mut Scratch,
        headers: &mut ContextHeaders,
        rules: &Rules,
        old: (OldImage, &Tuple<'_>),
        new: &Tuple<'_>,
        origin: &RowOrigin<'_>,
    ) -> Result<()> {
        let mut other = std::mem::take(&mut scratch.old_key);
        if !rules.skips(b'd') {
            other.clear();
            self.table.write_header_key(new, Image::Whole, &mut other)?;
            self.delete(scratch, headers.with_new_key(&other), rules, old, origin)?;
        }
        if !rules.skips(b'c') {
            other.clear();
            self.table.write_header_key(old.1, old.0.into(), &mut other)?;
            self.write(scratch, headers.with_old_key(&other), Op::Create, Some(old), Some(new), origin)?;
        }
        scratch.old_key = other;
        Ok(())
    }

    fn cut(&mut self) -> Result<SourceAppend> {
        let columns = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        // Without columns nothing else says how many rows there are.
        let count = self.columns.is_empty().then_some(self.meta.len());
        let (schema, counted) = (Arc::clone(&self.table.schema), RecordBatchOptions::new().with_row_count(count));
        let rows = RecordBatch::try_new_with_options(schema, columns, &counted).map_err(|error| {
            Error::new(ErrorKind::Internal, "building the columns of", self.table.full_name()).with_source(error)
        })?;
        let records = self.writer.len();
        let last = self.positions.last().copied().unwrap_or_default();
        self.rows_before = self.meta.len();
        let decoded = Arc::new(ChangelogBatch { rows, meta: std::mem::take(&mut self.meta) });
        let decoded = std::mem::replace(&mut self.rows_only, true).then_some(decoded);
        let batch =
            LogBatch { bytes: self.writer.finish(), records, positions: self.positions.as_slice().into(), decoded };
        self.positions.clear();
        Ok(SourceAppend { topic: Arc::clone(&self.table.topic), partition: 0, batch, progress: Progress::at(last) })
    }
}

/// Of a record: milliseconds since 1970.
const fn record_time(origin: &RowOrigin<'_>) -> i64 {
    origin.now.0.div_euclid(1_000_000)
}

fn whole<'a>(old: Option<(OldImage, &'a Tuple<'a>)>) -> Option<&'a Tuple<'a>> {
    old.filter(|(image, _)| *image == OldImage::Full).map(|(_, tuple)| tuple)
}

impl Image {
    /// What an old row shows.
    #[must_use]
    pub const fn of(image: OldImage) -> Self {
        match image {
            OldImage::Key => Self::KeyOnly,
            OldImage::Full => Self::Whole,
        }
    }
}

impl From<OldImage> for Image {
    fn from(image: OldImage) -> Self {
        Self::of(image)
    }
}

#[cfg(test)]
mod tests;
