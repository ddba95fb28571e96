//! What a job reads: topics by pattern, topics that come later, one topic in several branches, and the old rows of an
//! `upsert-kafka` topic. Whatever happens, each record counts once.

use std::time::{Duration, Instant};

use thm_api::{Log, TopicSpec};
use thm_sql::{JobManager, JobState};

use crate::fixture::{Bench, plan, reach, records};

/// Checkpoints come by order only: at stop, and when a job starts.
const RARELY: &str = "SET 'execution.checkpointing.interval' = '1h';\n";

fn table(name: &str, columns: &str, options: &str) -> String {
    format!("CREATE TABLE {name} ({columns}) WITH ('properties.bootstrap.servers' = 'x', {options});\n")
}

/// All that `SELECT v, topic` gives from topics of a pattern.
fn by_pattern(startup: &str) -> String {
    let source = format!(
        "'connector' = 'kafka', 'topic-pattern' = 'in\\.[a-z]+', 'format' = 'json', 'scan.startup.mode' = '{startup}',
         'scan.topic-partition-discovery.interval' = '10ms'"
    );
    let sink = "'connector' = 'kafka', 'topic' = 'out', 'format' = 'csv'";
    format!(
        "{RARELY}{}{}INSERT INTO o SELECT v, topic FROM i;",
        table("i", "v INT, topic STRING METADATA VIRTUAL", &source),
        table("o", "v INT, topic STRING", sink)
    )
}

async fn create(bench: &Bench, topics: &[&str]) {
    for topic in topics {
        bench.log.create_topic(&TopicSpec::new(*topic)).await.unwrap();
    }
}

async fn put(bench: &Bench, topic: &str, numbers: std::ops::Range<i32>) {
    let values: Vec<String> = numbers.map(|v| format!("{{\"v\":{v}}}")).collect();
    let values: Vec<_> = values.iter().map(|value| (None, Some(value.as_str()))).collect();
    bench.foreign(topic, &values).await;
}

/// Values of a topic as soon as there are so many.
async fn values(bench: &Bench, topic: &str, count: usize) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let found = records(&*bench.log, topic).await;
        if found.len() >= count {
            let text = |bytes: &Option<bytes::Bytes>| {
                bytes.as_ref().map_or("null".into(), |bytes| String::from_utf8_lossy(bytes).into_owned())
            };
            return found.iter().map(|record| text(&record.value)).collect();
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "only {} of {count}", found.len());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn stop(manager: &JobManager) {
    tokio::task::block_in_place(|| manager.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_of_a_pattern_are_found_while_the_job_runs_and_each_record_counts_once() {
    let bench = Bench::new().await;
    let manager = bench.manager();
    let id = manager.submit(plan(&by_pattern("earliest-offset"))).unwrap();
    reach(&manager, &id, JobState::Running).await;
    create(&bench, &["in.b", "in.b.not", "xin.b"]).await;
    for topic in ["in.b", "in.b.not", "xin.b"] {
        put(&bench, topic, 0..2).await;
    }
    assert_eq!(values(&bench, "out", 2).await, ["0,in.b", "1,in.b"]);
    // Sorted before the one that is read already: its progress must not be taken for the other's.
    create(&bench, &["in.a"]).await;
    put(&bench, "in.a", 2..4).await;
    put(&bench, "in.b", 4..5).await;
    let mut all = values(&bench, "out", 5).await;
    all.sort();
    assert_eq!(all, ["0,in.b", "1,in.b", "2,in.a", "3,in.a", "4,in.b"]);
    assert_eq!(manager.job(&id).unwrap().state, JobState::Running);
    // Killed: all is read again from the checkpoint before.
    manager.cancel(&id).unwrap();
    reach(&manager, &id, JobState::Canceled).await;
    let again = bench.manager();
    again.submit(plan(&by_pattern("earliest-offset"))).unwrap();
    put(&bench, "in.a", 5..6).await;
    let all = values(&bench, "out", 6).await;
    assert_eq!(all[5..], ["5,in.a"], "{all:?}");
    stop(&again);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_comes_later_is_read_from_its_start_wherever_the_others_began() {
    let bench = Bench::new().await;
    create(&bench, &["in.a"]).await;
    put(&bench, "in.a", 0..2).await;
    let manager = bench.manager();
    let id = manager.submit(plan(&by_pattern("latest-offset"))).unwrap();
    while manager.job(&id).unwrap().checkpoints.completed == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    put(&bench, "in.a", 2..3).await;
    assert_eq!(values(&bench, "out", 1).await, ["2,in.a"]);
    stop(&manager);
    // While it does not run.
    create(&bench, &["in.b"]).await;
    put(&bench, "in.b", 3..5).await;
    let again = bench.manager();
    again.submit(plan(&by_pattern("latest-offset"))).unwrap();
    assert_eq!(values(&bench, "out", 3).await, ["2,in.a", "3,in.b", "4,in.b"]);
    stop(&again);
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_that_read_one_topic_go_on_each_from_its_own_place() {
    let bench = Bench::new().await;
    create(&bench, &["in"]).await;
    put(&bench, "in", 0..3).await;
    let source = "'connector' = 'kafka', 'topic' = 'in', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset'";
    let text = format!(
        "{RARELY}{}{}INSERT INTO o SELECT v, 'x' FROM i UNION ALL SELECT v, 'y' FROM i;",
        table("i", "v INT", source),
        table("o", "v INT, branch STRING", "'connector' = 'kafka', 'topic' = 'out', 'format' = 'csv'")
    );
    let manager = bench.manager();
    let id = manager.submit(plan(&text)).unwrap();
    values(&bench, "out", 6).await;
    stop(&manager);
    // As if the first branch had been ahead when the checkpoint came, and the output's own memory of it were gone.
    let stored = format!("sql/{id}/checkpoint");
    let mut checkpoint: serde_json::Value =
        serde_json::from_slice(&bench.state.get(&stored).unwrap().unwrap()).unwrap();
    let inputs = checkpoint["inputs"].as_array_mut().unwrap();
    assert_eq!(inputs.len(), 2);
    for (input, (role, offset)) in inputs.iter_mut().zip([(0, 3), (1, 1)]) {
        assert_eq!(input["role"]["stream"], role, "{input}");
        input["offset"] = offset.into();
    }
    bench.state.put(&stored, checkpoint.to_string().as_bytes()).unwrap();
    bench.log.delete_topic("out").await.unwrap();
    let again = bench.manager();
    again.submit(plan(&text)).unwrap();
    assert_eq!(values(&bench, "out", 2).await, ["1,y", "2,y"]);
    stop(&again);
}

const CHANGELOG: &str = "'connector' = 'kafka', 'topic' = 'out', 'format' = 'debezium-json'";

fn upserts(sink: &str, columns: &str) -> String {
    let source = "'connector' = 'upsert-kafka', 'topic' = 'in', 'key.format' = 'json', 'value.format' = 'json'";
    let source = table("i", "k INT, v STRING, PRIMARY KEY (k) NOT ENFORCED", source);
    format!(
        "SET 'pipeline.name' = 'changes';\n{RARELY}{source}{}INSERT INTO o SELECT k, v FROM i;",
        table("o", columns, sink)
    )
}

async fn upsert(bench: &Bench, key: i32, value: Option<&str>) {
    let (key, value) = (format!("{{\"k\":{key}}}"), value.map(|v| format!("{{\"k\":{key},\"v\":\"{v}\"}}")));
    bench.foreign("in", &[(Some(&key), value.as_deref())]).await;
}

fn change(op: char, key: i32, value: &str) -> String {
    let row = format!("{{\"k\":{key},\"v\":\"{value}\"}}");
    let (before, after) = if op == 'd' { (row.as_str(), "null") } else { ("null", row.as_str()) };
    format!("{{\"before\":{before},\"after\":{after},\"op\":\"{op}\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn old_rows_of_an_upsert_topic_are_known_after_a_restart() {
    let bench = Bench::new().await;
    create(&bench, &["in"]).await;
    let text = upserts(CHANGELOG, "k INT, v STRING");
    upsert(&bench, 1, Some("a")).await;
    upsert(&bench, 2, Some("b")).await;
    let manager = bench.manager();
    let id = manager.submit(plan(&text)).unwrap();
    values(&bench, "out", 2).await;
    stop(&manager);
    for round in 0..2 {
        if round == 0 {
            upsert(&bench, 1, Some("c")).await;
            upsert(&bench, 1, Some("c")).await;
            upsert(&bench, 2, None).await;
            upsert(&bench, 3, None).await;
        }
        let manager = bench.manager();
        manager.submit(plan(&text)).unwrap();
        let all = values(&bench, "out", 5).await;
        let wanted =
            [change('c', 1, "a"), change('c', 2, "b"), change('d', 1, "a"), change('c', 1, "c"), change('d', 2, "b")];
        assert_eq!(all, wanted, "round {round}");
        // Killed: the same records come again, as changes of the rows of then.
        manager.cancel(&id).unwrap();
        reach(&manager, &id, JobState::Canceled).await;
    }
    upsert(&bench, 1, Some("d")).await;
    let manager = bench.manager();
    manager.submit(plan(&text)).unwrap();
    let all = values(&bench, "out", 7).await;
    assert_eq!(all[5..], [change('d', 1, "c"), change('c', 1, "d")]);
    stop(&manager);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_needs_old_rows_does_not_go_on_from_one_that_kept_none() {
    let bench = Bench::new().await;
    create(&bench, &["in", "out"]).await;
    upsert(&bench, 1, Some("a")).await;
    let by_key = "'connector' = 'upsert-kafka', 'topic' = 'out', 'key.format' = 'json', 'value.format' = 'json'";
    let unkeyed = "'connector' = 'kafka', 'topic' = 'out', 'key.format' = 'json', 'key.fields' = 'k', 'value.format' = 'debezium-json'";
    let manager = bench.manager();
    let id = manager.submit(plan(&upserts(by_key, "k INT, v STRING, PRIMARY KEY (k) NOT ENFORCED"))).unwrap();
    values(&bench, "out", 1).await;
    stop(&manager);
    let changed = plan(&upserts(unkeyed, "k INT NOT NULL, v STRING"));
    assert_eq!(changed.id(), id);
    manager.submit(changed.clone()).unwrap();
    let status = reach(&manager, &id, JobState::Failed).await;
    assert!(status.exception.unwrap().contains("needs the old rows of in-0"));
    assert!(status.hint.unwrap().contains("--from earliest"));
    manager.submit_from(changed, Some(thm_sql::From::Earliest)).unwrap();
    assert_eq!(values(&bench, "out", 2).await[1], change('c', 1, "a"));
    stop(&manager);
}

/// Branches over topics, each with a name of its own, into `out`.
fn branches(of: &[(&str, &str)], topics: &[&str]) -> String {
    let source = |topic: &&str| {
        let options = format!(
            "'connector' = 'kafka', 'topic' = '{topic}', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset'"
        );
        table(topic, "v INT", &options)
    };
    let tables: String = topics.iter().map(source).collect();
    let selects: Vec<String> = of.iter().map(|(topic, name)| format!("SELECT v, '{name}' FROM {topic}")).collect();
    format!(
        "{RARELY}{tables}{}INSERT INTO o {};",
        table("o", "v INT, branch STRING", "'connector' = 'kafka', 'topic' = 'out', 'format' = 'csv'"),
        selects.join(" UNION ALL ")
    )
}

/// Killed, and started again as another version: nothing of before is in its checkpoint.
async fn killed_and_changed(first: &str, second: &str, topics: &[&str]) -> Vec<String> {
    let bench = Bench::new().await;
    create(&bench, topics).await;
    for topic in topics {
        put(&bench, topic, 0..3).await;
    }
    let manager = bench.manager();
    let id = manager.submit(plan(first)).unwrap();
    values(&bench, "out", 6).await;
    manager.cancel(&id).unwrap();
    reach(&manager, &id, JobState::Canceled).await;
    for topic in topics {
        put(&bench, topic, 3..4).await;
    }
    let again = bench.manager();
    again.submit(plan(second)).unwrap();
    values(&bench, "out", 8).await;
    stop(&again);
    values(&bench, "out", 8).await
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_that_change_places_while_a_job_is_down_give_each_record_once() {
    // In the order of before: the rows of the first input come first.
    let wanted = ["0,x", "1,x", "2,x", "0,y", "1,y", "2,y", "3,x", "3,y"];
    let (ab, ba) = ([("ina", "x"), ("inb", "y")], [("inb", "y"), ("ina", "x")]);
    let topics = ["ina", "inb"];
    assert_eq!(killed_and_changed(&branches(&ab, &topics), &branches(&ba, &topics), &topics).await, wanted);
    let (xy, yx) = ([("ina", "x"), ("ina", "y")], [("ina", "y"), ("ina", "x")]);
    let topics = ["ina"];
    assert_eq!(killed_and_changed(&branches(&xy, &topics), &branches(&yx, &topics), &topics).await, wanted);
}

/// Lists of constants and made-up rows, each with a name of its own, into `out`.
fn outside(of: &[&str]) -> String {
    let made = |name: &str, start: i32, end: i32| {
        format!(
            "CREATE TABLE {name} (v INT) WITH ('connector' = 'datagen', 'fields.v.kind' = 'sequence',
             'fields.v.start' = '{start}', 'fields.v.end' = '{end}');\n"
        )
    };
    let selects: Vec<String> = of
        .iter()
        .map(|name| match *name {
            "few" => "SELECT v, 'few' FROM (VALUES (1), (2)) AS t (v)".to_owned(),
            "many" => "SELECT v, 'many' FROM (VALUES (10), (20), (30), (40)) AS t (v)".to_owned(),
            table => format!("SELECT v, '{table}' FROM {table}"),
        })
        .collect();
    format!(
        "{RARELY}{}{}{}INSERT INTO o {};",
        made("low", 100, 104),
        made("high", 200, 209),
        table("o", "v INT, branch STRING", "'connector' = 'kafka', 'topic' = 'out', 'format' = 'csv'"),
        selects.join(" UNION ALL ")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn constants_and_made_up_rows_that_change_places_come_once() {
    let (first, second) = (["few", "low", "many", "high"], ["high", "many", "low", "few"]);
    let bench = Bench::new().await;
    let manager = bench.manager();
    let id = manager.submit(plan(&outside(&first))).unwrap();
    let mut wanted = values(&bench, "out", 21).await;
    reach(&manager, &id, JobState::Finished).await;
    wanted.sort();
    // At the end of all, and as if no checkpoint had come since the start.
    for killed in [false, true] {
        if killed {
            let stored = format!("sql/{id}/checkpoint");
            let mut checkpoint: serde_json::Value =
                serde_json::from_slice(&bench.state.get(&stored).unwrap().unwrap()).unwrap();
            checkpoint["inputs"].as_array_mut().unwrap().iter_mut().for_each(|input| input["offset"] = 0.into());
            bench.state.put(&stored, checkpoint.to_string().as_bytes()).unwrap();
        }
        let again = bench.manager();
        assert_eq!(again.submit(plan(&outside(&second))).unwrap(), id);
        reach(&again, &id, JobState::Finished).await;
        let mut found = values(&bench, "out", 21).await;
        found.sort();
        assert_eq!(found, wanted, "killed: {killed}");
    }
    // Other constants are other rows.
    let changed = outside(&first).replace("(1), (2)", "(3), (4)");
    let again = bench.manager();
    again.submit(plan(&changed)).unwrap();
    reach(&again, &id, JobState::Finished).await;
    assert_eq!(values(&bench, "out", 23).await[21..], ["3,few", "4,few"]);
}

/// How a job over five records ends that starts and stops where these options say, and what it wrote.
async fn between(start: &str, stop: &str) -> Result<Vec<String>, String> {
    let bench = Bench::new().await;
    create(&bench, &["in"]).await;
    put(&bench, "in", 0..5).await;
    let source = format!(
        "'connector' = 'kafka', 'topic' = 'in', 'format' = 'json', 'properties.group.id' = 'g', 'scan.startup.mode' = {start},
         'scan.bounded.mode' = {stop}"
    );
    let text = format!(
        "{RARELY}{}{}INSERT INTO o SELECT v FROM i;",
        table("i", "v INT", &source),
        table("o", "v INT", "'connector' = 'kafka', 'topic' = 'out', 'format' = 'csv'")
    );
    let manager = bench.manager();
    let id = manager.submit(plan(&text)).unwrap();
    let begun = Instant::now();
    loop {
        let status = manager.job(&id).unwrap();
        match status.state {
            JobState::Finished => return Ok(values(&bench, "out", 0).await),
            JobState::Failed => return Err(status.exception.unwrap()),
            _ => assert!(begun.elapsed() < Duration::from_secs(120), "{status:?}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_starts_and_stops_at_the_offsets_that_are_given() {
    let at = |end: &str, offset: i64| {
        format!("'specific-offsets', 'scan.{end}.specific-offsets' = 'partition:0,offset:{offset}'")
    };
    let (earliest, latest) = ("'earliest-offset'", "'latest-offset'");
    for (offset, wanted) in [(2, vec!["2", "3", "4"]), (-2, vec!["0", "1", "2", "3", "4"]), (-1, vec![]), (99, vec![])]
    {
        assert_eq!(between(&at("startup", offset), latest).await.unwrap(), wanted, "from {offset}");
    }
    assert_eq!(between(earliest, &at("bounded", 2)).await.unwrap(), ["0", "1"]);
    assert_eq!(between(earliest, &at("bounded", -1)).await.unwrap().len(), 5);
    // A partition that is not named, of a group that has committed nothing.
    let other = "'specific-offsets', 'scan.startup.specific-offsets' = 'partition:7,offset:1'";
    assert_eq!(between(other, latest).await.unwrap().len(), 5);
    for (start, stop, words) in [
        (earliest, at("bounded", -5), "Illegal stopping offset -5 is specified for partition in-0."),
        (earliest, "'group-offsets'".to_owned(), "there is no committed offset of this partition for group g"),
        (&at("startup", -3), latest.to_owned(), "there is no committed offset of this partition for group g"),
        ("'group-offsets'", latest.to_owned(), "Undefined offset with no reset policy for partitions: [in-0]"),
    ] {
        let found = between(start, &stop).await.unwrap_err();
        assert!(found.contains(words), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn collections_and_rows_are_made_up_part_by_part() {
    let bench = Bench::new().await;
    let text = format!(
        "{RARELY}CREATE TABLE i (a ARRAY<INT>, m MAP<STRING, INT>, r ROW<x INT, y STRING>, s MULTISET<INT>, n ARRAY<ROW<z TINYINT>>)
           WITH ('connector' = 'datagen', 'number-of-rows' = '20', 'fields.a.element.min' = '1', 'fields.a.element.max' = '3',
           'fields.a.length' = '2', 'fields.m.key.length' = '4', 'fields.r.y.length' = '5', 'fields.s.length' = '1',
           'fields.n.null-rate' = '1');
         {}INSERT INTO o SELECT CARDINALITY(a), a[1] BETWEEN 1 AND 3 AND a[2] BETWEEN 1 AND 3, CARDINALITY(m), CHAR_LENGTH(r.y),
           r.x IS NOT NULL, CASE WHEN s IS NULL THEN 0 ELSE 1 END, n IS NULL FROM i;",
        table(
            "o",
            "a INT, b BOOLEAN, m INT, r INT, x BOOLEAN, s INT, n BOOLEAN",
            "'connector' = 'kafka', 'topic' = 'out', 'format' = 'csv'"
        )
    );
    let manager = bench.manager();
    let id = manager.submit(plan(&text)).unwrap();
    reach(&manager, &id, JobState::Finished).await;
    assert_eq!(values(&bench, "out", 20).await, ["2,true,3,5,true,1,true"; 20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_read_and_written_in_the_order_of_their_fields() {
    for (format, key) in [("csv", "a,1"), ("json", r#"{"k":"a","id":1}"#)] {
        let upserts = format!("'connector' = 'upsert-kafka', 'key.format' = '{format}'");
        let keyed = format!("'connector' = 'kafka', 'key.format' = '{format}', 'key.fields' = 'k;id'");
        for (options, primary, more) in [
            (&upserts, ", PRIMARY KEY (k, id) NOT ENFORCED", ""),
            (&keyed, "", ", 'scan.startup.mode' = 'earliest-offset'"),
        ] {
            let bench = Bench::new().await;
            create(&bench, &["in"]).await;
            bench.foreign("in", &[(Some(key), Some(r#"{"id":2,"k":"b","name":"x"}"#))]).await;
            let of = |topic: &str| {
                let value = "'value.format' = 'json', 'value.fields-include' = 'EXCEPT_KEY'";
                let columns = format!("id INT, k STRING, name STRING{primary}");
                table(&format!("t_{topic}"), &columns, &format!("{options}, {value}, 'topic' = '{topic}'{more}"))
            };
            let manager = bench.manager();
            manager.submit(plan(&format!("{}{}INSERT INTO t_out SELECT * FROM t_in;", of("in"), of("out")))).unwrap();
            assert_eq!(values(&bench, "out", 1).await, [r#"{"name":"x"}"#]);
            assert_eq!(records(&*bench.log, "out").await[0].key.as_deref(), Some(key.as_bytes()), "{options}");
            stop(&manager);
        }
    }
}
