//! After the faults: everything is mended, the sinks catch up, and `thm verify` says what it finds.

use std::fmt;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::fault::tell_api;
use super::proxy::Weather;
use super::rest::Rest;
use super::stack::{Part, Stack};
use crate::console::Console;

/// How long the sinks may take to pass the barrier, in seconds: a reset late in a run means reading all of it again.
const CATCH_UP_S: &str = "180";
/// Differences that are shown.
const SHOWN: &str = "12";
/// Lines of the engine's log that are shown beside a difference.
const SHOWN_LOG_LINES: usize = 15;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// One line each.
    differences: Vec<String>,
    /// How many there are, shown or not.
    count: u64,
    events: u64,
    api_events: u64,
    api_repeats: u64,
}

impl Verdict {
    pub(super) fn is_clean(&self) -> bool {
        self.count == 0
    }

    fn add(&mut self, difference: String) {
        self.count += 1;
        self.differences.push(difference);
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, api_events, api_repeats, count, .. } = self;
        write!(out, "{events} events, {api_events} over HTTP and {api_repeats} repeats, ")?;
        match (count, self.differences.first()) {
            (0, _) | (_, None) => write!(out, "zero differences"),
            (1, Some(only)) => write!(out, "1 difference: {only}"),
            (more, Some(first)) => write!(out, "{more} differences, the first: {first}"),
        }
    }
}

/// Mends everything and compares.
pub(super) async fn judge(stack: &Stack, rest: &Rest, may_repeat: bool, console: &Console) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    for part in Part::ALL {
        stack.thaw(part);
        if let Some(how) = stack.ended(part) {
            verdict.add(format!("{} {how} though nobody killed it", part.name()));
            stack.kill(part);
            stack.bring_back(part).await?;
        }
        if let Some(proxy) = stack.proxy(part) {
            proxy.set(Weather::Fair);
        }
    }
    tell_api(stack, &json!({})).await?;
    match verify(stack).await {
        Ok(report) => take(&mut verdict, &report),
        Err(error) => verdict.add(format!("verify: {error:#}")),
    }
    for failed in rest.failed().await? {
        verdict.add(failed);
    }
    if !may_repeat && verdict.api_repeats > 0 {
        verdict.add(format!("HTTP: {} deliveries were repeated, and nothing called for it", verdict.api_repeats));
    }
    for difference in &verdict.differences {
        console.fact("difference", difference);
    }
    if !verdict.is_clean() {
        let file = stack.engine_log_file();
        console.fact("engine", &format!("{}\n{}", file.display(), stack.engine_log(SHOWN_LOG_LINES)));
    }
    console.fact("verdict", &verdict.to_string());
    Ok(verdict)
}

/// Runs `thm verify` from the same binary as the engine; its report.
async fn verify(stack: &Stack) -> Result<Value> {
    let mut command = tokio::process::Command::new(&stack.program);
    command.args(["verify", "--output", "json", "--timeout", CATCH_UP_S, "--show", SHOWN, "--config"]);
    command.arg(&stack.config).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.context("running verify")?;
    let report = serde_json::from_slice(&output.stdout);
    report.or_else(|_| bail!("{}", String::from_utf8_lossy(&output.stderr).trim()))
}

fn take(verdict: &mut Verdict, report: &Value) {
    let number = |name: &str| report[name].as_u64().unwrap_or(0);
    verdict.events = number("events");
    verdict.api_events = number("api_events");
    verdict.api_repeats = number("api_repeats");
    verdict.count += number("differences");
    for one in report["shown"].as_array().into_iter().flatten() {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        verdict.differences.push(format!("{} {}: {}", text("sink"), text("key"), text("what")));
    }
}
