//! What the recordings of the REST API lack: offsets of sinks, patches, warnings.

use serde_json::{Value, json};
use thm_api::Registry;
use thm_connect::State;

use crate::fake_sink::{FakeSink, Target};
use crate::stage::{Stage, task_is, until};

/// A client of an API on a port of its own.
struct Api {
    client: reqwest::Client,
    base: String,
}

impl Api {
    async fn serve(herder: std::sync::Arc<thm_connect::Herder>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, thm_connect::rest::router(herder)).await });
        Self { client: reqwest::Client::builder().no_proxy().build().unwrap(), base }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }
}

fn offsets(offset: Value) -> Value {
    json!({"offsets": [{"partition": {"kafka_topic": "t", "kafka_partition": 0}, "offset": offset}]})
}

#[tokio::test]
async fn offsets_of_a_sink_are_read_moved_and_reset() {
    let (stage, target) = (Stage::new(), Target::new(10, false));
    stage.produce("t", &["a", "b", "c"]).await;
    let herder = stage.herder(Registry::default().with(FakeSink(target.clone()))).await;
    let api = Api::serve(herder.clone()).await;
    let config = json!({"connector.class": "FakeSink", "topics": "t", "url": "u"});
    let (status, _) = api.ask("PUT", "/connectors/s/config", Some(config)).await;
    assert_eq!(status, 201);
    until("committed", || stage.committed("connect-s", "t").is_some_and(|next| next.0 == 3)).await;
    let path = "/connectors/s/offsets";
    assert_eq!(api.ask("GET", path, None).await, (200, offsets(json!({"kafka_offset": 3}))));
    assert_eq!(api.ask("PATCH", path, Some(offsets(json!({"kafka_offset": 1})))).await.0, 400, "it runs");
    assert_eq!(api.ask("PUT", "/connectors/s/stop", None).await.0, 204);
    for bad in [json!({"offsets": [{"offset": null}]}), offsets(json!({"kafka_offset": -1})), offsets(json!({}))] {
        assert_eq!(api.ask("PATCH", path, Some(bad)).await.0, 400);
    }
    assert_eq!(api.ask("PATCH", path, Some(offsets(json!({"kafka_offset": "1"})))).await.0, 200);
    assert_eq!(api.ask("PUT", "/connectors/s/resume", None).await.0, 202);
    until("from there on again", || target.attempts().len() == 2).await;
    assert_eq!(target.attempts()[1].values, ["b", "c"]);
    assert_eq!(api.ask("PUT", "/connectors/s/stop", None).await.0, 204);
    assert_eq!(api.ask("DELETE", path, None).await.0, 200);
    assert_eq!(api.ask("GET", path, None).await, (200, json!({"offsets": []})));
    herder.stop().await;
}

#[tokio::test]
async fn a_patch_changes_and_removes_options() {
    let (stage, target) = (Stage::new(), Target::new(10, false));
    let herder = stage.herder(Registry::default().with(FakeSink(target))).await;
    let api = Api::serve(herder.clone()).await;
    let config = json!({"connector.class": "FakeSink", "topics": "t", "url": "u", "colour": "blue"});
    api.ask("POST", "/connectors", Some(json!({"name": "s", "config": config}))).await;
    task_is(&herder, "s", State::Running).await;
    let (status, info) = api.ask("PATCH", "/connectors/s/config", Some(json!({"url": "v", "colour": null}))).await;
    assert_eq!(status, 200);
    let config = json!({"connector.class": "FakeSink", "topics": "t", "url": "v", "name": "s"});
    assert_eq!(info["config"], config);
    assert_eq!(api.ask("GET", "/connectors/s/config", None).await, (200, config));
    herder.stop().await;
}

#[tokio::test]
async fn what_has_no_effect_is_named_by_validate_and_secrets_are_hidden() {
    let (stage, target) = (Stage::new(), Target::new(10, false));
    let herder = stage.herder(Registry::default().with(FakeSink(target))).await;
    let api = Api::serve(herder).await;
    let config = json!({
        "name": "s", "connector.class": "FakeSink", "topics": "t", "url": "u", "colour": "blue", "no.such.option": 1,
        "password": "hunter2", "tasks.max": "4", "upside.down": "true",
    });
    let (status, report) = api.ask("PUT", "/connector-plugins/FakeSink/config/validate", Some(config)).await;
    assert_eq!((status, &report["error_count"]), (200, &json!(1)));
    let warned: Vec<&str> =
        report["warnings"].as_array().unwrap().iter().map(|w| w["name"].as_str().unwrap()).collect();
    assert_eq!(warned, ["colour", "tasks.max", "no.such.option"]);
    assert!(!report.to_string().contains("hunter2"), "{report}");
    let wrong = report["configs"].as_array().unwrap().iter().find(|one| one["value"]["name"] == "upside.down").unwrap();
    assert!(wrong["value"]["errors"][0].as_str().unwrap().contains("not supported here"));
}

/// Every option that a configuration's transforms, predicates and converters have is listed, as Connect lists them; what
/// belongs to none is warned of.
#[tokio::test]
async fn options_of_transforms_predicates_and_converters_are_listed_by_validate() {
    let (stage, target) = (Stage::new(), Target::new(10, false));
    let herder = stage.herder(Registry::default().with(FakeSink(target))).await;
    let api = Api::serve(herder).await;
    let config = json!({
        "name": "s", "connector.class": "FakeSink", "topics": "t", "url": "u", "transforms": "mask,none",
        "transforms.mask.type": "org.apache.kafka.connect.transforms.MaskField$Value", "transforms.mask.fields": "a,b",
        "transforms.mask.predicate": "p", "transforms.mask.colour": "red", "transforms.other.type": "Filter",
        "predicates": "p", "predicates.p.type": "TopicNameMatches", "predicates.q.type": "RecordIsTombstone",
        "value.converter": "JsonConverter", "value.converter.schemas.enable": "maybe", "value.converter.colour": "red",
        "consumer.override.max.poll.records": "1", "consumer.override.group.id": "g",
    });
    let (status, report) = api.ask("PUT", "/connector-plugins/FakeSink/config/validate", Some(config)).await;
    assert_eq!(status, 200);
    let line = |name: &str| {
        let configs = report["configs"].as_array().unwrap();
        let mut found = configs.iter().filter(|one| one["value"]["name"] == name);
        let one = found.next().unwrap_or_else(|| panic!("{name} is not listed"));
        assert!(found.next().is_none(), "{name} is listed twice");
        let (of, value) = (&one["definition"], &one["value"]);
        assert_eq!(of["name"], name);
        let order = of["order_in_group"].to_string();
        let texts = [&of["type"], &of["default_value"], &of["importance"], &of["group"], &value["value"]];
        let texts = texts.map(|text| text.as_str().unwrap_or("-").to_owned()).join(" ");
        format!("{texts} {order} {}", value["errors"].as_array().unwrap().len())
    };
    let class = "org.apache.kafka.connect.transforms.MaskField$Value";
    assert_eq!(line("transforms.mask.type"), format!("CLASS - HIGH Transforms: mask {class} 0 0"));
    assert_eq!(line("transforms.mask.fields"), "LIST - HIGH Transforms: mask a,b 2 0");
    assert_eq!(line("transforms.mask.negate"), "BOOLEAN false MEDIUM Transforms: mask false 3 0");
    assert_eq!(line("transforms.mask.predicate"), "STRING - MEDIUM Transforms: mask p 4 0");
    assert_eq!(line("transforms.mask.replacement"), "STRING - LOW Transforms: mask - 6 0");
    assert_eq!(line("transforms.none.type"), "CLASS - HIGH Transforms: none - 0 1");
    assert_eq!(line("predicates.p.pattern"), "STRING - MEDIUM Predicates: p - 2 1");
    assert_eq!(line("value.converter.schemas.enable"), "BOOLEAN true HIGH Schemas maybe 0 1");
    assert_eq!(line("value.converter.decimal.format"), "STRING BASE64 LOW Serialization BASE64 0 0");
    assert_eq!(report["error_count"], 3, "{report}");
    let warned: Vec<&str> =
        report["warnings"].as_array().unwrap().iter().map(|w| w["name"].as_str().unwrap()).collect();
    let expected = [
        "transforms.mask.colour",
        "value.converter.colour",
        "transforms.other.type",
        "predicates.q.type",
        "consumer.override.max.poll.records",
    ];
    assert_eq!(warned, expected);
}
