//! `kill -9` of a process whose file layer keeps unsynced bytes of one partition to itself.
//!
//! The parent starts this test binary again as the writer, lets it append to two partitions and say what is
//! durable, kills it, and looks for everything that was said.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::tempdir;
use thm_api::{Log, TopicPartition};
use thm_log::storage::FAILPOINT_VARIABLE;

use super::support::*;

const FOLDER_VARIABLE: &str = "THM_TEST_LOG_WRITER";

struct Writer(Child);

impl Drop for Writer {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test of its own: the process that is killed. Without its variable it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writer_process() {
    let Ok(dir) = std::env::var(FOLDER_VARIABLE) else { return };
    let log = open(Path::new(&dir)).unwrap();
    let (left, right) = (topic(&log, "left").await, topic(&log, "right").await);
    let mut next = high_watermark(&log, &right).0 as u32;
    loop {
        // As the source does: a position is acknowledged when all its partitions are durable.
        let of_left = log.append(&left, sourced(next, 1)).await.unwrap();
        let of_right = log.append(&right, sourced(next, 1)).await.unwrap();
        of_left.durable.await.unwrap();
        of_right.durable.await.unwrap();
        acknowledge(next);
        next += 1;
    }
}

fn acknowledge(key: u32) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nacknowledged {key}").unwrap();
    out.flush().unwrap();
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    let dir = tempdir().unwrap();
    let mut expected = 0;
    for round in 0..4 {
        let mut writer = Command::new(std::env::current_exe().unwrap());
        writer.args(["--exact", "log::kill::writer_process", "--nocapture"]);
        writer.env(FOLDER_VARIABLE, dir.path()).env(FAILPOINT_VARIABLE, "log.drop-unsynced:right-0");
        let mut writer = Writer(writer.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let lines = BufReader::new(writer.0.stdout.take().unwrap()).lines();
        let mut acknowledged =
            lines.filter_map(|line| line.unwrap().strip_prefix("acknowledged ")?.parse::<u32>().ok());
        let last = acknowledged.nth(20 + 13 * round).expect("the writer runs until it is killed");
        drop(writer);
        expected = expected.max(last + 1);

        let log = open(dir.path()).unwrap();
        for name in ["left", "right"] {
            let partition = TopicPartition::new(name, 0);
            let found = all_keys(&log, &partition).await;
            assert!(found.len() as u32 >= expected, "{name}: {expected} were acknowledged, {} are left", found.len());
            let reached = log.progress(&partition, "source:a").unwrap().unwrap();
            assert_eq!(reached.position.ordinal, u64::from(found.last().unwrap() + 1), "progress is of another moment");
        }
    }
}
