//! What the real Flink answered, statement by statement, against what we answer.
//!
//! ```text
//!   folder/*.jsonl ─▶ case: setup, sql, config ─▶ answer or error ─▶ passed | failed | skipped, by topic and function
//! ```
//! Any folder of the form of `tests/golden/flink-sql` can be run: `make conformance-sql CASES=DIR`. Skipped is only
//! what part two of Flink SQL brings (state: aggregates, windows, joins of streams, top-N, sorting), and only if we do
//! not answer it rightly already; whatever else we lack has failed. The last line is the sum, the exit code says
//! whether anything failed.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod deviations;
mod formats;
mod outcome;
mod part_two;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use outcome::Outcome;
use serde_json::Value;

/// Topics in which nothing may fail any more.
const COMPLETE: &[&str] = &[
    "cast",
    "cast_string",
    "cast_to_string",
    "collection",
    "conditional",
    "decimal",
    "decimal_nullable",
    "integer",
    "json",
    "math",
    "runtime_expressions",
    "string",
    "time",
    "try_cast",
];

/// What the command line asks for.
struct Options {
    /// Whether a folder was named.
    given: bool,
    folder: PathBuf,
    /// Statements and topics that hold this are shown with what was expected and what came.
    verbose: Option<String>,
}

/// Sums of a topic or function.
#[derive(Default)]
struct Sum {
    passed: usize,
    failed: usize,
    skipped: usize,
    deviates: usize,
    worded: usize,
    errors: usize,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Deviates(_) => {
                self.passed += 1;
                self.deviates += 1;
            }
            Outcome::Refused { worded } => {
                self.passed += 1;
                self.errors += 1;
                self.worded += usize::from(*worded);
            }
            Outcome::Failed(_) => self.failed += 1,
            Outcome::Skipped(_) => self.skipped += 1,
        }
    }
}

fn main() -> ExitCode {
    let options = options();
    let mut topics: BTreeMap<String, Sum> = BTreeMap::new();
    let mut functions: BTreeMap<String, Sum> = BTreeMap::new();
    let mut skips: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut total = Sum::default();
    for file in files(&options.folder) {
        let topic = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let case: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let outcome = outcome::of(&case);
            let sql = case["sql"].as_str().unwrap_or_default();
            let shown = case["name"].as_str().map_or_else(|| sql.to_owned(), |name| format!("{name}: {sql}"));
            show(&options, &topic, &shown, &case, &outcome);
            topics.entry(topic.clone()).or_default().add(&outcome);
            functions.entry(part_two::function_of(sql)).or_default().add(&outcome);
            total.add(&outcome);
            if let Outcome::Skipped(part) = outcome {
                *skips.entry(part).or_default() += 1;
            }
        }
    }
    report("function", functions.iter().filter(|(_, sum)| sum.failed > 0 || options.verbose.is_some()));
    report("topic", topics.iter());
    println!("\nskipped, part two: {skips:?}");
    println!(
        "of the passed, {} are named deviations; of {} errors {} have Flink's words",
        total.deviates, total.errors, total.worded
    );
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
    // Without a folder it is a test of ours: topics that were complete stay so.
    let failed = match options.given {
        true => total.failed,
        false => topics.iter().filter(|(name, _)| COMPLETE.contains(&name.as_str())).map(|(_, sum)| sum.failed).sum(),
    };
    ExitCode::from(u8::from(failed > 0))
}

fn options() -> Options {
    let mut options = Options {
        given: false,
        folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/flink-sql"),
        verbose: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--cases" => {
                options.given = true;
                options.folder = PathBuf::from(words.next().unwrap_or_default());
            }
            "--verbose" => options.verbose = Some(words.next().unwrap_or_default()),
            // The test runner's own options, such as a filter, mean nothing here.
            _ => {}
        }
    }
    options
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    files
}

fn show(options: &Options, topic: &str, sql: &str, case: &Value, outcome: &Outcome) {
    let Some(filter) = &options.verbose else { return };
    if topic != filter && !sql.contains(filter.as_str()) && filter != "all" {
        return;
    }
    let (what, why) = match outcome {
        Outcome::Failed(why) => ("FAILED", why.as_str()),
        Outcome::Skipped(why) => ("skipped", *why),
        Outcome::Deviates(why) => ("deviates", *why),
        Outcome::Refused { worded: false } => ("other words", ""),
        _ => return,
    };
    let wanted = match case.get("error") {
        Some(error) => {
            format!("error {}", error["root"].as_str().unwrap_or_default().lines().next().unwrap_or_default())
        }
        None => format!("{} {}", case["schema"], case["rows"]),
    };
    println!("{what} [{topic}] {sql}\n    flink {wanted}\n    ours  {why}");
}

fn report<'a>(what: &str, sums: impl Iterator<Item = (&'a String, &'a Sum)>) {
    println!("\n{what:<28} passed failed skipped");
    for (name, sum) in sums {
        println!("{name:<28} {:>6} {:>6} {:>7}", sum.passed, sum.failed, sum.skipped);
    }
}
