//! Options of `filesystem`: files of lines, for tests and replays.

use std::path::PathBuf;

use crate::catalog::PhysicalColumn;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::format::{Format, ValueFormat, options as format_options};
use crate::options::{Kind, Options, Usage};

/// A `filesystem` table.
#[derive(Clone, Debug)]
pub struct FilesystemTable {
    /// A folder, all files of which are read in the order of their names, or one file.
    pub path: PathBuf,
    /// How each line is written.
    pub format: Format,
}

/// Rows are appended to one file at once, and there are no partitions: what says when files and partitions are done does
/// nothing.
const WITHOUT_EFFECT: [&str; 10] = [
    "sink.partition-commit.watermark-time-zone",
    "sink.partition-commit.policy.kind",
    "sink.partition-commit.policy.class",
    "sink.partition-commit.policy.class.parameters",
    "sink.partition-commit.success-file.name",
    "partition.default-name",
    "partition.time-extractor.kind",
    "partition.time-extractor.class",
    "partition.time-extractor.timestamp-pattern",
    "partition.time-extractor.timestamp-formatter",
];

/// The same, of values that are read.
const READ_WITHOUT_EFFECT: [(&str, Kind); 8] = [
    ("sink.rolling-policy.file-size", Kind::Bytes),
    ("compaction.file-size", Kind::Bytes),
    ("sink.rolling-policy.rollover-interval", Kind::Duration),
    ("sink.rolling-policy.check-interval", Kind::Duration),
    ("sink.rolling-policy.inactivity-interval", Kind::Duration),
    ("sink.partition-commit.delay", Kind::Duration),
    ("sink.shuffle-by-partition.enable", Kind::Boolean),
    ("auto-compaction", Kind::Boolean),
];

/// The same, of two words each.
const CHOICES: [(&str, [&str; 2]); 2] = [
    ("sink.partition-commit.trigger", ["process-time", "partition-time"]),
    ("source.report-statistics", ["NONE", "ALL"]),
];

/// Reads `filesystem` options.
pub(super) fn read(options: &mut Options<'_>, columns: &[PhysicalColumn], usage: Usage) -> SqlResult<FilesystemTable> {
    let path = options.required("path")?;
    let format = options.required("format")?;
    let span = format.span;
    let format = format_options::read(options, &format, "", usage)?;
    if format.kind == ValueFormat::Raw && columns.len() != 1 {
        return Err(SqlDiagnostic::new(span, "the 'raw' format only supports single physical column")
            .with_hint("Declare one column of type STRING."));
    }
    options.without_effect(&WITHOUT_EFFECT);
    options.readable_without_effect(&READ_WITHOUT_EFFECT)?;
    for (key, words) in CHOICES {
        options.choice_without_effect(key, &words)?;
    }
    options.parallelism("sink.parallelism", usage == Usage::Sink)?;
    if path.value.is_empty() {
        return Err(SqlDiagnostic::new(path.span, "Can not create a Path from an empty string")
            .with_hint("Write an absolute path, or file:///path."));
    }
    let written = path.value.strip_prefix("file://").unwrap_or(&path.value);
    if written.contains("://") {
        return Err(SqlDiagnostic::new(path.span, format!("'{}' is not a path of this machine", path.value))
            .with_hint("Write an absolute path, or file:///path."));
    }
    Ok(FilesystemTable { path: PathBuf::from(written), format })
}
