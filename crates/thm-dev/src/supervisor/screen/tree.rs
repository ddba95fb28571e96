//! The data path with its figures, one row a station: the heart of the screen, and what stays when it closes.
//!
//! ```text
//!  source ─▶ topics ─▶ jobs, each with its output topic ─▶ sinks      errors below whom they concern
//! ```

use super::figures::{Connector, Figures, Job, Postgres, Problem, Topic};
use super::text::{Row, Tone, bytes, columns, cut, span, wrapped};
use crate::console::grouped;

/// Width of names: the longest of the contract's topics.
const NAME_COLUMNS: usize = 30;
/// Width of a title.
const TITLE_COLUMNS: usize = 18;
/// Places of the leaderboard that fit on a line.
const PLACES: usize = 3;

/// Rows that the message of a problem may take where there is room.
const PROBLEM_ROWS: usize = 3;

/// All stations, from source to sinks. `brief` spends one row on a problem, not several.
pub(super) fn rows(figures: &Figures, width: usize, brief: bool) -> Vec<Row> {
    let problem_rows = |indent: &str, problem: Option<&Problem>, down: bool| match problem {
        Some(problem) => self::problem_rows(indent, problem, down, if brief { 0 } else { width }),
        None => Vec::new(),
    };
    let mut rows = Vec::new();
    let of_kind = |kind: &'static str| figures.connectors.iter().filter(move |one| one.kind == kind);
    for source in of_kind("source") {
        rows.push(source_row(source));
        rows.extend(problem_rows("   ", source.error.as_ref(), is_down(source)));
        rows.push(Row::new().with(Tone::Dim, "   │ ").with(Tone::Plain, format!("{} rows/s", rate(source.rate))));
    }
    let outputs: Vec<&str> = figures.jobs.iter().map(|job| job.output_topic.as_str()).collect();
    let is_output = |topic: &&Topic| outputs.contains(&topic.name.as_str());
    rows.extend(figures.topics.iter().filter(|topic| !is_output(topic)).map(topic_row));
    for job in &figures.jobs {
        rows.push(job_row(job));
        rows.extend(problem_rows("   │ ", job.error.as_ref(), true));
        rows.extend(figures.topics.iter().filter(|topic| topic.name == job.output_topic).map(topic_row));
    }
    let count = of_kind("sink").count();
    for (place, sink) in of_kind("sink").enumerate() {
        let (branch, below) = if place + 1 == count { ("   └─ ", "      ") } else { ("   ├─ ", "   │  ") };
        rows.push(sink_row(branch, sink, &figures.connectors));
        rows.extend(problem_rows(below, sink.error.as_ref(), is_down(sink)));
    }
    rows
}

fn is_down(connector: &Connector) -> bool {
    connector.state == "FAILED"
}

fn state(row: Row, state: &str, retrying: bool) -> Row {
    let tone = match state {
        "RUNNING" if retrying => Tone::Wait,
        "RUNNING" => Tone::Good,
        "FAILED" => Tone::Bad,
        _ => Tone::Wait,
    };
    let word = if retrying { "RETRYING" } else { state };
    row.with(tone, format!("{word:<10}"))
}

/// Whole numbers, and tenths where they are all there is.
pub(crate) fn rate(rate: Option<f64>) -> String {
    match rate {
        None => "–".to_owned(),
        Some(rate) if rate > 0.0 && rate < 10.0 => format!("{rate:.1}"),
        Some(rate) => grouped(rate.round() as u64),
    }
}

fn source_row(source: &Connector) -> Row {
    let mut row = Row::new().with(Tone::Strong, " PostgreSQL ");
    if let Some(Postgres { host, port, slot, lag_bytes, retained_wal_bytes }) = &source.postgres {
        let address = if host == "127.0.0.1" { format!(":{port}") } else { format!("{host}:{port}") };
        row = row.with(Tone::Link, address).with(Tone::Dim, "   slot ").with(Tone::Plain, slot.clone());
        let facts = [("lag", lag_bytes, 1), ("retained WAL", retained_wal_bytes, 2)];
        for (what, count, spare) in facts {
            let Some(count) = count else { continue };
            row = row.spare(spare, Tone::Dim, format!("   {what} ")).spare(spare, Tone::Plain, bytes(*count));
        }
    }
    if source.state != "RUNNING" || source.retrying {
        row = state(row.with(Tone::Plain, "   "), &source.state, source.retrying);
    }
    row
}

fn topic_row(topic: &Topic) -> Row {
    let name = format!(" {:<NAME_COLUMNS$}", cut(&topic.name, NAME_COLUMNS));
    let mut row = Row::new().with(Tone::Strong, name).with(Tone::Plain, format!("{:>12}", grouped(topic.records)));
    row = row.spare(3, Tone::Dim, " records");
    if let Some(snapshot) = &topic.snapshot {
        let rows = grouped(snapshot.rows as u64);
        let is_whole = snapshot.expected.is_some_and(|expected| snapshot.rows >= expected);
        let of = snapshot.expected.map(|expected| format!(" of {}", grouped(expected as u64))).unwrap_or_default();
        let tone = if is_whole { Tone::Dim } else { Tone::Wait };
        row = row.spare(1, Tone::Dim, "   snapshot ").spare(1, tone, format!("{rows}{of}"));
    }
    row
}

fn job_row(job: &Job) -> Row {
    let row = Row::new().with(Tone::Dim, "   │ ").with(Tone::Strong, format!("{}  ", job.short_name));
    let mut row = state(row, &job.state, false).with(Tone::Plain, format!("{:>7}/s", rate(job.rate)));
    row = row.spare(1, Tone::Dim, "   lag ").spare(1, Tone::Plain, grouped(job.lag));
    match job.p99_seconds {
        Some(p99) => row.spare(2, Tone::Dim, "   p99 ").spare(2, Tone::Plain, span(p99)),
        None => row,
    }
}

/// The word for what stands behind a connector; its own name if two would be called the same.
pub(super) fn label(one: &Connector, all: &[Connector]) -> String {
    let word = |one: &Connector| {
        let class = one.class.rsplit('.').next().unwrap_or_default();
        let known = [("ClickHouse", "ClickHouse"), ("Leaderboard", "Redis"), ("Http", "HTTP")];
        known.into_iter().find(|(start, _)| class.starts_with(start)).map(|(_, word)| word)
    };
    let is_alone = |mine: &&str| all.iter().filter(|other| word(other) == Some(*mine)).count() == 1;
    word(one).filter(is_alone).map_or_else(|| one.name.clone(), str::to_owned)
}

fn sink_row(branch: &str, sink: &Connector, all: &[Connector]) -> Row {
    let row = Row::new().with(Tone::Dim, branch).with(Tone::Strong, format!("{:<11} ", label(sink, all)));
    let mut row = state(row, &sink.state, sink.retrying).with(Tone::Plain, format!("{:>7}/s", rate(sink.rate)));
    let lag = match sink.lag_seconds {
        Some(seconds) if sink.lag > 0 && seconds >= 1.0 => format!("{} ({})", span(seconds), grouped(sink.lag)),
        Some(seconds) if sink.lag > 0 => span(seconds),
        _ => grouped(sink.lag),
    };
    row = row.spare(2, Tone::Dim, "  lag ").spare(2, Tone::Plain, format!("{lag:<8}"));
    if let Some(p99) = sink.p99_seconds {
        row = row.spare(6, Tone::Dim, " p99 ").spare(6, Tone::Plain, format!("{:<7}", span(p99)));
    }
    if let Some(rows) = sink.rows {
        row = row.spare(1, Tone::Plain, format!("  {} rows", grouped(rows)));
    }
    if let Some(board) = &sink.leaderboard {
        for (place, one) in board.iter().take(PLACES).enumerate() {
            let spare = 3 + u8::try_from(place).unwrap_or(0);
            let lead = if place == 0 { "  " } else { " · " };
            let name = one.title.as_deref().unwrap_or(&one.member);
            row = row.spare(spare, Tone::Dim, format!("{lead}{} ", cut(name, TITLE_COLUMNS)));
            row = row.spare(spare, Tone::Plain, format!("{:.1}", one.score));
        }
    }
    let counts = [(sink.retries, "retries"), (sink.dead_letters, "dead letters")];
    let always = sink.rows.is_none() && sink.leaderboard.is_none();
    for (place, (count, what)) in counts.into_iter().filter(|(count, _)| always || *count > 0).enumerate() {
        let lead = if place == 0 { "  " } else { " · " };
        let tone = if count == 0 { Tone::Dim } else { Tone::Wait };
        row = row.spare(1, tone, format!("{lead}{} {what}", grouped(count)));
    }
    row
}

/// What is wrong with the station above, and the next step. Without a width: in one row.
fn problem_rows(indent: &str, problem: &Problem, is_down: bool, width: usize) -> Vec<Row> {
    let tone = if is_down { Tone::Bad } else { Tone::Wait };
    let code = problem.code.as_deref().map(|code| format!("{code} ")).unwrap_or_default();
    let row = || Row::new().with(Tone::Dim, indent);
    if width == 0 {
        return vec![row().with(tone, code).with(Tone::Plain, problem.message.clone())];
    }
    let room = width.saturating_sub(columns(indent) + columns(&code) + 1);
    let mut lines = wrapped(&problem.message, room, "").into_iter().take(PROBLEM_ROWS);
    let mut rows = vec![row().with(tone, code.clone()).with(Tone::Plain, lines.next().unwrap_or_default())];
    let under = " ".repeat(columns(&code));
    rows.extend(lines.map(|line| row().with(Tone::Plain, under.clone()).with(Tone::Plain, line)));
    // The state says already that it tries again.
    let hints = problem.hint.lines().take(if is_down { 2 } else { 1 });
    let steps = hints.flat_map(|hint| wrapped(hint, room, "").into_iter().enumerate());
    rows.extend(
        steps.map(|(place, line)| row().with(tone, if place == 0 { "→ " } else { "  " }).with(Tone::Plain, line)),
    );
    rows
}
