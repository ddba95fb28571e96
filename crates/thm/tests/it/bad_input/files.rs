//! Configuration, ports and data folder: what ends the process before it has begun, with whom or what to blame.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::json;

use super::bare::{Bare, run_in, said};
use crate::stack::program;

#[test]
fn a_configuration_that_is_wrong_names_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("thm.toml");
    let (code, text) = run_in(folder.path());
    assert!(code == 2 && text.contains("THM-CFG-001") && text.contains("thm.toml"), "{text}");
    for (config, word) in [
        ("[server]\nconect_port = 1\n", "conect_port"),
        ("[server]\nconnect_port = \"a\"\n", "server.connect_port"),
        ("[server]\nbind = \"localhost\"\n", "server.bind"),
        ("[server]\nkafka = [{ port = 1, advertise = \"x\" }]\n", "server.kafka.advertise"),
        ("[memory]\nbudget_mib = 1\n", "memory.budget_mib"),
        ("[server\n", "line 1, column 8"),
    ] {
        std::fs::write(&file, config).unwrap();
        let (code, text) = run_in(folder.path());
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("THM-CFG-001") && text.contains(word) && text.contains("help:"), "{word}: {text}");
    }
    std::fs::write(&file, "").unwrap();
    let mut command = Command::new(program());
    let output = command.args(["run", "--config"]).arg(&file).env("THM_SERVER__CONECT_PORT", "1").output().unwrap();
    assert!(said(&output).contains("conect_port"), "{}", said(&output));
}

#[test]
fn a_taken_port_names_its_owner() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let kafka = format!("kafka = [{{ port = {port}, advertise = \"localhost:{port}\" }}]");
    for (key, line) in [
        ("server.connect_port", format!("connect_port = {port}\nflink_port = 0\nkafka = []")),
        ("server.flink_port", format!("connect_port = 0\nflink_port = {port}\nkafka = []")),
        ("server.kafka.port", format!("connect_port = 0\nflink_port = 0\n{kafka}")),
    ] {
        let config = format!("connectors = []\nsql = []\n[server]\n{line}\n");
        std::fs::write(folder.path().join("thm.toml"), config).unwrap();
        let (code, text) = run_in(folder.path());
        assert_eq!(code, 3, "{text}");
        let owner = format!("{key} 127.0.0.1:{port}, held by pid {}", std::process::id());
        assert!(text.contains("THM-DEV-001") && text.contains(&owner), "{key}: {text}");
    }
}

#[test]
fn the_local_stack_names_the_owner_of_a_taken_port_and_starts_nothing() {
    // If somebody else has the port, that one is named.
    let _held = TcpListener::bind("127.0.0.1:19092");
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program());
    command.args(["dev", "--project"]).arg(crate::stack::project()).arg("--data").arg(folder.path());
    let output = command.output().unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("THM-DEV-001 port is taken") && text.contains("held by"), "{text}");
    assert!(text.contains("--ports auto"), "{text}");
    assert!(!folder.path().join("postgres").exists(), "nothing was started");
}

#[test]
fn the_local_stack_ends_with_the_engines_own_words_and_code() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir(folder.path().join("engine")).unwrap();
    std::fs::write(folder.path().join("engine/format-version"), "99\n").unwrap();
    let mut command = Command::new(program());
    command.args(["dev", "--ports", "auto", "--no-generator", "--project"]).arg(crate::stack::project());
    let output = command.arg("--data").arg(folder.path()).output().unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("THM-CFG-002") && text.contains("it has format 99"), "{text}");
    assert!(!text.contains("Connection refused"), "no second, misleading reason: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_of_another_process_version_or_kind() {
    let folder = tempfile::tempdir().unwrap();
    let config = |data: &str| {
        let text = format!(
            "connectors = []\nsql = []\ndata_dir = {}\n[server]\nconnect_port = 0\nflink_port = 0\nkafka = []\n",
            json!(data)
        );
        std::fs::write(folder.path().join("thm.toml"), text).unwrap();
    };
    let bare = Bare::start(&[]).await;
    let theirs = bare.folder.path().join("thm-data");
    config(&theirs.display().to_string());
    let (code, text) = run_in(folder.path());
    assert_eq!(code, 4, "{text}");
    let blamed = format!("{}: it is in use by process {}", theirs.display(), bare.pid());
    assert!(text.contains("THM-CFG-002") && text.contains(&blamed), "{text}");
    drop(bare);

    let old = folder.path().join("old");
    std::fs::create_dir(&old).unwrap();
    std::fs::write(old.join("format-version"), "99\n").unwrap();
    config("old");
    let (code, text) = run_in(folder.path());
    assert!(code == 4 && text.contains("THM-CFG-002") && text.contains("it has format 99"), "{text}");
    assert!(text.contains("Use the build that wrote this folder"), "{text}");

    std::fs::write(folder.path().join("file"), "").unwrap();
    config("file");
    let (code, text) = run_in(folder.path());
    assert!(code == 4 && text.contains("THM-CFG-002") && text.contains("file"), "{text}");
}

/// The log may lie on the very disk that is full: what cannot be written there ends neither the engine nor a request.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_ends_nothing() {
    let bare = Bare::logging_to(File::options().write(true).open("/dev/full").unwrap()).await;
    let config = json!({
        "connector.class": "io.aiven.kafka.connect.http.HttpSinkConnector", "topics": "t", "tasks.max": "1",
        "http.url": "http://127.0.0.1:1/", "http.authorization.type": "none",
    });
    bare.create("nobody", &config).await;
    bare.produce("t", "k", "{}");
    bare.task("nobody", "RUNNING", &["THM-SNK-001"]).await;
    bare.produce("t", "k", "{}");
    assert_eq!(bare.consume("t").lines().count(), 2);
}

/// `thm topic list | head` and the like.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_has_seen_enough_ends_a_command_quietly() {
    let bare = Bare::start(&[]).await;
    bare.produce_lines("t", &"k\tv\n".repeat(20_000));
    let mut child = bare.topic(&["consume", "t"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Whatever is not read yet does not fit into the pipe.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), ""));
}

/// What Connect takes without a word: a misspelt option, and a name that two files have.
#[test]
fn a_check_of_connector_files_names_what_would_be_overlooked() {
    let folder = tempfile::tempdir().unwrap();
    let check = || {
        let mut command = Command::new(program());
        said(&command.args(["run", "--check", "--config"]).arg(folder.path().join("thm.toml")).output().unwrap())
    };
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write("thm.toml", "connectors = [\"*.json\"]\nsql = [\"a.sql\"]\n".to_owned());
    // Some editors begin a file with a mark.
    write("a.sql", "\u{feff}SET 'pipeline.name' = 'a';\n".to_owned());
    let config = json!({
        "connector.class": "io.aiven.kafka.connect.http.HttpSinkConnector", "topics": "t", "http.authorization.type": "none",
        "http.url": "http://127.0.0.1:1/", "htpp.timeout": "5",
    });
    write("one.json", format!("\u{feff}{}", json!({"name": "api", "config": config})));
    let text = check();
    assert!(text.contains("one.json: htpp.timeout is no option of"), "{text}");
    assert!(text.contains("did you mean http.timeout?") && text.contains("1 connectors are in order"), "{text}");
    write("two.json", json!({"name": "api", "config": config}).to_string());
    let text = check();
    assert!(["THM-CFG-001", "api in", "two.json", "one.json"].iter().all(|word| text.contains(word)), "{text}");
}
