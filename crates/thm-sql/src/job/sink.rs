//! Where a job's rows go: a topic, exactly once, or as text to files and the standard output, at least once.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use thm_api::{Error, ErrorKind, Progress, Result, RowKind};

use super::output::{Output, not_evaluated, null_in};
use crate::expr::{EvalError, Input, text};
use crate::format::write::Writer;
use crate::operator::Rows;
use crate::planner::{Collected, CollectedRows, Graph, SinkKind};

/// Bytes that are looked at for a line's end at once.
const DEFAULT_TAIL_BYTES: u64 = 64 << 10;

/// The sink of a job.
pub(super) enum Sink {
    Topic(Box<Output>),
    Text(TextSink),
}

impl Sink {
    /// Writes rows of a branch that follow from input up to and including `last`.
    pub async fn write(&mut self, branch: usize, rows: Vec<Rows>, last: Progress) -> Result<()> {
        match self {
            Self::Topic(output) => output.write(branch, rows, last).await,
            Self::Text(sink) => sink.write(branch, rows),
        }
    }

    /// Tells partitions that got nothing how far the job is.
    pub async fn tell_progress(&mut self, now: bool) -> Result<()> {
        match self {
            Self::Topic(output) => output.tell_progress(now).await,
            Self::Text(_) => Ok(()),
        }
    }

    /// Waits until everything written is durable.
    pub async fn durable(&mut self) -> Result<()> {
        match self {
            Self::Topic(output) => output.durable().await,
            Self::Text(sink) => sink.flush(),
        }
    }

    /// How many topics are open.
    pub fn topic_count(&self) -> usize {
        match self {
            Self::Topic(output) => output.targets.names().len(),
            Self::Text(_) => 0,
        }
    }

    /// Topics that are open.
    pub fn topics(&self) -> Vec<String> {
        match self {
            Self::Topic(output) => output.targets.names().map(str::to_owned).collect(),
            Self::Text(_) => Vec::new(),
        }
    }

    /// Records written so far.
    pub fn records(&self) -> u64 {
        match self {
            Self::Topic(output) => output.records,
            Self::Text(sink) => sink.records,
        }
    }

    /// DECIMAL results that became NULL since the last call.
    pub fn take_overflows(&mut self) -> u64 {
        match self {
            Self::Topic(output) => std::mem::take(&mut output.overflows),
            Self::Text(sink) => std::mem::take(&mut sink.overflows),
        }
    }
}

enum Target {
    /// The standard output or error, and what stands before each row.
    Standard {
        identifier: String,
        error: bool,
    },
    File(BufWriter<File>, Writer),
    Nowhere,
    Memory(Collected),
}

/// Rows as text.
pub(super) struct TextSink {
    graph: Arc<Graph>,
    job: Arc<str>,
    target: Target,
    records: u64,
    overflows: u64,
}

impl TextSink {
    pub fn open(graph: Arc<Graph>, job: Arc<str>) -> Result<Self> {
        let target = match &graph.sink.kind {
            SinkKind::Files { path, format } => {
                let file = open(path, &job)?;
                let columns = &graph.sink.columns;
                let fields: Vec<(usize, String)> =
                    columns.iter().map(|column| column.name.clone()).enumerate().collect();
                Target::File(BufWriter::new(file), Writer::new(format, columns, &fields))
            }
            SinkKind::Print { identifier, standard_error } => {
                Target::Standard { identifier: identifier.clone(), error: *standard_error }
            }
            SinkKind::Collect(collected) => Target::Memory(collected.clone()),
            SinkKind::Blackhole | SinkKind::Topic(_) => Target::Nowhere,
        };
        Ok(Self { graph, job, target, records: 0, overflows: 0 })
    }

    fn write(&mut self, branch: usize, all: Vec<Rows>) -> Result<()> {
        let failed = |error: EvalError| {
            Error::new(ErrorKind::Evaluation, "writing a row", self.graph.sink.table.clone()).with_source(error)
        };
        let mut out = Vec::new();
        for rows in all.iter().filter(|rows| !rows.is_empty()) {
            let input = Input::new(&rows.columns, rows.len());
            let values = &self.graph.branches[branch].values;
            let of_column = |(index, value): (usize, &crate::expr::Expr)| {
                value.evaluate(&input).map_err(|error| {
                    let offset = rows.meta.get(error.row).map_or(0, |meta| meta.offset);
                    let source = &self.graph.branches[branch].source;
                    let at = format!("{} {}, offset {offset}", source.table, source.place());
                    not_evaluated(&self.graph, (branch, index), &at, error)
                })
            };
            let columns: Vec<ArrayRef> = values.iter().enumerate().map(of_column).collect::<Result<_>>()?;
            self.overflows += input.overflows.get();
            let lines = match &self.target {
                Target::File(_, writer) => Some(writer.rows(&columns)),
                _ => None,
            };
            for (row, meta) in rows.meta.iter().enumerate() {
                if !crate::operator::is_key_only(meta) && self.has_null(&columns, row)? {
                    continue;
                }
                match &self.target {
                    Target::Standard { identifier, .. } => {
                        if !identifier.is_empty() {
                            out.extend_from_slice(identifier.as_bytes());
                            out.extend_from_slice(b"> ");
                        }
                        self.row_text(&mut out, meta.kind, &columns, row);
                        out.push(b'\n');
                    }
                    Target::File(..) => {
                        lines.as_ref().map_or(Ok(true), |lines| lines.write(&mut out, row, false)).map_err(failed)?;
                        out.push(b'\n');
                    }
                    Target::Nowhere | Target::Memory(_) => {}
                }
                self.records += 1;
            }
            if let Target::Memory(collected) = &self.target {
                collected.put(CollectedRows { kinds: rows.meta.iter().map(|meta| meta.kind).collect(), columns });
            }
        }
        let io = |error| Error::new(ErrorKind::LogIo, "writing rows", self.job.to_string()).with_source(error);
        match &mut self.target {
            Target::Standard { error: true, .. } => std::io::stderr().write_all(&out).map_err(io),
            Target::Standard { .. } => std::io::stdout().write_all(&out).map_err(io),
            Target::File(file, _) => file.write_all(&out).map_err(io),
            Target::Nowhere | Target::Memory(_) => Ok(()),
        }
    }

    /// `+I[1, a]`, as Flink's print connector shows rows.
    fn row_text(&self, out: &mut Vec<u8>, kind: RowKind, columns: &[ArrayRef], row: usize) {
        let mut line = format!("{}[", kind.as_str());
        for (index, (column, array)) in self.graph.sink.columns.iter().zip(columns).enumerate() {
            if index > 0 {
                line.push_str(", ");
            }
            let of = column.data_type.kind;
            if text::is_null(array, row, of) {
                line.push_str("null");
            } else if let crate::types::LogicalType::Boolean = of {
                line.push_str(if arrow::array::AsArray::as_boolean(array).value(row) { "true" } else { "false" });
            } else {
                text::write(&mut line, array, row, of);
            }
        }
        line.push(']');
        out.extend_from_slice(line.as_bytes());
    }

    /// Whether a NULL stands in a NOT NULL column and the row is to be dropped for it.
    fn has_null(&self, columns: &[ArrayRef], row: usize) -> Result<bool> {
        let sink = &self.graph.sink;
        let wrong =
            sink.columns.iter().zip(columns).find(|(column, array)| !column.data_type.nullable && array.is_null(row));
        match wrong {
            None => Ok(false),
            Some(_) if sink.drop_nulls => Ok(true),
            Some((column, _)) => Err(null_in(&column.name, sink.path.clone())),
        }
    }

    fn flush(&mut self) -> Result<()> {
        let io = |error| Error::new(ErrorKind::LogIo, "writing rows", self.job.to_string()).with_source(error);
        match &mut self.target {
            Target::Standard { error: true, .. } => Ok(()),
            Target::Standard { .. } => std::io::stdout().flush().map_err(io),
            Target::File(file, _) => {
                file.flush().map_err(io)?;
                file.get_ref().sync_data().map_err(io)
            }
            Target::Nowhere | Target::Memory(_) => Ok(()),
        }
    }
}

/// A file of the job's own in the folder, to which runs append. A line that a crash has cut is taken off: its row comes
/// again.
fn open(folder: &Path, job: &str) -> Result<File> {
    let failed = |error| {
        Error::new(ErrorKind::InvalidConfig, "opening a file", folder.display().to_string())
            .with_source(error)
            .with_hint("Let the table's 'path' name a folder that can be written.")
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let digest: String =
        <sha2::Sha256 as sha2::Digest>::digest(job).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let path = folder.join(format!("part-{digest}-0"));
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(failed)?;
    let whole = whole_lines(&mut file).map_err(failed)?;
    file.set_len(whole).map_err(failed)?;
    Ok(file)
}

/// Length of a file up to behind its last line end.
fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut block = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(DEFAULT_TAIL_BYTES);
        file.seek(SeekFrom::Start(begin))?;
        block.clear();
        file.take(end - begin).read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_that_a_crash_has_cut_is_taken_off_before_its_row_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(2 * usize::try_from(DEFAULT_TAIL_BYTES).unwrap());
        for (left, kept) in [
            ("", ""),
            ("1,a\n2,b\n", "1,a\n2,b\n"),
            ("1,a\n2,", "1,a\n"),
            ("1,", ""),
            (&format!("1,a\n{long}"), "1,a\n"),
        ] {
            let mut file = open(folder.path(), "job").unwrap();
            file.set_len(0).unwrap();
            file.write_all(left.as_bytes()).unwrap();
            drop(file);
            open(folder.path(), "job").unwrap().write_all(b"2,b\n").unwrap();
            let only = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
            assert_eq!(std::fs::read_to_string(only).unwrap(), format!("{kept}2,b\n"));
        }
    }
}
