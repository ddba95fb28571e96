//! The REST APIs and pages that users and scripts ask.

use serde_json::json;

use crate::stack::Stack;

#[tokio::test(flavor = "multi_thread")]
async fn the_checklist_and_every_link_of_the_page() {
    let stack = Stack::start().await;
    stack.assert_verified();
    let jobs = stack.get(stack.flink_port, "/jobs").await.unwrap();
    let id = jobs["jobs"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(jobs["jobs"][0]["status"], "RUNNING");
    for path in ["", "/plan", "/checkpoints", "/exceptions", "/config", "/status", "/checkpoints/config"] {
        assert!(stack.get(stack.flink_port, &format!("/jobs/{id}{path}")).await.is_some(), "{path}");
    }
    let overview = stack.get(stack.flink_port, "/overview").await.unwrap();
    assert_eq!((&overview["jobs-running"], &overview["jobs-failed"]), (&json!(1), &json!(0)));

    let status = stack.get(stack.connect_port, "/connectors/pg.engagement.source/status").await.unwrap();
    assert_eq!((&status["connector"]["state"], &status["tasks"][0]["state"]), (&json!("RUNNING"), &json!("RUNNING")));

    let page = reqwest::get(format!("http://127.0.0.1:{}/", stack.flink_port)).await.unwrap().text().await.unwrap();
    let links = page.split("href=\"/").skip(1).filter_map(|rest| rest.split('"').next());
    for link in links.filter(|link| *link != "connectors") {
        // The page's script fills in the code of an error.
        let link = link.replace("${escape(error.code)}", "THM-SNK-001");
        let answer = reqwest::get(format!("http://127.0.0.1:{}/{link}", stack.flink_port)).await.unwrap();
        assert!(answer.status().is_success(), "dead link /{link}");
    }
    let metrics = reqwest::get(format!("http://127.0.0.1:{}/metrics", stack.flink_port)).await.unwrap();
    assert!(metrics.text().await.unwrap().contains("thm_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_sink_waits_and_catches_up_while_others_go_on() {
    let stack = Stack::start().await;
    stack.assert_verified();
    let client = reqwest::Client::new();
    let url = |action: &str| format!("http://127.0.0.1:{}/connectors/http.enriched.sink/{action}", stack.connect_port);
    assert_eq!(client.put(url("pause")).send().await.unwrap().status(), 202);
    let load = stack.generate(300);
    let rows = async || stack.clickhouse.query("SELECT count() FROM thm.enriched_events").await.unwrap();
    stack.eventually("ClickHouse goes on", async || rows().await.trim().parse::<u32>().unwrap() > 4_300).await;
    drop(load);
    assert_eq!(client.put(url("resume")).send().await.unwrap().status(), 202);
    stack.assert_verified();
}
