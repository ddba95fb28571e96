//! One short seed of the random fault test, and what it says about a mechanism that is switched off.

use std::process::Command;

use crate::stack::{program, project};

/// Runs `thm faults`; its output, which a failure shows.
fn faults(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(program());
    command.arg("faults").args(arguments).arg("--project").arg(project());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

#[test]
fn a_random_short_seed_passes() {
    let seed = std::env::var("THM_SEED").unwrap_or_else(|_| rand::random_range(1..1_000_000).to_string());
    let (passed, text) = faults(&["--short", "--seed", &seed]);
    assert!(passed && text.trim_end().ends_with("1 passed, 0 failed"), "{text}");
}
