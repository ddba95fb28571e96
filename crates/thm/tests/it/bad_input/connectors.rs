//! Connector configurations: files end the start, REST answers in Connect's error shape; the option is always named.

use serde_json::{Value, json};

use super::bare::{Bare, run_in, with};

pub fn clickhouse() -> Value {
    json!({"connector.class": "com.clickhouse.kafka.connect.ClickHouseSinkConnector", "topics": "thm.enriched.events",
           "topic2TableMap": "thm.enriched.events=enriched_events", "hostname": "127.0.0.1", "port": "1", "ssl": "false",
           "database": "thm", "username": "default", "password": ""})
}

pub fn http(url: &str) -> Value {
    json!({"connector.class": "io.aiven.kafka.connect.http.HttpSinkConnector", "topics": "thm.enriched.events",
           "http.url": url, "http.authorization.type": "none", "http.headers.content.type": "application/json"})
}

pub fn redis(uri: &str) -> Value {
    json!({"connector.class": "thamanya.connect.redis.LeaderboardSinkConnector", "topics": "thm.enriched.events",
           "redis.uri": uri})
}

pub fn postgres(port: u16, name: &str) -> Value {
    json!({"connector.class": "io.debezium.connector.postgresql.PostgresConnector", "database.hostname": "127.0.0.1",
           "database.port": port.to_string(), "database.user": "app", "database.password": "app",
           "database.dbname": "thm", "plugin.name": "pgoutput", "slot.name": format!("slot_{name}"),
           "publication.name": format!("pub_{name}"), "publication.autocreate.mode": "filtered",
           "topic.prefix": name, "table.include.list": "public.engagement_events"})
}

#[test]
fn a_wrong_file_ends_the_start_and_names_file_and_option() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thm.toml"), "connectors = [\"*.json\"]\nsql = []\ndata_dir = \"data\"\n")
        .unwrap();
    let file = |config: Value| json!({"name": "c", "config": config}).to_string();
    for (text, words) in [
        ("{\"name\": \"c\", \"config\": {".to_owned(), vec!["line 1 column 25", "Correct its JSON"]),
        ("[1]".to_owned(), vec!["Write a JSON object"]),
        (json!({"config": clickhouse()}).to_string(), vec!["Give the connector a \"name\""]),
        (json!({"name": "c", "config": {"a": [1]}}).to_string(), vec!["\"a\""]),
        (file(json!({"topics": "t"})), vec!["connector.class"]),
        (file(json!({"connector.class": "com.acme.Nope"})), vec!["com.acme.Nope", "ClickHouseSinkConnector"]),
        (file(with(&clickhouse(), json!({"hostname": null}))), vec!["hostname"]),
        (file(with(&clickhouse(), json!({"port": "many"}))), vec!["port", "many"]),
        (file(with(&clickhouse(), json!({"password": "${env:THM_TEST_UNSET}"}))), vec!["THM_TEST_UNSET"]),
        (file(with(&clickhouse(), json!({"errors.tolerance": "some"}))), vec!["errors.tolerance", "none, all"]),
        (file(with(&postgres(1, "a"), json!({"topic.prefix": null}))), vec!["topic.prefix"]),
        (file(with(&postgres(1, "a"), json!({"snapshot.mode": "custom"}))), vec!["snapshot.mode"]),
        (file(http("no url")), vec!["http.url"]),
        (file(redis("http://x")), vec!["redis.uri"]),
    ] {
        std::fs::write(folder.path().join("c.json"), &text).unwrap();
        let (code, printed) = run_in(folder.path());
        assert_eq!(code, 2, "{text}: {printed}");
        assert!(printed.contains("THM-CFG-001") && printed.contains("help:"), "{text}: {printed}");
        assert!(words.iter().all(|word| printed.contains(word)), "{words:?}: {printed}");
        assert!(!folder.path().join("data").exists(), "nothing was started: {printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_rest_the_option_is_named_in_connects_error_shape() {
    let bare = Bare::start(&[]).await;
    for (config, words) in [
        (json!({"connector.class": "com.acme.Nope"}), vec!["com.acme.Nope", "available connectors are"]),
        (json!({"topics": "t"}), vec!["contains no connector type"]),
        (with(&clickhouse(), json!({"hostname": null})), vec!["1 error(s)", "\"hostname\" which has no default value"]),
        (with(&clickhouse(), json!({"topics": null})), vec!["topics or topics.regex"]),
        (with(&clickhouse(), json!({"port": "many"})), vec!["Invalid value many for configuration port"]),
        (with(&clickhouse(), json!({"ssl": "yes"})), vec!["ssl"]),
        (with(&clickhouse(), json!({"topic2TableMap": "foo"})), vec!["\"topic2TableMap\""]),
        (with(&clickhouse(), json!({"errors.tolerance": "some"})), vec!["configuration errors.tolerance", "none, all"]),
        (with(&http("http://x/"), json!({"errors.tolerance": "some"})), vec!["configuration errors.tolerance"]),
        (with(&redis("redis://x"), json!({"errors.tolerance": "some"})), vec!["configuration errors.tolerance"]),
        (http("no url"), vec!["configuration http.url"]),
        (redis("http://x"), vec!["configuration redis.uri", "redis://[user:password@]host:port/db"]),
        (with(&clickhouse(), json!({"password": "${env:THM_TEST_UNSET}"})), vec!["password", "THM_TEST_UNSET"]),
        (with(&postgres(1, "a"), json!({"plugin.name": "wal2json"})), vec!["configuration plugin.name"]),
        (with(&postgres(1, "a"), json!({"snapshot.mode": "sometimes"})), vec!["configuration snapshot.mode"]),
    ] {
        let message = bare.refused(&config).await;
        assert!(words.iter().all(|word| message.contains(word)), "{words:?}: {message}");
    }

    bare.create("c", &clickhouse()).await;
    let (status, body) = bare.post("c", &clickhouse()).await;
    assert_eq!((status, body["message"].as_str()), (409, Some("Connector c already exists")));
    let (status, body) = bare.ask("GET", "/connectors/nobody/status", None).await.unwrap();
    assert_eq!((status, &body["error_code"]), (404, &json!(404)));
    let bad = with(&clickhouse(), json!({"name": "c", "port": "many"}));
    let (status, body) = bare.ask("PUT", "/connectors/c/config", Some(bad)).await.unwrap();
    assert!(status == 400 && body["message"].as_str().unwrap().contains("port"), "{body}");
    let kept = bare.ask("GET", "/connectors/c/config", None).await.unwrap().1;
    assert_eq!(kept["port"], "1", "a refused change changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_option_is_told_by_validate_and_in_the_log() {
    let bare = Bare::start(&[]).await;
    let config = with(&clickhouse(), json!({"name": "c", "hostnam": "x"}));
    let path = "/connector-plugins/ClickHouseSinkConnector/config/validate";
    let (status, body) = bare.ask("PUT", path, Some(config.clone())).await.unwrap();
    assert_eq!((status, &body["error_count"]), (200, &json!(0)));
    assert!(body["warnings"].to_string().contains("hostnam is no option"), "{}", body["warnings"]);
    bare.create("c", &config).await;
    let log = std::fs::read_to_string(bare.folder.path().join("run.log")).unwrap();
    assert!(log.contains("hostnam is no option"), "{log}");
}
