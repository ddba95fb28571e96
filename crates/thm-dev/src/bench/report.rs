//! The result: one row per promise, beside what must be reached, as a table, as Markdown and as JSON.

use std::fmt::Write as _;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};

/// `--output`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// A table for the terminal
    #[default]
    Text,
    /// The tables of `docs/benchmarks.md`
    Markdown,
    /// Everything, with the figures of each repetition
    Json,
}

/// Whether a row keeps its promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Reached,
    NotReached,
    /// Nothing was promised; it stands there to explain the others.
    Reported,
}

impl Verdict {
    pub(super) fn of(reached: bool) -> Self {
        if reached { Self::Reached } else { Self::NotReached }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::NotReached => "not reached",
            Self::Reported => "",
        }
    }
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) must: String,
    pub(super) measured: String,
    pub(super) verdict: Verdict,
}

/// All rows, and tables that explain them.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) rows: Vec<Row>,
    /// Heading, and text in fixed width.
    pub(super) notes: Vec<(String, String)>,
    /// Figures of each repetition, by stage.
    pub(super) raw: Vec<(&'static str, Value)>,
    /// Where and how it was measured.
    pub(super) conditions: Vec<String>,
}

impl Report {
    pub(super) fn row(&mut self, what: impl Into<String>, must: &str, measured: impl Into<String>, verdict: Verdict) {
        self.rows.push(Row { what: what.into(), must: must.to_owned(), measured: measured.into(), verdict });
    }

    pub(super) fn note(&mut self, heading: impl Into<String>, text: impl Into<String>) {
        self.notes.push((heading.into(), text.into()));
    }

    pub(super) fn render(&self, format: ReportFormat) -> String {
        match format {
            ReportFormat::Text => self.text(),
            ReportFormat::Markdown => self.markdown(),
            ReportFormat::Json => self.json(),
        }
    }

    fn text(&self) -> String {
        let width = |of: fn(&Row) -> &str| self.rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
        let (what, must) = (width(|row| &row.what), width(|row| &row.must));
        let measured = width(|row| &row.measured);
        let mut text = String::new();
        for row in &self.rows {
            let Row { what: name, must: bound, measured: found, verdict } = row;
            let line = format!("{name:<what$}  {bound:<must$}  {found:<measured$}  {}", verdict.text());
            let _ = writeln!(text, "{}", line.trim_end());
        }
        for (heading, note) in &self.notes {
            let _ = writeln!(text, "\n{heading}\n{}", note.trim_end());
        }
        for condition in &self.conditions {
            let _ = write!(text, "\n{condition}");
        }
        text
    }

    fn markdown(&self) -> String {
        let mut text = "| what | must reach | measured | |\n|---|---|---|---|\n".to_owned();
        for row in &self.rows {
            let verdict = match row.verdict {
                Verdict::NotReached => "**not reached**",
                other => other.text(),
            };
            let _ = writeln!(text, "| {} | {} | {} | {verdict} |", row.what, row.must, row.measured);
        }
        for (heading, note) in &self.notes {
            let _ = write!(text, "\n### {heading}\n\n```text\n{}\n```\n", note.trim_end());
        }
        text.push('\n');
        for condition in &self.conditions {
            let _ = writeln!(text, "* {condition}");
        }
        text
    }

    fn json(&self) -> String {
        let raw: serde_json::Map<_, _> =
            self.raw.iter().map(|(stage, value)| ((*stage).to_owned(), value.clone())).collect();
        let notes: Vec<_> =
            self.notes.iter().map(|(heading, text)| json!({"heading": heading, "text": text})).collect();
        let all = json!({"rows": self.rows, "notes": notes, "conditions": self.conditions, "raw": raw});
        format!("{all:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_promise_is_marked_in_every_format() {
        let mut report = Report::default();
        report.row("start", "≤ 1 s", "2 s", Verdict::of(false));
        for (format, mark) in [
            (ReportFormat::Text, "not reached"),
            (ReportFormat::Markdown, "**not reached**"),
            (ReportFormat::Json, "not_reached"),
        ] {
            assert!(report.render(format).contains(mark), "{format:?}");
        }
    }
}
