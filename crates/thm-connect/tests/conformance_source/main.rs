//! Recorded cases of the real Debezium, replayed through our source, worker and log, and compared record by record.
//!
//! ```text
//!   conformance_source [--postgres BIN] [--lanes N] [--only TEXT] [--through-transforms] FOLDER…
//! ```
//! A folder holds cases, or is one. Without folders the cases of this tree are replayed, as `cargo test` does. Prints a
//! line per case; the last line is `N passed, N failed, N deviated, N skipped`. Each lane has a server of its own, for
//! cases use the same names of database and slot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod case;
mod compare;
mod deviations;
mod json;
mod normalise;
mod postgres;
mod recorder;
mod replay;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use case::Case;
use compare::{Verdict, verdict};
use postgres::Postgres;
use replay::{Replay, Way};

/// What the command line says.
struct Arguments {
    programs: PathBuf,
    lanes: usize,
    only: Option<String>,
    /// All cases go through transforms that leave records alone; else those do that show most forms of values.
    through_transforms: bool,
    folders: Vec<PathBuf>,
}

fn arguments() -> Arguments {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance_source");
    let mut found =
        Arguments { programs: PathBuf::new(), lanes: 3, only: None, through_transforms: false, folders: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--postgres" => found.programs = words.next().expect("--postgres BIN").into(),
            "--lanes" => found.lanes = words.next().and_then(|n| n.parse().ok()).expect("--lanes N"),
            "--only" => found.only = words.next(),
            "--through-transforms" => found.through_transforms = true,
            // What the test harness of Rust understands is of no use here.
            flag if flag.starts_with('-') => {}
            folder => found.folders.push(folder.into()),
        }
    }
    if found.programs.as_os_str().is_empty() {
        found.programs = postgres::system_programs();
    }
    if found.folders.is_empty() {
        found.folders = vec![here.join("debezium"), here.join("debezium-2.7.3")];
    }
    found
}

fn cases(arguments: &Arguments) -> VecDeque<Case> {
    let mut found = Vec::new();
    for folder in &arguments.folders {
        match Case::read(folder) {
            Some(case) => found.push(case),
            None => {
                let entries = folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
                let mut folders: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
                folders.sort();
                found.extend(folders.iter().filter_map(|folder| Case::read(folder)));
            }
        }
    }
    found.retain(|case| arguments.only.as_ref().is_none_or(|only| case.name.contains(only.as_str())));
    found.into()
}

/// Passed, failed, deviated, skipped.
#[derive(Default)]
struct Tally([usize; 4]);

fn main() -> ExitCode {
    let arguments = arguments();
    if std::env::var_os("RUST_LOG").is_some() {
        tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    }
    documented();
    let queue = Arc::new(Mutex::new(cases(&arguments)));
    let tally = Arc::new(Mutex::new(Tally::default()));
    let replica = Arc::new(Postgres::start(&arguments.programs, "replica"));
    replica.fresh_database().expect("a fresh server takes a database");
    let lanes: Vec<_> = (0..arguments.lanes.max(1))
        .map(|_| {
            let (queue, tally, replica) = (queue.clone(), tally.clone(), replica.clone());
            let (programs, all) = (arguments.programs.clone(), arguments.through_transforms);
            std::thread::spawn(move || lane(&programs, &queue, &tally, (replica.port, all)))
        })
        .collect();
    let sound = lanes.into_iter().all(|lane| lane.join().is_ok());
    let Tally([passed, failed, deviated, skipped]) = *tally.lock().unwrap();
    println!("{passed} passed, {failed} failed, {deviated} deviated, {skipped} skipped");
    if failed == 0 && sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every deviation has its entry in the documentation.
fn documented() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compatibility.md");
    let text = std::fs::read_to_string(page).unwrap();
    for name in deviations::ALL {
        assert!(text.contains(&format!("`{name}`")), "docs/compatibility.md does not name the deviation {name}");
    }
}

fn lane(programs: &Path, queue: &Mutex<VecDeque<Case>>, tally: &Mutex<Tally>, (replica_port, all): (u16, bool)) {
    let postgres = Postgres::start(programs, "logical");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    loop {
        let Some(case) = queue.lock().unwrap().pop_front() else { return };
        let since = Instant::now();
        let name = if case.older { format!("{} (2.7)", case.name) } else { case.name.clone() };
        let (place, said) = match (case.is_skipped(), ()) {
            (true, ()) => (3, "skipped: asks for a snapshot by signal".to_owned()),
            _ => match runtime.block_on(run(&case, &postgres, replica_port, all)) {
                Verdict::Passed => (0, "passed".to_owned()),
                Verdict::Failed(why) => (1, format!("FAILED: {why}")),
                Verdict::Deviated(names) => {
                    (2, format!("deviated: {}", names.into_iter().collect::<Vec<_>>().join(", ")))
                }
            },
        };
        tally.lock().unwrap().0[place] += 1;
        println!("{name}: {said} ({:.1} s)", since.elapsed().as_secs_f64());
    }
}

/// Cases whose records must come through transforms that leave them alone as they come without any.
const THROUGH_TRANSFORMS: [&str; 10] = [
    "heartbeat",
    "key-change",
    "live-key-headers",
    "live-key-headers-connect",
    "message",
    "tx-metadata",
    "types-defaults",
    "types-float",
    "types-geometry",
    "types-hstore-json",
];

/// The case as it is, and with schemas where they were recorded; some, or all, through transforms too.
async fn run(case: &Case, postgres: &Postgres, replica_port: u16, all_through: bool) -> Verdict {
    let mut all = std::collections::BTreeSet::new();
    let with_schemas = case.records("schema.jsonl").or(case.records("schema.raw.jsonl")).is_some();
    let through = !case.older && THROUGH_TRANSFORMS.contains(&case.name.as_str());
    let ways = [(false, all_through), (true, all_through), (with_schemas, true)].into_iter().enumerate();
    for (number, (schemas, through_transforms)) in ways {
        if (number == 1 && !with_schemas) || (number == 2 && (all_through || !through)) {
            continue;
        }
        let way = Way { schemas, through_transforms };
        let outcome = match Replay::run(case, postgres, replica_port, way).await {
            Ok(outcome) => outcome,
            Err(problem) => return Verdict::Failed(problem),
        };
        match verdict(case, &outcome, schemas) {
            Verdict::Passed => {}
            Verdict::Deviated(names) => all.extend(names),
            failed @ Verdict::Failed(_) => return failed,
        }
    }
    if all.is_empty() { Verdict::Passed } else { Verdict::Deviated(all) }
}
