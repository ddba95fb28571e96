//! Sources outside the log: constants, files of lines, made-up rows. A row's number is its offset, and the same number
//! gives the same row at every run, so that a restart goes on where the checkpoint was.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Instant;

use arrow::array::ArrayRef;
use thm_api::{Error, ErrorKind, Op, Position, Result, RowKind, TopicPartition};

use super::record;
use crate::connector::datagen::{DatagenTable, Generator};
use crate::format::cells::{Cell, Cells};
use crate::format::debezium_json::{self, LastSource, OldRows};
use crate::format::{Field, Format, Meta, Place, ReadError, ValueFormat};
use crate::operator::Rows;
use crate::planner::{SourceKind, SourceNode, bounded, form};
use crate::types::LogicalType;
use crate::types::time::Moment;

/// Rows that do not come from a topic.
pub(crate) enum Feed {
    /// Constants.
    Values(Vec<ArrayRef>, usize),
    /// Lines of files.
    Files(Files),
    /// Made up.
    Datagen(Datagen),
}

impl Feed {
    /// Of a source that is no topic.
    pub fn new(source: &SourceNode) -> Result<Option<Self>> {
        Ok(Some(match &source.kind {
            SourceKind::Topics(_) => return Ok(None),
            SourceKind::Values { types, rows } => {
                let columns =
                    bounded::constants(types, rows, crate::types::zone::Zone::default()).map_err(|error| {
                        Error::new(ErrorKind::Evaluation, "evaluating constants", "VALUES").with_source(error)
                    })?;
                Self::Values(columns, rows.len())
            }
            SourceKind::Files { path, format } => {
                Self::Files(Files::open(path, format.clone(), source.fields.clone())?)
            }
            SourceKind::Datagen(table) => Self::Datagen(Datagen {
                table: table.clone(),
                fields: source.fields.clone(),
                begun: Instant::now(),
                made: 0,
            }),
        }))
    }

    /// Rows from a number on, at most `most`; none at the end, no rows if there are none yet.
    pub fn next(&mut self, from: i64, most: usize) -> Result<Option<Rows>> {
        match self {
            Self::Values(columns, count) => {
                let at = usize::try_from(from).unwrap_or(0);
                if at >= *count {
                    return Ok(None);
                }
                let length = most.min(*count - at);
                let columns = columns.iter().map(|column| column.slice(at, length)).collect();
                Ok(Some(Rows { columns, meta: inserts(from, length) }))
            }
            Self::Files(files) => files.next(from, most),
            Self::Datagen(datagen) => Ok(datagen.next(from, most)),
        }
    }
}

fn inserts(from: i64, count: usize) -> Vec<Meta> {
    let commit_us = chrono::Utc::now().timestamp_micros();
    let meta = |offset| Meta {
        kind: RowKind::Insert,
        op: Op::Create,
        position: Position::default(),
        commit_us,
        timestamp_ms: commit_us.div_euclid(1_000),
        offset,
        whole: false,
    };
    (from..).take(count).map(meta).collect()
}

/// One cell per field.
type CellRow<'a> = Vec<Option<Cell<'a>>>;

/// Lines of all files of a folder, in the order of their names, or of one file.
pub(crate) struct Files {
    left: std::vec::IntoIter<PathBuf>,
    reader: Option<(PathBuf, BufReader<File>)>,
    next_line: i64,
    format: Format,
    fields: Vec<Field>,
}

impl Files {
    fn open(path: &Path, format: Format, fields: Vec<Field>) -> Result<Self> {
        let mut all = Vec::new();
        let failed = |error: std::io::Error| file_error(path, error);
        if path.is_dir() {
            for entry in std::fs::read_dir(path).map_err(failed)? {
                let file = entry.map_err(failed)?.path();
                let hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(['.', '_']));
                if file.is_file() && !hidden {
                    all.push(file);
                }
            }
            all.sort();
        } else {
            std::fs::metadata(path).map_err(failed)?;
            all.push(path.to_owned());
        }
        Ok(Self { left: all.into_iter(), reader: None, next_line: 0, format, fields })
    }

    fn line(&mut self) -> Result<Option<(PathBuf, Vec<u8>)>> {
        loop {
            if self.reader.is_none() {
                let Some(path) = self.left.next() else { return Ok(None) };
                let file = File::open(&path).map_err(|error| file_error(&path, error))?;
                self.reader = Some((path, BufReader::new(file)));
            }
            let Some((path, reader)) = &mut self.reader else { return Ok(None) };
            let mut line = Vec::new();
            let read = reader.read_until(b'\n', &mut line).map_err(|error| file_error(path, error))?;
            if read == 0 {
                self.reader = None;
                continue;
            }
            while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                line.pop();
            }
            self.next_line += 1;
            return Ok(Some((path.clone(), line)));
        }
    }

    /// The rows of a line: one, or of a change also the row as it was.
    fn rows_of<'a>(&self, line: &'a [u8]) -> Result<Vec<(RowKind, CellRow<'a>)>, ReadError> {
        if self.format.kind != ValueFormat::DebeziumJson {
            let row = record::cells(&self.format, Some(line), &self.fields, Place::Value)?;
            return Ok(row.into_iter().map(|row| (RowKind::Insert, row)).collect());
        }
        if line.is_empty() {
            return Ok(Vec::new());
        }
        let last = &mut LastSource::default();
        let change = debezium_json::read(None, Some(line), &self.fields, &self.format.json, OldRows::Needed, last)?;
        let Some(change) = change else { return Ok(Vec::new()) };
        let old = change.before.map(|before| (RowKind::UpdateBefore, before));
        Ok(old.into_iter().chain([(change.kind, change.cells)]).collect())
    }

    fn next(&mut self, from: i64, most: usize) -> Result<Option<Rows>> {
        while self.next_line < from {
            if self.line()?.is_none() {
                return Ok(None);
            }
        }
        let mut cells: Vec<Cells> =
            self.fields.iter().map(|field| Cells::new(field.kind, field.needed, most)).collect();
        let mut meta = Vec::new();
        while meta.len() < most {
            let Some((path, line)) = self.line()? else { break };
            let number = self.next_line - 1;
            let found = match self.rows_of(&line) {
                Ok(found) => found,
                Err(_) if self.format.ignores_errors() => continue,
                Err(error) => {
                    let at = format!("{}, line {}", path.display(), number + 1);
                    return Err(Error::new(ErrorKind::Evaluation, "reading a line", at)
                        .with_source(error)
                        .with_hint("Correct the file, or set 'ignore-parse-errors' = 'true' for its format."));
                }
            };
            for (kind, row) in found {
                for ((field, cells), cell) in self.fields.iter().zip(&mut cells).zip(row) {
                    let metadata = match &field.place {
                        Place::Metadata(name) => file_metadata(name, &path),
                        _ => None,
                    };
                    cells.push(metadata.or(cell));
                }
                meta.extend(inserts(number, 1).into_iter().map(|meta| Meta { kind, whole: true, ..meta }));
            }
        }
        if meta.is_empty() {
            return Ok(None);
        }
        Ok(Some(Rows { columns: cells.iter_mut().map(Cells::finish).collect(), meta }))
    }
}

fn file_metadata<'a>(name: &str, path: &Path) -> Option<Cell<'a>> {
    let stat = || std::fs::metadata(path).ok();
    match name {
        "file.path" => Some(Cell::Text(path.display().to_string().into())),
        "file.name" => Some(Cell::Text(path.file_name()?.to_string_lossy().into_owned().into())),
        "file.size" => Some(Cell::Integer(i64::try_from(stat()?.len()).ok()?)),
        "file.modification-time" => {
            let since = stat()?.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
            let millis = i64::try_from(since.as_millis()).ok()?;
            Some(Cell::Moment(Moment::of(millis, arrow::datatypes::TimeUnit::Millisecond)))
        }
        _ => None,
    }
}

fn file_error(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::InvalidConfig, "reading a file", path.display().to_string())
        .with_source(error)
        .with_hint("Name an existing file or folder in the table's 'path'.")
}

/// Made-up rows.
pub(crate) struct Datagen {
    table: DatagenTable,
    fields: Vec<Field>,
    begun: Instant,
    made: u64,
}

impl Datagen {
    fn next(&mut self, from: i64, most: usize) -> Option<Rows> {
        let limit = self.table.number_of_rows.and_then(|rows| i64::try_from(rows).ok());
        let sequence = self.table.fields.iter().filter_map(|field| match field {
            Generator::Sequence { start, end } => Some(end.saturating_sub(*start).saturating_add(1)),
            _ => None,
        });
        let end = limit.into_iter().chain(sequence).min();
        let left = end.map_or(i64::MAX, |end| end - from);
        if left <= 0 {
            return None;
        }
        // As many as are due, so that the rate holds.
        let due = (self.begun.elapsed().as_secs_f64() * self.table.rows_per_second as f64) as u64 + 1;
        let count = usize::try_from(due.saturating_sub(self.made)).unwrap_or(most).min(most);
        let count = count.min(usize::try_from(left).unwrap_or(most));
        self.made += count as u64;
        let mut columns = Vec::with_capacity(self.fields.len());
        for (at, field) in self.fields.iter().enumerate() {
            let mut cells = Cells::new(field.kind, field.needed, count);
            for row in (from..).take(count) {
                let cell = self.table.fields.get(at).and_then(|how| value(how, field.kind, row, at));
                cells.push(cell);
            }
            columns.push(cells.finish());
        }
        Some(Rows { columns, meta: inserts(from, count) })
    }
}

/// splitmix64: the same row and column give the same value.
fn mixed(row: i64, column: usize, salt: u64) -> u64 {
    let seed = row.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut mixed = seed.wrapping_add((column as u64 + 1).wrapping_mul(0xD1B5_4A32_D192_ED03)).wrapping_add(salt);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// A number for a part of a column, so that each has values of its own.
fn inner(column: usize, at: usize) -> usize {
    (column + 1).wrapping_mul(1_009).wrapping_add(at)
}

/// Whether the value of a row is one of the NULLs that are wanted.
fn is_gone(null_rate: f64, row: i64, column: usize) -> bool {
    (mixed(row, column, 1) >> 11) as f64 / (1_u64 << 53) as f64 <= null_rate && null_rate > 0.0
}

/// A collection or a row.
fn nested<'a>(how: &Generator, kind: LogicalType, row: i64, column: usize) -> Option<Cell<'a>> {
    use LogicalType as T;
    let of = |how: &Generator, kind: LogicalType, at: usize| value(how, kind, row, inner(column, at));
    match (how, kind) {
        (
            Generator::List { null_rate, .. } | Generator::Entries { null_rate, .. } | Generator::Row { null_rate, .. },
            _,
        ) if is_gone(*null_rate, row, column) => None,
        (Generator::List { element, length, .. }, T::Array(item)) => {
            Some(Cell::List((0..*length).map(|at| of(element, item.kind, at)).collect()))
        }
        (Generator::Row { fields, .. }, T::Row(types)) => {
            let made = fields.iter().zip(types.iter()).enumerate();
            Some(Cell::Row(made.map(|(at, (how, field))| of(how, field.data_type.kind, at)).collect()))
        }
        (Generator::Entries { key, value, length, .. }, _) => {
            let (keys, values) = match kind {
                T::Map(entry) => (entry.key.kind, entry.value.kind),
                T::Multiset(item) => (item.kind, T::Int),
                _ => return None,
            };
            let mut entries: Vec<(Option<Cell<'a>>, Option<Cell<'a>>)> = Vec::with_capacity(*length);
            for at in 0..*length {
                let key = of(key, keys, 2 * at);
                if entries.iter().all(|(known, _)| *known != key) {
                    let value = value.as_ref().map_or(Some(Cell::Integer(1)), |value| of(value, values, 2 * at + 1));
                    entries.push((key, value));
                }
            }
            Some(Cell::Entries(entries))
        }
        _ => None,
    }
}

fn value<'a>(how: &Generator, kind: LogicalType, row: i64, column: usize) -> Option<Cell<'a>> {
    use LogicalType as T;
    let (min, max, length, past) = match how {
        Generator::List { .. } | Generator::Entries { .. } | Generator::Row { .. } => {
            return nested(how, kind, row, column);
        }
        Generator::Sequence { start, .. } => {
            let number = start.saturating_add(row);
            return Some(match kind {
                T::Char(_) | T::VarChar(_) => Cell::Text(number.to_string().into()),
                T::Binary(_) | T::VarBinary(_) => Cell::Bytes(number.to_be_bytes().to_vec()),
                T::Float | T::Double => Cell::Double(number as f64),
                T::Decimal { scale, .. } => Cell::Decimal(i128::from(number) * 10_i128.pow(u32::from(scale))),
                _ => Cell::Integer(number),
            });
        }
        Generator::Random { min, max, length, varies, null_rate, max_past_ms } => {
            if is_gone(*null_rate, row, column) {
                return None;
            }
            let most = (*length).max(1) as u64;
            let length = if *varies { (mixed(row, column, u64::MAX) % most + 1) as usize } else { *length };
            (*min, *max, length, *max_past_ms)
        }
    };
    let share = (mixed(row, column, 0) >> 11) as f64 / (1_u64 << 53) as f64;
    let between = |least: f64, most: f64| {
        let (least, most) = (min.unwrap_or(least), max.unwrap_or(most));
        least + share * (most - least)
    };
    let integer =
        |least: i64, most: i64| Cell::Integer((between(least as f64, most as f64 + 1.0).floor() as i64).min(most));
    Some(match kind {
        T::Boolean => Cell::Boolean(share < 0.5),
        T::TinyInt => integer(i8::MIN.into(), i8::MAX.into()),
        T::SmallInt => integer(i16::MIN.into(), i16::MAX.into()),
        T::Int => integer(i32::MIN.into(), i32::MAX.into()),
        T::BigInt => integer(i64::MIN, i64::MAX),
        T::Float => Cell::Double(between(f64::from(f32::MIN), f64::from(f32::MAX))),
        T::Double => Cell::Double(between(-1e300, 1e300)),
        T::Decimal { precision, scale } => {
            let unit = 10_f64.powi(i32::from(scale));
            let most = 10_f64.powi(i32::from(precision)) - 1.0;
            Cell::Decimal((between(-most / unit, most / unit) * unit) as i128)
        }
        T::Char(_) | T::VarChar(_) => {
            let digit = |at: usize| char::from(b"0123456789abcdef"[(mixed(row, column, at as u64 + 2) & 15) as usize]);
            Cell::Text((0..length).map(digit).collect::<String>().into())
        }
        T::Binary(_) | T::VarBinary(_) => {
            Cell::Bytes((0..length).map(|at| (mixed(row, column, at as u64 + 2) & 0xFF) as u8).collect())
        }
        T::Date => Cell::Date((chrono::Utc::now().timestamp() / 86_400) as i32),
        T::Time(_) => Cell::Time((chrono::Utc::now().timestamp_millis() % 86_400_000) as i32),
        T::Timestamp(_) | T::TimestampLtz(_) => {
            let ago = (share * past as f64) as i64;
            let millis = chrono::Utc::now().timestamp_millis() - ago;
            Cell::Moment(Moment::of(millis, arrow::datatypes::TimeUnit::Millisecond))
        }
        _ => return None,
    })
}

/// The name under which a feed's place is kept in checkpoints: it says which rows it gives, wherever its branch stands.
/// Other constants are other rows; a file or a table of made-up rows is the same one, whatever else is said of it.
pub(super) fn name(source: &SourceNode) -> TopicPartition {
    let name = match &source.kind {
        SourceKind::Values { .. } => format!("(values {})", form::constants(source)),
        SourceKind::Files { path, .. } => format!("(files {})", path.display()),
        SourceKind::Datagen(_) | SourceKind::Topics(_) => format!("(rows of {})", source.table),
    };
    TopicPartition::new(name, 0)
}

/// The name of before, by the branch's number.
pub(super) fn numbered(branch: usize) -> TopicPartition {
    TopicPartition::new(format!("(branch {branch})"), 0)
}
