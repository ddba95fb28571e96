//! What is posted, in which order, under which key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use thm_api::{Generation, Offset, Op, SinkRecord};

use super::api::{Answer, Api, Request, status};
use crate::support::{self, MemoryState};

fn change(offset: i64, id: i64) -> SinkRecord {
    support::record(offset, Op::Create, 1_000, id, Some(format!("{{\"id\":{id},  \"n\":{offset}}}")))
}

#[tokio::test]
async fn bytes_go_as_stored_with_a_key_of_the_change() {
    let api = Api::start(|_, _| status(200)).await;
    let state = Arc::new(MemoryState::default());
    let options = [
        ("http.authorization.type", "static"),
        ("http.headers.authorization", "Bearer hush"),
        ("http.headers.additional", "X-One:1,X-Two:2"),
    ];
    let mut sink = api.sink(&state, &options).await;
    let partition = support::partition(7);
    let by_hand = support::foreign(1, 1_000, "not even JSON");
    sink.write(support::batch(&partition, &[change(0, 5), by_hand])).await.unwrap();
    assert_eq!(sink.flush().await.unwrap(), [(partition.partition.clone(), Offset(2))]);
    let requests = api.requests();
    let first = requests.iter().find(|request| request.body == "{\"id\":5,  \"n\":0}").unwrap();
    let life = format!("thm.enriched.events/{}/1", partition.topic_uuid);
    assert_eq!(first.header("idempotency-key"), format!("{life}/{{\"id\":5}}/0/3E8:1"));
    assert_eq!(first.header("content-type"), "application/json");
    assert_eq!(first.header("authorization"), "Bearer hush");
    assert_eq!((first.header("x-one"), first.header("x-two")), ("1", "2"));
    let second = requests.iter().find(|request| request.body == "not even JSON").unwrap();
    assert_eq!(second.header("idempotency-key"), format!("{life}/0/1"));

    // The same change at another place has the same key; under a new generation it is meant to be sent again.
    let mut moved = change(9, 5);
    moved.origin = change(0, 5).origin;
    sink.write(support::batch(&partition, &[moved.clone()])).await.unwrap();
    assert_eq!(api.requests()[2].header("idempotency-key"), first.header("idempotency-key"));
    sink.open(std::slice::from_ref(&partition), Generation(2)).await.unwrap();
    sink.write(support::batch(&partition, &[moved])).await.unwrap();
    assert_ne!(api.requests()[3].header("idempotency-key"), first.header("idempotency-key"));
}

#[tokio::test]
async fn keys_are_in_order_and_many_are_under_way() {
    let stall = |earlier: usize| Duration::from_millis(20 - earlier as u64 % 20);
    let api = Api::start(move |_, earlier| Answer { status: 200, stall: stall(earlier), ..Answer::default() }).await;
    let mut sink = api.sink(&Arc::default(), &[("http.max.in.flight", "8")]).await;
    // Records of a key stand beside each other: without chains they would be under way together.
    let records: Vec<_> = (0..200).map(|offset| change(offset, offset / 5)).collect();
    sink.write(support::batch(&support::partition(7), &records)).await.unwrap();
    let mut by_id: BTreeMap<i64, Vec<(i64, Request)>> = BTreeMap::new();
    for request in api.requests() {
        let value: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        by_id.entry(value["id"].as_i64().unwrap()).or_default().push((value["n"].as_i64().unwrap(), request));
    }
    assert_eq!(by_id.len(), 40);
    for requests in by_id.values() {
        assert_eq!(requests.len(), 5);
        for pair in requests.windows(2) {
            assert!(pair[0].0 < pair[1].0 && pair[0].1.answered <= pair[1].1.at, "{pair:?}");
        }
    }
    let most = api.most_at_once.load(Ordering::SeqCst);
    assert!((4..=8).contains(&most), "{most} requests at once");
}

#[tokio::test]
async fn tombstones_and_snapshot_rows_as_the_options_say() {
    let api = Api::start(|_, _| status(200)).await;
    let partition = support::partition(7);
    let records = [
        support::record(0, Op::Read, 1_000, 1, Some("{\"id\":1}".to_owned())),
        support::record(1, Op::Delete, 1_000, 2, None),
        change(2, 3),
    ];
    let mut sink = api.sink(&Arc::default(), &[]).await;
    sink.write(support::batch(&partition, &records)).await.unwrap();
    let mut other = api.sink(&Arc::default(), &[("delete.mode", "post"), ("snapshot.mode", "skip")]).await;
    other.write(support::batch(&partition, &records)).await.unwrap();
    let bodies: BTreeSet<String> = api.accepted()[..2].iter().cloned().collect();
    assert_eq!(bodies, ["{\"id\":1}".to_owned(), "{\"id\":3,  \"n\":2}".to_owned()].into());
    let bodies: BTreeSet<String> = api.accepted()[2..].iter().cloned().collect();
    assert_eq!(bodies, ["{\"id\":2,\"__deleted\":\"true\"}".to_owned(), "{\"id\":3,  \"n\":2}".to_owned()].into());
    // A batch of which nothing is left counts as delivered.
    let mut empty = support::batch(&partition, &records);
    empty.chunks.clear();
    sink.write(empty).await.unwrap();
    assert_eq!(sink.flush().await.unwrap(), [(partition.partition, Offset(3))]);
}
