//! After a crash: what comes again has the key it had, and nothing else comes again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use thm_api::{Op, SinkRecord};

use super::api::{Answer, Api, status};
use crate::support::{self, MemoryState};

fn change(offset: i64, id: i64) -> SinkRecord {
    support::record(offset, Op::Create, 1_000, id, Some(format!("{{\"id\":{id},\"n\":{offset}}}")))
}

/// The idempotency keys that each body came with.
fn keys(api: &Api) -> BTreeMap<String, Vec<String>> {
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in api.requests() {
        keys.entry(request.body.clone()).or_default().push(request.header("idempotency-key").to_owned());
    }
    keys
}

#[tokio::test]
async fn what_a_kill_repeats_has_the_same_key() {
    let api = Api::start(|_, _| Answer { status: 200, stall: Duration::from_millis(20), ..Answer::default() }).await;
    let state = Arc::new(MemoryState::default());
    let records: Vec<_> = (0..40).map(|offset| change(offset, offset)).collect();
    let batch = support::batch(&support::partition(7), &records);
    let mut task = api.sink(&state, &[("http.max.in.flight", "2")]).await;
    // Killed in the middle: the future goes, and with it all that the process knew.
    assert!(tokio::time::timeout(Duration::from_millis(150), task.write(batch.clone())).await.is_err());
    drop(task);
    let before = api.requests().len();
    assert!((4..40).contains(&before), "{before}");
    let mut task = api.sink(&state, &[]).await;
    task.write(batch).await.unwrap();
    let keys = keys(&api);
    assert_eq!(keys.len(), 40, "each was posted");
    assert!(keys.values().any(|keys| keys.len() == 2), "some came twice");
    assert!(keys.values().all(|keys| keys.iter().collect::<BTreeSet<_>>().len() == 1), "under one key each: {keys:?}");
    let all: BTreeSet<&String> = keys.values().flatten().collect();
    assert_eq!(all.len(), 40, "and no key twice");
}

#[tokio::test]
async fn without_the_memory_of_deliveries_each_attempt_posts_everything_again() {
    for (failpoints, posted) in [("", 11), ("http.forget-completed", 16)] {
        let api = Api::start(|_, earlier| status(if earlier < 5 { 200 } else { 503 })).await;
        let mut task = api.sink_without(&Arc::default(), &[("http.max.in.flight", "1")], failpoints).await;
        let records: Vec<_> = (0..10).map(|offset| change(offset, offset)).collect();
        let batch = support::batch(&support::partition(7), &records);
        task.write(batch.clone()).await.unwrap_err();
        api.set_rule(|_, _| status(200));
        task.write(batch).await.unwrap();
        assert_eq!(api.requests().len(), posted, "{failpoints}");
    }
}

#[tokio::test]
async fn without_chains_records_of_one_key_are_under_way_together() {
    for (failpoints, in_order) in [("", true), ("http.no-order", false)] {
        // Every second answer is slow, so that whoever does not wait overtakes.
        let stall = |earlier: usize| Duration::from_millis(if earlier.is_multiple_of(2) { 60 } else { 5 });
        let api =
            Api::start(move |_, earlier| Answer { status: 200, stall: stall(earlier), ..Answer::default() }).await;
        let mut task = api.sink_without(&Arc::default(), &[], failpoints).await;
        let records: Vec<_> = (0..8).map(|offset| change(offset, 1)).collect();
        task.write(support::batch(&support::partition(7), &records)).await.unwrap();
        let requests = api.requests();
        let waited = requests.windows(2).all(|pair| pair[0].answered <= pair[1].at);
        assert_eq!(waited, in_order, "{failpoints}");
    }
}
