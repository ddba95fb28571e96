//! Children start, stop, die with us, and are recognised after a crash.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use super::*;

fn sleeper() -> Launch {
    Launch::new("sleep", ["60"])
}

#[tokio::test]
async fn a_dropped_process_is_gone_with_its_pid_file() {
    let data = tempfile::tempdir().unwrap();
    let folders = Folders::create(data.path()).unwrap();
    let process = Process::spawn("sleeper", sleeper(), &folders).await.unwrap();
    let identity = process.identity();
    assert!(identity.is_alive());
    assert!(folders.pid("sleeper").exists());
    drop(process);
    assert!(!identity.is_alive());
    assert!(!folders.pid("sleeper").exists());
}

#[tokio::test]
async fn one_that_ignores_the_stop_signal_is_killed_after_its_grace() {
    let data = tempfile::tempdir().unwrap();
    let folders = Folders::create(data.path()).unwrap();
    let mut launch = Launch::new("sh", ["-c", "trap '' TERM; echo deaf; sleep 60"]);
    launch.grace = Duration::from_millis(200);
    let process = Process::spawn("deaf", launch, &folders).await.unwrap();
    while process.log_tail(1) != "deaf" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    process.stop();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(describe_exit(process.status().unwrap()), "was killed by SIGKILL");
}

#[tokio::test]
async fn a_child_that_serves_until_its_input_closes_ends_by_itself() {
    let data = tempfile::tempdir().unwrap();
    let folders = Folders::create(data.path()).unwrap();
    let mut launch = Launch::new("sh", ["-c", "cat; echo closed; exit 7"]);
    launch.until_input_closes = true;
    let process = Process::spawn("reader", launch, &folders).await.unwrap();
    process.stop();
    assert_eq!(describe_exit(process.ended().await), "ended with exit code 7");
    assert_eq!(process.log_tail(5), "closed");
}

#[tokio::test]
async fn a_missing_program_says_what_to_run() {
    let data = tempfile::tempdir().unwrap();
    let folders = Folders::create(data.path()).unwrap();
    let launch = Launch::new("/nonexistent/redis-server", [""; 0]);
    let error = Process::spawn("redis", launch, &folders).await.unwrap_err();
    assert!(error.hint().contains("setup.sh"), "{error}");
}
