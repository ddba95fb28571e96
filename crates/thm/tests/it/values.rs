//! Values at the edge, and content that changes between events.

use crate::stack::Stack;

#[tokio::test(flavor = "multi_thread")]
async fn null_in_every_nullable_column_and_percentages_that_do_not_fit() {
    let stack = Stack::start().await;
    stack
        .sql(
            "INSERT INTO content (id, slug, title, content_type, length_seconds) VALUES
               ('00000000-0000-4000-8000-000000000001', 'no-length', 'x', 'podcast', NULL),
               ('00000000-0000-4000-8000-000000000002', 'zero-length', 'x', 'video', 0),
               ('00000000-0000-4000-8000-000000000003', 'one-second', 'x', NULL, 1);
             INSERT INTO engagement_events (content_id, user_id, event_type, duration_ms, device, raw_payload) VALUES
               (NULL, NULL, 'play', NULL, NULL, NULL),
               (NULL, NULL, NULL, NULL, NULL, NULL),
               ('00000000-0000-4000-8000-000000000001', NULL, 'play', 1000, 'ios', '{\"a\": 1.10}'),
               ('00000000-0000-4000-8000-000000000002', NULL, 'finish', 1000, 'ios', '\"\\ud83d\\ude00\"'),
               ('00000000-0000-4000-8000-000000000003', NULL, 'finish', 9999, 'ios', 'null'),
               ('00000000-0000-4000-8000-000000000003', NULL, 'finish', 10000, 'ios', '[]'),
               ('00000000-0000-4000-8000-000000000003', NULL, 'finish', 2147483647, 'ios', '{}'),
               ('00000000-0000-4000-8000-000000000003', NULL, 'finish', -5, 'a''\"\\b', '{}');
             INSERT INTO engagement_events (event_type, event_ts) VALUES ('play', '1969-12-31 23:59:59.999999+00'),
               ('play', '2024-02-29 12:00:00.123456+05:30')",
        )
        .await;
    stack.assert_verified();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_has_the_content_of_its_own_commit() {
    let stack = Stack::start().await;
    // From here on changes are streamed.
    stack.assert_verified();
    let client = stack.client().await;
    let id: String = client.query_one("SELECT id::text FROM content LIMIT 1", &[]).await.unwrap().get(0);
    for length in 1..=40 {
        let event = format!(
            "INSERT INTO engagement_events (content_id, event_type, duration_ms) VALUES ('{id}', 'finish', 500)"
        );
        let content = format!("UPDATE content SET length_seconds = {length} WHERE id = '{id}'");
        // Before and after the change, and inside one transaction with it.
        client.batch_execute(&event).await.unwrap();
        client.batch_execute(&format!("BEGIN; {event}; {content}; {event}; COMMIT")).await.unwrap();
    }
    let report = stack.assert_verified();
    assert!(report["content_versions"].as_u64() >= Some(60), "{report}");
    let lengths = stack.clickhouse.query("SELECT uniqExact(length_seconds) FROM thm.enriched_events FINAL").await;
    assert!(lengths.unwrap().trim().parse::<u32>().unwrap() >= 40);
}
