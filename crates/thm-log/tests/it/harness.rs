//! A broker on free ports, and the clients as child processes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, OnceLock};

use tempfile::TempDir;
use thm_api::Log;
use thm_log::group::{GroupConfig, GroupCoordinator};
use thm_log::kafka::{Broker, Limits, Listener, ListenerConfig};
use thm_log::{EmbeddedLog, LogConfig};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// The Python clients, as their users have them.
const PYTHON_PACKAGES: &[&str] =
    &["kafka-python==3.0.12", "confluent-kafka==2.16.1", "python-snappy==0.7.3", "lz4==4.4.5", "zstandard==0.25.0"];

/// Two listeners on one broker, as in the original stack; stops with its drop.
pub struct Server {
    runtime: Runtime,
    stop: CancellationToken,
    addresses: Vec<SocketAddr>,
    pub broker: Arc<Broker>,
}

impl Server {
    /// Starts on the log and groups in `folder`.
    pub fn start(folder: &Path) -> Self {
        let log: Arc<dyn Log> = Arc::new(EmbeddedLog::open(LogConfig::new(folder.join("log"))).unwrap());
        let groups = Arc::new(GroupCoordinator::open(GroupConfig::new(folder.join("state/groups"))).unwrap());
        let broker = Broker::new(log, groups, true, Limits::default());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let stop = CancellationToken::new();
        let listeners = [(); 2].map(|()| {
            let config = ListenerConfig {
                addr: ([127, 0, 0, 1], 0).into(),
                advertised_host: "localhost".to_owned(),
                advertised_port: 0,
            };
            runtime.block_on(Listener::bind(config, Arc::clone(&broker))).unwrap()
        });
        let addresses = listeners.iter().map(Listener::local_addr).collect();
        for listener in listeners {
            runtime.spawn(listener.run(stop.clone()));
        }
        Self { runtime, stop, addresses, broker }
    }

    /// A server on a fresh folder.
    pub fn fresh() -> (Self, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Self::start(folder.path()), folder)
    }

    /// `host:port` of one of the two listeners.
    pub fn bootstrap(&self, listener: usize) -> String {
        self.addresses[listener].to_string()
    }

    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Runs a command to its end, with `input` as its standard input.
pub fn run(program: impl AsRef<Path>, arguments: &[&str], input: &str) -> Output {
    let program = program.as_ref();
    let mut child = Command::new("timeout")
        .arg("60")
        .arg(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Standard output of a command that must succeed.
pub fn output(program: impl AsRef<Path>, arguments: &[&str], input: &str) -> String {
    let done = run(&program, arguments, input);
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{} {arguments:?}: {}\n{out}\n{err}", program.as_ref().display(), done.status);
    out.into_owned()
}

pub fn kcat(server: &Server, arguments: &[&str], input: &str) -> String {
    let bootstrap = server.bootstrap(0);
    output("kcat", &[&["-b", &bootstrap][..], arguments].concat(), input)
}

/// Runs one of the scripts in `clients/` against the server.
pub fn python(server: &Server, script: &str, arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients").join(script);
    let bootstrap = server.bootstrap(1);
    output(interpreter(), &[&[script.to_str().unwrap(), &bootstrap][..], arguments].concat(), "")
}

/// The interpreter that has the clients; installs them at first use.
fn interpreter() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kafka-clients");
        let (python, marker) = (folder.join("bin/python"), folder.join("installed"));
        let wanted = PYTHON_PACKAGES.join("\n");
        if std::fs::read_to_string(&marker).ok().as_deref() != Some(&wanted) {
            install(&folder, &python);
            std::fs::write(&marker, wanted).unwrap();
        }
        python
    })
}

fn install(folder: &Path, python: &Path) {
    let checked = |command: &mut Command| {
        let done = command.output().unwrap();
        assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    checked(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder));
    checked(Command::new(python).args(["-m", "pip", "install", "--quiet"]).args(PYTHON_PACKAGES));
}
