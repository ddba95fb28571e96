//! Several records in one request.

use std::sync::Arc;

use thm_api::{ErrorKind, Op, SinkRecord};

use super::api::{Api, status};
use crate::support;

const ARRAY: [(&str, &str); 4] =
    [("batching.enabled", "true"), ("batch.prefix", "["), ("batch.separator", ","), ("batch.suffix", "]")];

fn change(offset: i64, id: i64) -> SinkRecord {
    support::record(offset, Op::Create, 1_000, id, Some(format!("{{\"id\":{offset}}}")))
}

#[tokio::test]
async fn one_request_with_the_key_of_its_range() {
    let api = Api::start(|_, _| status(200)).await;
    let mut sink = api.sink(&Arc::default(), &ARRAY).await;
    let policy = sink.batch_policy();
    assert!(policy.frozen && policy.max_records == 500);
    let records: Vec<_> = (10..14).map(|offset| change(offset, offset)).collect();
    let partition = support::partition(7);
    sink.write(support::batch(&partition, &records)).await.unwrap();
    let requests = api.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].body, "[{\"id\":10},{\"id\":11},{\"id\":12},{\"id\":13}]");
    assert_eq!(
        requests[0].header("idempotency-key"),
        format!("thm.enriched.events/{}/1/0/10-13", partition.topic_uuid)
    );

    let mut lines = api.sink(&Arc::default(), &[("batching.enabled", "true")]).await;
    lines.write(support::batch(&partition, &records[..2])).await.unwrap();
    assert_eq!(api.requests()[1].body, "{\"id\":10}\n{\"id\":11}\n");
    assert_eq!(api.requests()[1].header("content-type"), "application/x-ndjson");
}

#[tokio::test]
async fn a_refused_batch_is_halved_to_the_record_that_is_at_fault() {
    let api = Api::start(|body, _| status(if body.contains("\"id\":5}") { 400 } else { 200 })).await;
    let mut sink = api.sink(&Arc::default(), &ARRAY).await;
    // Offset 6 has the key of the bad one and must not overtake it.
    let mut records: Vec<_> = (0..16).map(|offset| change(offset, offset)).collect();
    records[6].key = records[5].key.clone();
    let mut batch = support::batch(&support::partition(7), &records);
    let error = sink.write(batch.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RecordRejected);
    assert_eq!(error.rejected().iter().map(|record| record.offset.0).collect::<Vec<_>>(), [5]);
    batch.chunks[0].records.retain(|record| record.offset.0 != 5);
    sink.write(batch).await.unwrap();
    let ids: Vec<u64> = api
        .accepted()
        .iter()
        .flat_map(|body| {
            let values: Vec<serde_json::Value> = serde_json::from_str(body).unwrap();
            values.into_iter().map(|value| value["id"].as_u64().unwrap()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(ids, [0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15, 6]);
}
