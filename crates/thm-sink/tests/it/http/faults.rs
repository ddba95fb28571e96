//! Refusals, limits, stalls and restarts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thm_api::{Connector, ErrorKind, Generation, Op, Policy, SinkRecord};
use thm_sink::HttpConnector;

use super::api::{Answer, Api, status};
use crate::support::{self, MemoryState};

fn change(offset: i64, id: i64) -> SinkRecord {
    support::record(offset, Op::Create, 1_000, id, Some(format!("{{\"id\":{id},\"n\":{offset}}}")))
}

fn bodies(range: std::ops::Range<i64>) -> Vec<String> {
    range.map(|offset| format!("{{\"id\":{offset},\"n\":{offset}}}")).collect()
}

#[tokio::test]
async fn a_retry_sends_only_what_is_not_delivered_also_after_a_restart() {
    let api = Api::start(|_, earlier| status(if earlier < 5 { 200 } else { 503 })).await;
    let state = Arc::new(MemoryState::default());
    let options = [("http.max.in.flight", "1")];
    let mut sink = api.sink(&state, &options).await;
    let records: Vec<_> = (0..10).map(|offset| change(offset, offset)).collect();
    let batch = support::batch(&support::partition(7), &records);
    let error = sink.write(batch.clone()).await.unwrap_err();
    assert_eq!((error.kind(), error.kind().policy()), (ErrorKind::SinkUnreachable, Policy::Retry));
    assert_eq!(sink.flush().await.unwrap(), [], "half a batch is not committed");
    assert_eq!(api.requests().len(), 6, "the first failure stops the attempt");

    api.set_rule(|body, _| status(if body.contains("\"n\":8") { 500 } else { 200 }));
    sink.open(&[support::partition(7)], Generation(1)).await.unwrap();
    assert!(sink.write(batch.clone()).await.is_err());
    drop(sink);
    api.set_rule(|_, _| status(200));
    let mut sink = api.sink(&state, &options).await;
    sink.write(batch.clone()).await.unwrap();
    assert_eq!(api.accepted(), bodies(0..10));
    // The failed attempt and the one that worked have the same key.
    let key_of_8: Vec<String> = api
        .requests()
        .iter()
        .filter(|request| request.body.contains("\"n\":8"))
        .map(|request| request.header("idempotency-key").to_owned())
        .collect();
    assert_eq!(key_of_8.len(), 2);
    assert_eq!(key_of_8[0], key_of_8[1]);
    assert!(state.0.lock().is_empty(), "nothing is left behind");
    // Not even a reset group is kept from sending again.
    sink.open(&[support::partition(7)], Generation(2)).await.unwrap();
    sink.write(batch).await.unwrap();
    assert_eq!(api.accepted().len(), 20);
}

#[tokio::test]
async fn a_refused_record_is_named_its_key_waits_and_others_go_on() {
    let api = Api::start(|body, _| status(if body.contains("\"n\":2") { 422 } else { 200 })).await;
    let mut sink = api.sink(&Arc::default(), &[]).await;
    let partition = support::partition(7);
    let records = [change(0, 0), change(1, 1), change(2, 1), change(3, 1), change(4, 4)];
    let mut batch = support::batch(&partition, &records);
    let error = sink.write(batch.clone()).await.unwrap_err();
    assert_eq!((error.kind(), error.kind().policy()), (ErrorKind::RecordRejected, Policy::DeadLetter));
    let [rejected] = error.rejected() else { panic!("{error}") };
    assert_eq!((rejected.offset.0, &rejected.partition), (2, &partition.partition));
    assert!(rejected.reason.contains("422"), "{}", rejected.reason);
    assert_eq!(api.accepted().len(), 3);
    assert!(!api.accepted().iter().any(|body| body.contains("\"n\":3")), "the key waits");
    // With errors.tolerance=all the worker sends it to the queue and the range comes without it.
    batch.chunks[0].records.change(|records| drop(records.remove(2)));
    sink.write(batch).await.unwrap();
    assert_eq!(api.accepted().len(), 4);
    assert!(api.accepted()[3].contains("\"n\":3"));
}

#[tokio::test]
async fn redirects_are_no_deliveries() {
    let api = Api::start(|_, _| status(302)).await;
    let mut sink = api.sink(&Arc::default(), &[]).await;
    let error = sink.write(support::batch(&support::partition(7), &[change(0, 0)])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RecordRejected);
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let api = Api::start(|_, _| Answer { status: 429, retry_after_s: Some(2), ..Answer::default() }).await;
    let mut sink = api.sink(&Arc::default(), &[("http.max.in.flight", "4")]).await;
    let records: Vec<_> = (0..20).map(|offset| change(offset, offset)).collect();
    let batch = support::batch(&support::partition(7), &records);
    assert_eq!(sink.write(batch.clone()).await.unwrap_err().kind(), ErrorKind::SinkUnreachable);
    let asked = api.requests().len();
    assert!(asked <= 4, "{asked}");
    let limited = api.requests().last().unwrap().at;
    api.set_rule(|_, _| status(200));
    // The worker's back-off may be shorter than what was asked for.
    while let Err(error) = sink.write(batch.clone()).await {
        assert_eq!(error.kind(), ErrorKind::SinkUnreachable);
        tokio::time::sleep(Duration::from_millis(100)).await;
        sink.open(&[support::partition(7)], Generation(1)).await.unwrap();
    }
    assert_eq!(api.accepted().len(), 20);
    let next = api.requests()[asked].at;
    assert!(next - limited >= Duration::from_millis(1_900), "{:?}", next - limited);
}

#[tokio::test]
async fn a_hanging_target_times_out_and_is_tried_again() {
    let api = Api::start(|_, _| Answer { status: 200, stall: Duration::from_secs(60), ..Answer::default() }).await;
    let mut sink = api.sink(&Arc::default(), &[]).await;
    let batch = support::batch(&support::partition(7), &[change(0, 0)]);
    let began = Instant::now();
    assert_eq!(sink.write(batch.clone()).await.unwrap_err().kind(), ErrorKind::SinkUnreachable);
    assert!((900..3_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    api.set_rule(|_, _| status(200));
    sink.write(batch).await.unwrap();
}

#[tokio::test]
async fn what_an_operator_must_mend_is_told_apart_and_secrets_stay_secret() {
    let api = Api::start(|_, _| status(401)).await;
    let url = format!("http://user:hush@127.0.0.1:{}/events?token=hush", api.port);
    let options =
        [("http.url", url.as_str()), ("http.authorization.type", "static"), ("http.headers.authorization", "hush")];
    let mut sink = api.sink(&Arc::default(), &options).await;
    let error = sink.write(support::batch(&support::partition(7), &[change(0, 0)])).await.unwrap_err();
    assert_eq!((error.kind(), error.kind().policy()), (ErrorKind::SinkDenied, Policy::Stop));
    assert!(!error.to_string().contains("hush"), "{error}");

    let state = Arc::new(MemoryState::default());
    let url = format!("http://user:hush@127.0.0.1:{}/?token=hush", support::free_port());
    let options = support::config(&[("http.url", &url), ("http.authorization.type", "none")]);
    let error = HttpConnector.check(&support::context(&state, options.clone())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SinkUnreachable);
    let mut sink = support::sink(&HttpConnector, support::context(&state, options));
    sink.open(&[support::partition(7)], Generation(1)).await.unwrap();
    let error = sink.write(support::batch(&support::partition(7), &[change(0, 0)])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SinkUnreachable);
    assert!(!error.to_string().contains("hush"), "{error}");
    assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
}

#[tokio::test]
async fn an_attempt_that_is_given_up_keeps_what_it_delivered() {
    let stall = |body: &str| Duration::from_millis(if body.contains("\"n\":3") { 800 } else { 0 });
    let api = Api::start(move |body, _| Answer { status: 200, stall: stall(body), ..Answer::default() }).await;
    let mut sink = api.sink(&Arc::default(), &[("http.max.in.flight", "2")]).await;
    let records: Vec<_> = (0..8).map(|offset| change(offset, offset)).collect();
    let batch = support::batch(&support::partition(7), &records);
    // The worker's own time limit drops the write.
    assert!(tokio::time::timeout(Duration::from_millis(400), sink.write(batch.clone())).await.is_err());
    api.set_rule(|_, _| status(200));
    sink.open(&[support::partition(7)], Generation(1)).await.unwrap();
    sink.write(batch).await.unwrap();
    let mut sent = api.accepted();
    sent.sort();
    let mut expected = bodies(0..8);
    expected.insert(4, expected[3].clone());
    assert_eq!(sent, expected, "only the one without an answer is sent again");
}
