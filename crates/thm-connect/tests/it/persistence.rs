//! What of connectors survives the herder, and which of file and REST wins.

use thm_api::Registry;
use thm_connect::{Herder, InitialState, State, parse_connector};

use crate::fake_sink::{FakeSink, Target};
use crate::stage::{Stage, config, task_is, until};

fn registry() -> Registry {
    Registry::default().with(FakeSink(Target::new(1, false)))
}

fn file(folder: &tempfile::TempDir, text: &str) -> std::path::PathBuf {
    let path = folder.path().join("connector.json");
    std::fs::write(&path, text).unwrap();
    path
}

const FLAT: &str = r#"{"name":"f","connector.class":"test.FakeSinkConnector","topics":"t","url":"file","tasks.max":3}"#;
const NESTED: &str = r#"{"name":"f","config":{"connector.class":"test.FakeSinkConnector","topics":"t","url":"file"}}"#;

fn url(herder: &Herder, name: &str) -> Option<String> {
    herder.info(name).unwrap().config.get("url").cloned().flatten()
}

#[tokio::test]
async fn rest_wins_over_files_and_survives_with_its_target_state() {
    let (stage, folder) = (Stage::new(), tempfile::tempdir().unwrap());
    let herder = stage.herder(registry()).await;
    assert_eq!(herder.load_file(&file(&folder, FLAT)).await.unwrap(), "f");
    task_is(&herder, "f", State::Running).await;
    herder.pause("f").await.unwrap();
    let rest = config(&[("connector.class", "FakeSink"), ("topics", "t"), ("url", "rest")]);
    herder.create("r", rest, InitialState::Stopped).await.unwrap();
    herder.stop().await;

    let herder = Herder::new(stage.options(registry())).unwrap();
    herder.load_file(&file(&folder, NESTED)).await.unwrap();
    herder.start().await;
    assert_eq!(herder.names(), ["f", "r"]);
    assert_eq!(herder.state("f").unwrap().0, State::Paused, "paused by REST, configured by its file");
    assert_eq!(herder.state("r").unwrap().0, State::Stopped);
    let changed = config(&[("connector.class", "FakeSink"), ("topics", "t"), ("url", "changed")]);
    let (is_new, _) = herder.put_config("f", changed).await.unwrap();
    assert!(!is_new);
    herder.stop().await;

    let herder = Herder::new(stage.options(registry())).unwrap();
    herder.load_file(&file(&folder, FLAT)).await.unwrap();
    assert_eq!(url(&herder, "f").as_deref(), Some("changed"));
    herder.delete("f").await.unwrap();
    herder.load_file(&file(&folder, FLAT)).await.unwrap();
    assert_eq!(url(&herder, "f").as_deref(), Some("file"), "deleted, the file counts again");
}

#[tokio::test]
async fn secrets_reach_the_task_and_nothing_that_prints() {
    let (stage, folder) = (Stage::new(), tempfile::tempdir().unwrap());
    let secrets = folder.path().join("secrets.properties");
    std::fs::write(&secrets, "pw=hunter2\n").unwrap();
    let variable = format!("${{file:{}:pw}}", secrets.display());
    let herder = stage.herder(registry()).await;
    let given = config(&[("connector.class", "FakeSink"), ("topics", "t"), ("url", "u"), ("password", &variable)]);
    herder.create("s", given, InitialState::Running).await.unwrap();
    task_is(&herder, "s", State::Running).await;
    let printed = format!("{:?} {:?} {:?}", herder.info("s"), herder.snapshot(), herder.status("s"));
    assert!(printed.contains("${file:") && !printed.contains("hunter2"), "{printed}");
    let missing =
        config(&[("connector.class", "FakeSink"), ("topics", "t"), ("url", "u"), ("password", "${env:THM_NOT_SET}")]);
    let refusal = herder.create("m", missing, InitialState::Running).await.unwrap_err();
    assert_eq!(refusal.status, 400);
    assert!(refusal.message.contains("password") && refusal.message.contains("THM_NOT_SET"), "{}", refusal.message);
    herder.stop().await;
}

#[tokio::test]
async fn what_we_lack_is_refused_or_warned_of() {
    let stage = Stage::new();
    let herder = stage.herder(registry()).await;
    let with = |more: &[(&str, &str)]| {
        let mut all = config(&[("connector.class", "FakeSink"), ("topics", "t"), ("url", "u")]);
        all.extend(config(more));
        all
    };
    for (option, value) in [("upside.down", "true"), ("transforms", "a"), ("topics", ""), ("url", "bad")] {
        let refusal = herder.create("s", with(&[(option, value)]), InitialState::Running).await.unwrap_err();
        assert_eq!(refusal.status, 400);
        assert!(refusal.message.contains(option), "{}", refusal.message);
    }
    herder.create("s", with(&[("upside.down", "false"), ("colour", "blue")]), InitialState::Running).await.unwrap();
    until("running", || herder.state("s").unwrap().1 == Some(State::Running)).await;
    herder.stop().await;
}

#[test]
fn both_shapes_of_a_file_are_read() {
    let path = std::path::Path::new("x.json");
    let (name, flat) = parse_connector(FLAT, path).unwrap();
    assert_eq!((name.as_str(), flat["tasks.max"].as_deref()), ("f", Some("3")));
    let (name, nested) = parse_connector(NESTED, path).unwrap();
    assert_eq!((name.as_str(), nested.contains_key("name")), ("f", false));
    for bad in ["{", "[]", r#"{"config":{}}"#, r#"{"name":"f","config":{"a":{}}}"#] {
        assert!(parse_connector(bad, path).is_err(), "{bad}");
    }
}
