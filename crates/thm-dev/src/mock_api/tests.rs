//! What the mock API answers, counts and writes down, also when told to fail.
#![allow(clippy::unwrap_used)]

use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::*;

async fn post(api: &MockApi, key: Option<&str>, body: &str) -> Response {
    let mut request = Client::new().post(format!("{}/events", api.url())).body(body.to_owned());
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn takes_an_object_an_array_and_ndjson() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.jsonl");
    let api = MockApi::start(0, &file).await.unwrap();
    for (key, body) in [("a", r#"{"id":1}"#), ("b", r#"[{"id":2},{"id":3}]"#), ("c", "{\"id\":4}\n{\"x\":null}\n")] {
        let answer: Value = post(&api, Some(key), body).await.error_for_status().unwrap().json().await.unwrap();
        assert_eq!(answer, json!({"ok": true, "received": true}));
    }
    let ids: Vec<Value> = read_ledger(&file).unwrap().into_iter().flat_map(|entry| entry.ids).collect();
    assert_eq!(ids, [json!(1), json!(2), json!(3), json!(4), Value::Null]);
    let sums: Vec<u64> = read_ledger(&file).unwrap().into_iter().flat_map(|entry| entry.sums).collect();
    let texts = [r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#, r#"{"id":4}"#, r#"{"x":null}"#];
    assert_eq!(sums, texts.map(|text| checksum(text.as_bytes())));
    assert_eq!(api.counts(), Counts { requests: 3, events: 5, ..Counts::default() });
}

#[tokio::test]
async fn what_is_not_json_is_refused_and_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.jsonl");
    let api = MockApi::start(0, &file).await.unwrap();
    for body in ["", "id=1", "{\"id\":1}\n{\"id\":", "[1,"] {
        let response = post(&api, None, body).await;
        assert_eq!(response.status(), 400, "{body}");
        assert!(response.json::<Value>().await.unwrap()["error"].is_string());
    }
    assert_eq!(read_ledger(&file).unwrap(), []);
    assert_eq!(api.counts().malformed, 4);
}

#[tokio::test]
async fn repeated_keys_are_counted_over_restarts_and_a_torn_line_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.jsonl");
    drop({
        let api = MockApi::start(0, &file).await.unwrap();
        post(&api, Some("k"), r#"{"id":1}"#).await;
        api
    });
    let torn = std::fs::read_to_string(&file).unwrap() + r#"{"key":"torn","i"#;
    std::fs::write(&file, torn).unwrap();
    let api = MockApi::start(0, &file).await.unwrap();
    post(&api, Some("k"), r#"{"id":1}"#).await;
    post(&api, Some("torn"), r#"{"id":2}"#).await;
    assert_eq!(api.counts(), Counts { requests: 3, events: 3, repeated_keys: 1, ..Counts::default() });
    assert_eq!(read_ledger(&file).unwrap().len(), 3);
}

#[tokio::test]
async fn misbehaves_as_told() {
    let folder = tempfile::tempdir().unwrap();
    let api = MockApi::start(0, &folder.path().join("events.jsonl")).await.unwrap();
    let control = format!("{}/control", api.url());
    let plan = r#"{"fail":{"status":503,"count":1,"retry_after_s":2}}"#;
    Client::new().post(&control).body(plan).send().await.unwrap().error_for_status().unwrap();
    let refused = post(&api, Some("k"), r#"{"id":1}"#).await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "2"));
    assert_eq!(post(&api, Some("k"), r#"{"id":1}"#).await.status(), 200);
    assert_eq!(api.counts(), Counts { requests: 1, events: 1, faults: 1, ..Counts::default() });

    let unknown = Client::new().post(&control).body(r#"{"explode":true}"#).send().await.unwrap();
    assert_eq!(unknown.status(), 400);
}

#[tokio::test]
async fn an_answer_may_say_no_though_the_event_was_taken() {
    let folder = tempfile::tempdir().unwrap();
    let api = MockApi::start(0, &folder.path().join("events.jsonl")).await.unwrap();
    let fail = FailPlan { status: 500, count: Some(1), retry_after_s: None, received: true };
    api.set_faults(Faults { fail: Some(fail), ..Faults::default() });
    assert_eq!(post(&api, Some("k"), r#"{"id":1}"#).await.status(), 500);
    assert_eq!(post(&api, Some("k"), r#"{"id":1}"#).await.status(), 200);
    assert_eq!(api.counts(), Counts { requests: 2, events: 2, repeated_keys: 1, faults: 1, ..Counts::default() });
}
