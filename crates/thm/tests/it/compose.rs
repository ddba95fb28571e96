//! The package: what `docker-compose.yml` starts of ours, run as processes, and what it says of the rest.
//!
//! No Docker engine is needed. Commands, environment, mounted files and health checks are taken from the file itself;
//! only addresses and folders are those of the test.

mod file;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use thm_dev::process::free_ports;

use self::file::{Compose, Service};
use crate::stack::{Options, Stack, program, project};

/// A service of the file as a process; ends with the test.
struct Container {
    name: &'static str,
    service: Service,
    swaps: Vec<(String, String)>,
    child: Child,
}

impl Container {
    /// Starts the service's command with its environment, addresses and folders swapped.
    fn start(compose: &Compose, name: &'static str, swaps: &[(String, String)]) -> Self {
        let service = compose.service(name);
        let mut command = run(&service, &service.command, swaps);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { name, service, swaps: swaps.to_vec(), child }
    }

    /// Runs its health check until it says yes, as Docker does.
    async fn until_healthy(&self) {
        let [first, rest @ ..] = self.service.healthcheck.as_slice() else {
            panic!("{} has no health check", self.name)
        };
        assert_eq!(first, "CMD", "without a shell: the image needs none");
        let [program, arguments @ ..] = rest else { panic!("an empty health check") };
        assert_eq!(program, "thm", "by our own binary");
        let started = Instant::now();
        loop {
            let output = run(&self.service, arguments, &self.swaps).output().unwrap();
            if output.status.success() {
                return;
            }
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(started.elapsed() < Duration::from_secs(60), "{} does not get healthy: {said}", self.name);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The image's entry point with these arguments and the service's environment.
fn run(service: &Service, arguments: &[String], swaps: &[(String, String)]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments.iter().map(|argument| swapped(argument, swaps)));
    command.envs(service.environment.iter().map(|(name, value)| (name, swapped(value, swaps))));
    command
}

fn swapped(text: &str, swaps: &[(String, String)]) -> String {
    swaps.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Puts what the image holds and what is mounted where the containers would see it.
fn mount(compose: &Compose, root: &Path, swaps: &[(String, String)]) {
    let inside = |path: &str| PathBuf::from(swapped(path, swaps));
    let config = std::fs::read_to_string(project().join("docker/thm.toml")).unwrap();
    let target = inside("/etc/thm/thm.toml");
    std::fs::create_dir_all(target.parent().unwrap()).unwrap();
    let hosts: String = ["postgres:5432", "redis:6379", "clickhouse:8123", "external-api:8088"]
        .map(|name| format!("\"{name}\" = \"{}\"\n", swapped(name, swaps)))
        .concat();
    std::fs::write(&target, format!("{}\n[hosts]\n{hosts}", swapped(&config, swaps))).unwrap();
    for (from, to) in compose.service("thm").mounts() {
        let copied = Command::new("cp").arg("-r").arg(project().join(from)).arg(inside(to)).status().unwrap();
        assert!(copied.success(), "{from} -> {to}");
    }
    assert!(root.join("etc/thm/flink/sql/01_enrich.sql").is_file() && root.join("etc/thm/connectors").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn our_services_run_as_the_file_says_and_get_healthy() {
    let compose = Compose::load();
    let stack = Stack::services(Options::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let [api, connect, flink, inner, outer] = free_ports().unwrap();
    let local = |port: u16| format!("127.0.0.1:{port}");
    let clickhouse = stack.clickhouse.port();
    let swap = |from: &str, to: String| (from.to_owned(), to);
    // Longer names first, where one begins like another.
    let swaps = [
        swap("/var/lib/thm-api", root.join("api").display().to_string()),
        swap("/var/lib/thm", root.join("thm").display().to_string()),
        swap("/etc/thm", root.join("etc/thm").display().to_string()),
        swap("postgres:5432", local(stack.postgres.port())),
        swap("redis:6379", local(stack.redis.port())),
        swap("clickhouse:8123", local(clickhouse)),
        swap("external-api:8088", local(api)),
        swap("0.0.0.0", "127.0.0.1".to_owned()),
        swap("19092", outer.to_string()),
        swap("9092", inner.to_string()),
        swap("8083", connect.to_string()),
        swap("8081", flink.to_string()),
        swap("8088", api.to_string()),
    ];
    std::fs::create_dir_all(root.join("api")).unwrap();
    mount(&compose, root, &swaps);

    let external_api = Container::start(&compose, "external-api", &swaps);
    external_api.until_healthy().await;
    let engine = Container::start(&compose, "thm", &swaps);
    engine.until_healthy().await;
    let _generator = Container::start(&compose, "generator", &swaps);

    // `docker compose exec thm thm verify`
    let verify = ["verify".to_owned(), "--timeout".to_owned(), "60".to_owned()];
    let output = run(&engine.service, &verify, &swaps).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    // A service that is gone is not healthy.
    drop(external_api);
    let check = &compose.service("external-api").healthcheck[2..];
    let output = run(&compose.service("external-api"), check, &swaps).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_file_keeps_names_pins_images_and_publishes_on_loopback_only() {
    let compose = Compose::load();
    let names = compose.names();
    for file in ["connectors", "flink/sql", "airflow/dags", "docker"] {
        for (path, host) in file::hosts_in(&project().join(file)) {
            assert!(names.contains(&host), "{} names {host}, which is no service and no alias", path.display());
        }
    }
    for name in ["redpanda", "connect", "flink-jm", "postgres", "redis", "clickhouse", "external-api"] {
        assert!(names.contains(name), "{name}");
    }
    for (name, service) in &compose.services {
        let tag = service.image.rsplit_once(':').map(|(_, tag)| tag);
        assert!(tag.is_some_and(|tag| tag.starts_with(|c: char| c.is_ascii_digit())), "{name}: {}", service.image);
        for port in &service.ports {
            assert!(port.starts_with("127.0.0.1:"), "{name} publishes {port}");
        }
    }
}

#[test]
fn the_image_starts_and_checks_like_the_services() {
    let text = std::fs::read_to_string(project().join("Dockerfile")).unwrap();
    let last = text.rsplit("\nFROM ").next().unwrap();
    for part in [
        "USER thm",
        "ENTRYPOINT [\"thm\"]",
        "CMD [\"run\"]",
        "CMD [\"thm\", \"health\"]",
        "THM_CONFIG=/etc/thm/thm.toml",
    ] {
        assert!(last.contains(part), "the Dockerfile's last stage lacks {part}");
    }
    for copied in text.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--from"))
    {
        let from = copied.split(' ').next().unwrap();
        assert!(project().join(from).exists(), "COPY {copied}");
    }
}
