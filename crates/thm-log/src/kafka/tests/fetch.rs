//! Limits and waiting of fetches.

use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use thm_api::{Append, LogBatch, TopicPartition, TopicSpec};

use super::{Server, batch, topic_name};

fn request(topics: &[&str], offset: i64, max_bytes: i32, max_wait_ms: i32) -> FetchRequest {
    let topics = topics.iter().map(|name| {
        let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(max_bytes);
        FetchTopic::default().with_topic(topic_name(name)).with_partitions(vec![partition])
    });
    FetchRequest::default()
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(max_bytes)
        .with_topics(topics.collect())
}

async fn append(server: &Server, topic: &str, value: &str) {
    let batch = LogBatch { bytes: batch(0, &[value]), records: 1, positions: [].into(), decoded: None };
    let append = Append { batch: Some(batch), progress: None };
    server.broker.log.append(&TopicPartition::new(topic, 0), append).await.unwrap().durable.await.unwrap();
}

async fn server() -> Server {
    let server = Server::start().await;
    server.topic(TopicSpec::new("a")).await;
    server.topic(TopicSpec::new("b")).await;
    server
}

fn sizes(response: &FetchResponse) -> Vec<usize> {
    response.responses.iter().map(|topic| topic.partitions[0].records.as_ref().unwrap().len()).collect()
}

/// Seen to fail with `wait_for_more` watching the first partition only.
#[tokio::test]
async fn an_append_to_any_partition_wakes_a_long_poll() {
    let server = server().await;
    let mut client = server.client().await;
    let started = Instant::now();
    client.send(11, &request(&["a", "b"], 0, 1 << 20, 20_000)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    append(&server, "b", "late").await;
    let answer = client.receive::<FetchRequest>(11).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    let sizes = sizes(&answer);
    assert!(sizes[0] == 0 && sizes[1] > 0, "{sizes:?}");
}

#[tokio::test]
async fn a_poll_without_news_ends_in_time() {
    let server = server().await;
    let started = Instant::now();
    let answer = server.client().await.call(11, &request(&["a", "b"], 0, 1 << 20, 150)).await;
    assert!((100..2000).contains(&started.elapsed().as_millis()));
    assert_eq!(sizes(&answer), [0, 0]);
}

#[tokio::test]
async fn at_least_one_batch_comes_and_no_more_than_asked_for() {
    let server = server().await;
    for topic in ["a", "b"] {
        for _ in 0..5 {
            append(&server, topic, &"x".repeat(1000)).await;
        }
    }
    let one = batch(0, &[&"x".repeat(1000)]).len();
    let mut client = server.client().await;
    let fetched = |max_bytes| request(&["a", "b"], 0, max_bytes, 0);
    assert_eq!(sizes(&client.call(11, &fetched(1)).await), [one, 0]);
    assert_eq!(sizes(&client.call(11, &fetched(2500)).await), [2 * one, 0]);
    assert_eq!(sizes(&client.call(11, &fetched(1 << 20)).await), [5 * one, 5 * one]);
    let mut each = request(&["a", "b"], 0, 1 << 20, 0);
    each.topics.iter_mut().for_each(|topic| topic.partitions[0].partition_max_bytes = 1);
    assert_eq!(sizes(&client.call(11, &each).await), [one, one], "every partition moves on");
}

#[tokio::test]
async fn min_bytes_waits_for_more_and_keeps_what_it_has() {
    let server = server().await;
    append(&server, "a", "first").await;
    let mut client = server.client().await;
    client.send(11, &request(&["a", "b"], 0, 1 << 20, 20_000).with_min_bytes(150)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    append(&server, "b", &"x".repeat(200)).await;
    let sizes = sizes(&client.receive::<FetchRequest>(11).await);
    assert!(sizes[0] > 0 && sizes[1] > 200, "{sizes:?}");
}

#[tokio::test]
async fn a_full_partition_is_not_waited_for() {
    let server = server().await;
    append(&server, "a", &"x".repeat(1000)).await;
    append(&server, "a", &"x".repeat(1000)).await;
    let started = Instant::now();
    let request = request(&["a", "b"], 0, 1500, 20_000).with_min_bytes(1500);
    let answer = server.client().await.call(11, &request).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(sizes(&answer)[0] > 1000);
}

#[tokio::test]
async fn errors_come_at_once_with_the_range_that_is_there() {
    let server = server().await;
    append(&server, "a", "x").await;
    let mut client = server.client().await;
    let answer = client.call(11, &request(&["a", "none"], 9, 1 << 20, 20_000)).await;
    let partition = &answer.responses[0].partitions[0];
    assert_eq!(partition.error_code, ResponseError::OffsetOutOfRange.code());
    assert_eq!((partition.log_start_offset, partition.high_watermark), (0, 1));
    let missing = &answer.responses[1].partitions[0];
    assert_eq!(missing.error_code, ResponseError::UnknownTopicOrPartition.code());
    let session = client.call(11, &request(&["a"], 0, 1 << 20, 0).with_session_id(3)).await;
    assert_eq!(session.error_code, ResponseError::FetchSessionIdNotFound.code());
}
