//! An engine alone: no service, no connector and no job that the test did not ask for.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thm_dev::process::free_ports;

use crate::stack::program;

/// How long something that must happen by itself may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// `thm run` on free ports, killed when dropped.
pub struct Bare {
    child: Child,
    client: reqwest::Client,
    pub connect_port: u16,
    pub flink_port: u16,
    pub kafka_port: u16,
    pub folder: tempfile::TempDir,
}

impl Bare {
    /// Starts it with these files beside its `thm.toml`, `*.json` being connectors and `*.sql` jobs.
    pub async fn start(files: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("run.log")).unwrap();
        Self::start_in(folder, files, log).await
    }

    /// The same, with its log going elsewhere.
    pub async fn logging_to(log: File) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), &[], log).await
    }

    async fn start_in(folder: tempfile::TempDir, files: &[(&str, String)], log: File) -> Self {
        let [connect_port, flink_port, kafka_port] = free_ports().unwrap();
        let named = |ending: &str| {
            let names = files.iter().map(|(name, _)| *name).filter(|name| name.ends_with(ending));
            json!(names.collect::<Vec<_>>()).to_string()
        };
        let config = format!(
            "connectors = {}\nsql = {}\n[server]\nconnect_port = {connect_port}\nflink_port = {flink_port}\n\
             kafka = [{{ port = {kafka_port}, advertise = \"127.0.0.1:{kafka_port}\" }}]\nauto_create_on_produce = true\n",
            named(".json"),
            named(".sql"),
        );
        std::fs::write(folder.path().join("thm.toml"), config).unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut command = Command::new(program());
        command.args(["run", "--config"]).arg(folder.path().join("thm.toml"));
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let bare = Self { child, client: reqwest::Client::new(), connect_port, flink_port, kafka_port, folder };
        bare.until("the engine serves", async || bare.ask("GET", "/", None).await.map(|_| ()).ok_or(String::new()))
            .await;
        bare
    }

    /// The engine's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// One request to the Connect API: status and body; `None` if it does not answer.
    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Option<(u16, Value)> {
        let url = format!("http://127.0.0.1:{}{path}", self.connect_port);
        let mut request = self.client.request(method.parse().unwrap(), url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.unwrap_or(Value::Null)))
    }

    /// Creates a connector that must be accepted.
    pub async fn create(&self, name: &str, config: &Value) {
        let (status, body) = self.post(name, config).await;
        assert_eq!(status, 201, "{name}: {body}");
    }

    /// Asks for a connector.
    pub async fn post(&self, name: &str, config: &Value) -> (u16, Value) {
        self.ask("POST", "/connectors", Some(json!({"name": name, "config": config}))).await.unwrap()
    }

    /// Creates a connector that must be refused with 400; returns Connect's message.
    pub async fn refused(&self, config: &Value) -> String {
        let (status, body) = self.post("refused", config).await;
        assert_eq!((status, &body["error_code"]), (400, &json!(400)), "{body}");
        assert_eq!(self.ask("GET", "/connectors/refused", None).await.unwrap().0, 404, "nothing was created");
        body["message"].as_str().unwrap().to_owned()
    }

    /// Waits until the task is in a state, with a trace that holds all these; returns the trace.
    pub async fn task(&self, name: &str, state: &str, trace: &[&str]) -> String {
        let path = format!("/connectors/{name}/status");
        self.until(&format!("{name} is {state} with {trace:?}"), async || {
            let status = self.ask("GET", &path, None).await.map(|(_, body)| body).unwrap_or_default();
            let task = &status["tasks"][0];
            let found = task["trace"].as_str().unwrap_or_default();
            let holds = task["state"] == state && trace.iter().all(|part| found.contains(part));
            if holds { Ok(found.to_owned()) } else { Err(status.to_string()) }
        })
        .await
    }

    /// Waits until the task runs and nothing troubles it.
    pub async fn is_well(&self, name: &str) {
        let path = format!("/connectors/{name}/status");
        self.until(&format!("{name} runs"), async || {
            let status = self.ask("GET", &path, None).await.map(|(_, body)| body).unwrap_or_default();
            let task = &status["tasks"][0];
            if task["state"] == "RUNNING" && task["trace"].is_null() { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }

    /// Waits until something holds; says what was there instead if it never does.
    pub async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
        let started = Instant::now();
        loop {
            match look().await {
                Ok(found) => return found,
                Err(seen) if started.elapsed() > PATIENCE => {
                    let log = std::fs::read_to_string(self.folder.path().join("run.log")).unwrap_or_default();
                    panic!("{what} did not happen; there is: {seen}\n{log}");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Writes one record over the Kafka protocol, as anybody may.
    pub fn produce(&self, topic: &str, key: &str, value: &str) {
        self.produce_lines(topic, &format!("{key}\t{value}\n"));
    }

    /// Writes records as one batch, a line each, key and value separated by a tabulator.
    pub fn produce_lines(&self, topic: &str, lines: &str) {
        let file = self.folder.path().join("record");
        std::fs::write(&file, lines).unwrap();
        let input = File::open(&file).unwrap();
        let output = self.topic(&["produce", topic, "--key-separator", "\t"]).stdin(input).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }

    /// Everything in a topic, with headers.
    pub fn consume(&self, topic: &str) -> String {
        said(&self.topic(&["consume", topic, "--long"]).output().unwrap())
    }

    /// Runs the binary against this engine.
    pub fn thm(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program());
        command.args(arguments);
        command.env("THM_CONNECT", format!("127.0.0.1:{}", self.connect_port));
        command.env("THM_BOOTSTRAP", format!("127.0.0.1:{}", self.kafka_port)).output().unwrap()
    }

    /// The same; it must work, and print JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.thm(&[arguments, &["--output", "json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    /// The same; it must fail with this exit code and these words.
    pub fn refuses(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let output = self.thm(arguments);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(words.iter().all(|word| text.contains(word)), "{arguments:?} lacks one of {words:?}: {text}");
    }

    /// `thm topic` against this engine.
    pub fn topic(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("topic").args(arguments).args(["--bootstrap", &format!("127.0.0.1:{}", self.kafka_port)]);
        command
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All that a command printed.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// `thm run` with a configuration that must end it: exit code, all it printed.
pub fn run_in(folder: &Path) -> (i32, String) {
    let mut command = Command::new(program());
    let output = command.args(["run", "--config"]).arg(folder.join("thm.toml")).output().unwrap();
    (output.status.code().unwrap_or(-1), said(&output))
}

/// `options` over `base`; null takes one away.
pub fn with(base: &Value, options: Value) -> Value {
    let mut all = base.as_object().unwrap().clone();
    for (option, value) in options.as_object().unwrap() {
        match value {
            Value::Null => drop(all.remove(option)),
            value => drop(all.insert(option.clone(), value.clone())),
        }
    }
    Value::Object(all)
}
