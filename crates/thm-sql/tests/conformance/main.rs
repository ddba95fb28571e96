//! What the real Flink answered, statement by statement, against what we answer.
//!
//! ```text
//!   folder/*.jsonl ─▶ case: setup, sql, config ─▶ answer or error ─▶ passed | failed | skipped, by topic and function
//! ```
//! Any folder of the form of `tests/golden/flink-sql` or `flink-formats` can be run: `make conformance-sql CASES=DIR`. Skipped is only
//! what part two of Flink SQL brings (state: aggregates, windows, joins of streams, top-N, sorting), and only if we do
//! not answer it rightly already; whatever else we lack has failed. The last line is the sum, the exit code says
//! whether anything failed.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod deviations;
mod formats;
mod outcome;
mod part_two;
mod templates;
mod topics;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use outcome::Outcome;
use serde_json::Value;

/// What the command line asks for.
struct Options {
    /// Folders of cases: ours, or the one that was named.
    folders: Vec<PathBuf>,
    /// Statements and topics that hold this are shown with what was expected and what came; `all`, or `FAILED`.
    verbose: Option<String>,
    /// A file of templates whose statements are printed instead of anything being run.
    expand: Option<PathBuf>,
    /// A folder whose statements a real Flink is asked first.
    live: Option<PathBuf>,
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
    if let Some(file) = &options.expand {
        templates::print(file);
        return ExitCode::SUCCESS;
    }
    if let Some(folder) = &options.live {
        return live(folder, options.verbose.as_deref().unwrap_or("FAILED"));
    }
    let mut topics: BTreeMap<String, Sum> = BTreeMap::new();
    let mut functions: BTreeMap<String, Sum> = BTreeMap::new();
    let mut skips: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut total = Sum::default();
    for file in options.folders.iter().flat_map(|folder| files(folder)) {
        let topic = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let data = file.with_file_name("data").display().to_string();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let case: Value = serde_json::from_str(&line.replace("{data}", &data))
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
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
    ExitCode::from(u8::from(total.failed > 0))
}

/// Asks a real Flink the statements of a folder, then runs what it answered as cases.
fn live(folder: &Path, verbose: &str) -> ExitCode {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/live/run.sh");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("flink-live");
    let own = std::env::current_exe().unwrap();
    let status = Command::new(script).args([&own, folder, &out]).env("VERBOSE", verbose).status().unwrap();
    ExitCode::from(u8::from(!status.success()))
}

fn options() -> Options {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut options = Options {
        folders: ["flink-sql", "flink-formats", "flink-live", "flink-files", "flink-live-topics"]
            .map(|name| golden.join(name))
            .to_vec(),
        verbose: None,
        expand: None,
        live: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--cases" => {
                options.folders = vec![PathBuf::from(words.next().unwrap_or_default())];
            }
            "--live" => options.live = words.next().map(PathBuf::from),
            "--expand" => options.expand = words.next().map(PathBuf::from),
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
    let failed = filter == "FAILED" && matches!(outcome, Outcome::Failed(_));
    if topic != filter && !sql.contains(filter.as_str()) && filter != "all" && !failed {
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
