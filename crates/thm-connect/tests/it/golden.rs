//! Exchanges recorded from a real Connect 4.2 worker, played at ours.
//!
//! Each scenario begins with an empty herder. An answer must have the recorded status, content type, location and
//! body, versions, ids and the text after an error's first line aside; what is known to differ is listed by its
//! place with the reason, and must go on differing: a difference that is gone leaves the list.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use thm_api::Registry;

use crate::golden_stand_ins::{FileSink, FileSource, Heartbeat};
use crate::stage::Stage;

/// Where the recordings kept their files.
const RECORDED_FOLDER: &str = "/tmp/connect-rest";

/// Scenario, numbers of the exchanges from 0, and why they differ.
const KNOWN_DIFFERENT: &[(&str, &[usize], &str)] = &[
    (
        "create-invalid-config",
        &[11, 12],
        "Java's own classes are no converters here; plugin versions have no effect: warned of",
    ),
    ("create-sink", &[1, 2, 4], "one task does all the work, whatever tasks.max says"),
    ("lifecycle", &[22], "a rebalance of the recorded worker; there is none here"),
    ("loggers", &[1, 3, 19], "Java's loggers"),
    (
        "offsets-source",
        &[1, 7, 8, 9, 10, 11, 12, 13, 14, 16, 21, 22, 23, 24],
        "a source's offsets are not moved by REST",
    ),
    ("plugins", &[0, 1, 2, 3, 8], "other classes are installed"),
    ("plugins", &[9, 10, 11, 12, 13, 14, 15, 17], "converters, transforms and predicates are no plugins here"),
    ("several", &[3, 4, 6], "the recording has connectors left of another scenario"),
    ("validate", &[5], "transforms are refused"),
    ("validate", &[11], "an exception's class in the middle of the message"),
    ("wrong-paths", &[6], "other classes are installed"),
    ("wrong-paths", &[31], "order of the allowed methods"),
];

struct Player {
    client: reqwest::Client,
    address: String,
    folder: String,
    stage: Stage,
}

#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    content_type: Option<String>,
    location: Option<String>,
    body: Value,
}

impl Answer {
    fn heads(&self) -> (u16, Option<&str>, Option<&str>) {
        (self.status, self.content_type.as_deref(), self.location.as_deref())
    }
}

impl Player {
    async fn new(folder: &Path) -> Self {
        let stage = Stage::new();
        let registry = Registry::default().with(FileSource).with(FileSink).with(Heartbeat);
        let herder = stage.herder(registry).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, thm_connect::rest::router(herder)).await });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { client, address, folder: folder.display().to_string(), stage }
    }

    async fn ask(&self, request: &Value) -> Answer {
        let method = reqwest::Method::from_bytes(request["method"].as_str().unwrap().as_bytes()).unwrap();
        let url = format!("http://{}{}", self.address, request["path"].as_str().unwrap());
        let mut asked = self.client.request(method, url);
        for (name, value) in request["headers"].as_object().unwrap() {
            asked = asked.header(name, value.as_str().unwrap());
        }
        let body = match (request.get("body"), request.get("text")) {
            (Some(body), _) => body.to_string(),
            (None, Some(text)) => text.as_str().unwrap().to_owned(),
            (None, None) => String::new(),
        };
        if !body.is_empty() {
            asked = asked.body(body.replace(RECORDED_FOLDER, &self.folder));
        }
        let answer = asked.send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, content_type, location) = (answer.status().as_u16(), header("content-type"), header("location"));
        let text = answer.text().await.unwrap().replace(&self.folder, RECORDED_FOLDER);
        let text = text.replace(thm_connect::VERSION, "4.2.0");
        let location = location.map(|text| text.replace(&self.address, "127.0.0.1:8083"));
        Answer { status, content_type, location, body: normalised(serde_json::from_str(&text).unwrap_or(text.into())) }
    }

    async fn wait(&self, path: &str, until: &str) {
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            let url = format!("http://{}{path}", self.address);
            if self.client.get(url).send().await.unwrap().text().await.unwrap().contains(until) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn recorded(response: &Value) -> Answer {
    let header = |name: &str| response["headers"].get(name).and_then(Value::as_str).map(str::to_owned);
    let body = response.get("body").or_else(|| response.get("text")).cloned().unwrap_or_else(|| "".into());
    Answer {
        status: u16::try_from(response["status"].as_u64().unwrap()).unwrap(),
        content_type: header("Content-Type"),
        location: header("Location"),
        body: normalised(body),
    }
}

/// What must be the same.
fn normalised(body: Value) -> Value {
    match body {
        // Maps are unordered in Java: so are lists of names made from them.
        Value::Array(mut items) => {
            items.retain(|item| !is_left_out(item));
            if items.iter().all(|item| item.is_string() || item.get("class").is_some()) {
                items.sort_by_key(Value::to_string);
            }
            items.into_iter().map(normalised).collect()
        }
        Value::Object(fields) => {
            let normal = fields.into_iter().map(|(name, value)| {
                let value = match (name.as_str(), value) {
                    ("version" | "commit" | "kafka_cluster_id" | "documentation", Value::String(_)) => "…".into(),
                    ("trace", Value::String(_)) => "…".into(),
                    ("last_modified", Value::Number(_)) => "…".into(),
                    ("message", Value::String(text)) => first_line(&text).into(),
                    ("recommended_values", Value::Array(_)) => Value::Array(Vec::new()),
                    (_, value) => normalised(value),
                };
                (name, value)
            });
            let sorted: BTreeMap<String, Value> = normal.collect();
            sorted.into_iter().collect()
        }
        Value::String(page) if page.starts_with("<html>") => {
            page.lines().find(|line| line.starts_with("<title>")).unwrap_or_default().into()
        }
        other => other,
    }
}

/// Our own option, which Connect has not, and options of converters, which we do not list.
fn is_left_out(item: &Value) -> bool {
    let name = item.get("name").or_else(|| item.pointer("/definition/name")).and_then(Value::as_str);
    name.is_some_and(|name| name.starts_with("thm.") || name.contains(".converter.converter."))
}

/// An error's first line: what follows is Java's. The list of the invalid options is ours too.
fn first_line(message: &str) -> String {
    let whole = message.starts_with("Connector configuration is invalid");
    let line = if whole { message } else { message.lines().next().unwrap_or_default() };
    let line = line.split(", available connectors are:").next().unwrap_or_default();
    line.split(" (start marker at").next().unwrap_or_default().to_owned()
}

/// Where two bodies differ.
fn differences(path: &str, want: &Value, have: &Value, found: &mut Vec<String>) {
    match (want, have) {
        (Value::Object(want), Value::Object(have)) => {
            let names: std::collections::BTreeSet<&String> = want.keys().chain(have.keys()).collect();
            for name in names {
                let (want, have) = (want.get(name), have.get(name));
                differences(
                    &format!("{path}.{name}"),
                    want.unwrap_or(&Value::Null),
                    have.unwrap_or(&Value::Null),
                    found,
                );
            }
        }
        (Value::Array(want), Value::Array(have)) if want.len() == have.len() => {
            for (at, (want, have)) in want.iter().zip(have).enumerate() {
                differences(&format!("{path}[{at}]"), want, have, found);
            }
        }
        (want, have) if want != have => found.push(format!("{path}: want {want} have {have}")),
        _ => {}
    }
}

/// Plays one scenario; gives how many exchanges were the same and how many differ as listed.
async fn play(name: &str, text: &str) -> (usize, usize, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let player = Player::new(folder.path()).await;
    let scenario: Value = serde_json::from_str(text).unwrap();
    let (mut same, mut known, mut failures, mut number) = (0, 0, Vec::new(), 0);
    for step in scenario["steps"].as_array().unwrap() {
        if let Some(wait) = step.get("wait") {
            player.wait(wait["path"].as_str().unwrap(), wait["until"].as_str().unwrap()).await;
        } else if let Some(file) = step.get("file") {
            let path = file["path"].as_str().unwrap().replace(RECORDED_FOLDER, &player.folder);
            std::fs::write(path, file["content"].as_str().unwrap()).unwrap();
        } else if let Some(kafka) = step.get("kafka") {
            let values: Vec<&str> = kafka["values"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
            player.stage.produce(kafka["topic"].as_str().unwrap(), &values).await;
        } else if let Some(request) = step.get("request") {
            let (want, have) = (recorded(&step["response"]), player.ask(request).await);
            let listed = KNOWN_DIFFERENT.iter().any(|(of, at, _)| *of == name && at.contains(&number));
            match (want == have, listed) {
                (true, false) => same += 1,
                (false, true) => known += 1,
                (true, true) => failures.push(format!("{name} {number} is the same now: take it off the list")),
                (false, false) => {
                    let (method, path) = (&request["method"], &request["path"]);
                    let mut at = Vec::new();
                    differences("", &want.body, &have.body, &mut at);
                    let heads = format!("{:?} {:?}", want.heads(), have.heads());
                    failures.push(format!("{name} {number} {method} {path}\n  {heads}\n  {}", at.join("\n  ")));
                }
            }
            number += 1;
        }
    }
    (same, known, failures)
}

#[tokio::test]
async fn recorded_exchanges_are_answered_as_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let plays = files.iter().map(|path| async move {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        (name.to_owned(), play(name, &text).await)
    });
    let (mut same, mut known, mut failures) = (0, 0, Vec::new());
    for (name, (same_here, known_here, failed)) in futures::future::join_all(plays).await {
        println!("{name}: {same_here} the same, {known_here} known to differ, {} failed", failed.len());
        same += same_here;
        known += known_here;
        failures.extend(failed);
    }
    println!("in all: {same} the same, {known} known to differ");
    let shown: Vec<String> = failures.iter().map(|failure| failure.chars().take(900).collect()).collect();
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), shown.join("\n"));
}
