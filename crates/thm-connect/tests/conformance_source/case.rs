//! A case's folder: its steps, its options, what was recorded. The format is that of the recordings' own generator.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::normalise::Record;

/// What the recording says of the connector's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It streams.
    Streams,
    /// It does not stream, or filters what would tell that it has caught up.
    Quiet,
    /// Its task fails at the start.
    Failed,
    /// Its task fails on the last step.
    Break,
    /// It is refused.
    Rejected,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// `connector create`, `step insert`, `sleep 2`, …; empty for what stands before the first marker.
    pub directive: String,
    /// Statements that follow it.
    pub sql: String,
}

/// A case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name of its folder.
    pub name: String,
    folder: PathBuf,
    /// Options beyond the base; `None` removes one.
    pub options: BTreeMap<String, Option<String>>,
    /// Steps.
    pub steps: Vec<Step>,
    /// How it ends.
    pub expect: Expect,
    /// `2.7` where the recording is one of Debezium 2.7.
    pub older: bool,
}

impl Case {
    /// Reads the folder; `None` if it holds no case.
    pub fn read(folder: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(folder.join("case.sql")).ok()?;
        let options = std::fs::read_to_string(folder.join("connector.json")).ok()?;
        let mut steps = Vec::new();
        let mut expect = Expect::Streams;
        for (number, part) in format!("\n{text}").split("\n-- ### ").enumerate() {
            let (directive, sql) = if number == 0 { ("", part) } else { part.split_once('\n').unwrap_or((part, "")) };
            match directive.trim() {
                "expect failed" => expect = Expect::Failed,
                "expect break" => expect = Expect::Break,
                "expect rejected" => expect = Expect::Rejected,
                "expect quiet" => expect = Expect::Quiet,
                _ => {}
            }
            steps.push(Step { directive: directive.trim().to_owned(), sql: sql.to_owned() });
        }
        let name = folder.file_name()?.to_string_lossy().into_owned();
        let options = serde_json::from_str(&options).unwrap_or_else(|error| panic!("{name}/connector.json: {error}"));
        let mut case = Self { name, folder: folder.to_owned(), options, steps, expect, older: false };
        case.older = case
            .text("records.raw.jsonl")
            .or(case.text("records.jsonl"))
            .is_some_and(|text| text.contains("\"version\":\"2.7") || text.contains("\"__version\":\"2.7"));
        case.older |= folder.parent().is_some_and(|parent| parent.to_string_lossy().contains("2.7"));
        Some(case)
    }

    fn text(&self, file: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join(file)).ok()
    }

    /// A recorded file, record by record.
    pub fn records(&self, file: &str) -> Option<Vec<Record>> {
        let text = self.text(file)?;
        Some(text.lines().filter(|line| !line.is_empty()).map(Record::parse).collect())
    }

    /// What the connector was refused or failed with.
    pub fn error(&self) -> Option<String> {
        self.text("error.txt")
    }

    /// Signals ask for snapshots, which are not built yet.
    pub fn is_skipped(&self) -> bool {
        ["signal-incremental", "signal-blocking", "signal-notification"].iter().any(|name| self.name.starts_with(name))
    }
}
