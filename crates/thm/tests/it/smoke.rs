//! The user's smoke test and checklist.

use crate::stack::Stack;

#[tokio::test(flavor = "multi_thread")]
async fn the_smoke_test_passes_twice_and_verify_after_it() {
    let stack = Stack::start().await;
    let board = async || {
        let client = redis::Client::open(stack.redis.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd("ZSCORE");
        command.arg("thm:top:10m").arg("5a3b7e60-0000-4000-8000-000000000001");
        command.query_async::<Option<f64>>(&mut connection).await.unwrap()
    };
    let mut seen = Vec::new();
    for _ in 0..2 {
        let output = stack.thm(&["smoke"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        seen.push(board().await);
    }
    assert_eq!(seen, [Some(1.0), Some(1.0)]);
    let report = stack.assert_verified();
    assert_eq!(report["foreign"], 2, "{report}");
}
