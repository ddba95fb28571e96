//! Transforms in the worker: progress where records go elsewhere or nowhere, and what sinks get.

use std::sync::Arc;
use std::time::Duration;

use thm_api::{Log, Offset, Position, ReadLimits, Registry, TopicPartition};
use thm_codec::record_batch::records;
use thm_connect::{Herder, InitialState, RawConfig, State};

use crate::fake_sink::{FakeSink, Target};
use crate::fake_source::{Database, FakeSource};
use crate::stage::{Stage, config, task, task_is, until};

const ROUTE: [(&str, &str); 4] = [
    ("transforms", "one"),
    ("transforms.one.type", "org.apache.kafka.connect.transforms.RegexRouter"),
    ("transforms.one.regex", ".*"),
    ("transforms.one.replacement", "all"),
];

fn framed(id: i64) -> &'static str {
    let schema = r#"{"type":"struct","fields":[{"type":"int64","optional":false,"field":"id"}],"optional":false}"#;
    Box::leak(format!(r#"{{"schema":{schema},"payload":{{"id":{id}}}}}"#).into_boxed_str())
}

async fn source(herder: &Herder, options: &[(&str, &str)]) {
    let mut all = config(options);
    all.insert("connector.class".to_owned(), Some("FakeSource".to_owned()));
    herder.create("src", all, InitialState::Running).await.unwrap();
}

/// A sink of topic `t` whose refused records go to the queue `dlq.s`.
async fn tolerant_sink(stage: &Stage, target: &Arc<Target>, options: &[(&str, &str)]) -> Arc<Herder> {
    let herder = stage.herder(Registry::default().with(FakeSink(Arc::clone(target)))).await;
    let always = [("connector.class", "FakeSink"), ("topics", "t"), ("url", "x"), ("errors.tolerance", "all")];
    herder.create("s", config(&[&always[..], options].concat()), InitialState::Running).await.unwrap();
    herder
}

/// Options of a source, and what its refusal says of them.
type Refused<'a> = (&'a [(&'a str, &'a str)], &'a str);

async fn refuses(herder: &Herder, cases: &[Refused<'_>]) {
    for (options, expected) in cases {
        let mut all = config(options);
        all.insert("connector.class".to_owned(), Some("FakeSource".to_owned()));
        let refusal = herder.create("c", all, InitialState::Running).await.unwrap_err();
        assert_eq!(refusal.status, 400);
        assert!(refusal.message.contains(expected), "{}", refusal.message);
    }
}

async fn values(stage: &Stage, topic: &str) -> Vec<String> {
    let limits = ReadLimits { max_bytes: 1 << 20, max_wait: Duration::ZERO };
    let Ok(read) = stage.log.read(&TopicPartition::new(topic, 0), Offset(0), limits).await else { return Vec::new() };
    let found = read.batches.iter().filter(|fetched| fetched.batch.records > 0);
    let found = found.flat_map(|fetched| records(&fetched.batch.bytes).unwrap());
    found.map(|record| String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn what_a_topic_has_already_does_not_come_again_whatever_tables_it_is_made_of() {
    let (stage, database) = (Stage::new(), Arc::new(Database::default()));
    let registry = || Registry::default().with(FakeSource(Arc::clone(&database)));
    for (topic, id) in [("a", 1), ("b", 2), ("a", 3)] {
        database.insert(topic, &[framed(id)]);
    }
    let herder = stage.herder(registry()).await;
    source(&herder, &ROUTE).await;
    until("acknowledged", || database.acknowledged() == 3).await;
    herder.stop().await;
    // The database forgets what it was told, and gives everything again.
    database.0.lock().acknowledged.clear();
    database.insert("b", &[framed(4)]);
    let herder = stage.herder(registry()).await;
    until("acknowledged", || database.acknowledged() == 4).await;
    herder.stop().await;
    assert_eq!(values(&stage, "all").await, [r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#, r#"{"id":4}"#]);
    assert!(stage.log.topic("a").is_none() && stage.log.topic("b").is_none());
    let told = database.0.lock().starts[1].values().map(|progress| progress.position).max();
    assert_eq!(told.map(|position| position.commit_end.0), Some(3));
}

#[tokio::test]
async fn a_source_whose_records_are_all_dropped_still_goes_on_where_it_was() {
    let (stage, database) = (Stage::new(), Arc::new(Database::default()));
    let registry = || Registry::default().with(FakeSource(Arc::clone(&database)));
    database.insert("a", &[framed(1), framed(2)]);
    let herder = stage.herder(registry()).await;
    let drop_all = [("transforms", "none"), ("transforms.none.type", "org.apache.kafka.connect.transforms.Filter")];
    source(&herder, &drop_all).await;
    until("acknowledged", || database.acknowledged() == 2).await;
    herder.stop().await;
    let herder = stage.herder(registry()).await;
    until("started again", || database.0.lock().starts.len() == 2).await;
    herder.stop().await;
    assert!(stage.log.topics().is_empty());
    let told: Vec<Position> = database.0.lock().starts[1].values().map(|progress| progress.position).collect();
    assert_eq!(told.iter().map(|position| position.commit_end.0).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn a_record_that_cannot_be_transformed_fails_the_task_or_goes_to_the_queue_once() {
    let (stage, database) = (Stage::new(), Arc::new(Database::default()));
    database.insert("a", &[framed(1), "no json", framed(2)]);
    let registry = || Registry::default().with(FakeSource(Arc::clone(&database)));
    let herder = stage.herder(registry()).await;
    source(&herder, &ROUTE).await;
    task_is(&herder, "src", State::Failed).await;
    let trace = task(&herder, "src").trace.unwrap_or_default();
    assert!(trace.contains("THM-SMT-001") && trace.contains("a at 0/2:1"), "{trace}");
    assert_eq!(values(&stage, "all").await, [r#"{"id":1}"#]);
    let mut tolerant: RawConfig = config(&ROUTE);
    tolerant.insert("connector.class".to_owned(), Some("FakeSource".to_owned()));
    tolerant.insert("errors.tolerance".to_owned(), Some("all".to_owned()));
    herder.put_config("src", tolerant).await.unwrap();
    until("acknowledged", || database.acknowledged() == 3).await;
    herder.stop().await;
    // The database forgets what it was told, and gives everything again.
    database.0.lock().acknowledged.clear();
    database.insert("a", &["none either"]);
    let herder = stage.herder(registry()).await;
    until("acknowledged", || database.acknowledged() == 4).await;
    assert_eq!(values(&stage, "all").await, [r#"{"id":1}"#, r#"{"id":2}"#]);
    assert_eq!(values(&stage, "dlq.src").await, ["no json", "none either"]);
    let limits = ReadLimits { max_bytes: 1 << 20, max_wait: Duration::ZERO };
    let read = stage.log.read(&TopicPartition::new("dlq.src", 0), Offset(0), limits).await.unwrap();
    let first = records(&read.batches[0].batch.bytes).unwrap().next().unwrap().unwrap();
    let header = |name: &str| {
        let found =
            first.headers.iter().find(|(header, _)| header.as_ref() == format!("__connect.errors.{name}").as_bytes());
        String::from_utf8(found.unwrap().1.unwrap().to_vec()).unwrap()
    };
    assert_eq!((header("topic").as_str(), header("stage").as_str()), ("a", "TRANSFORMATION"));
    assert!(header("exception.message").starts_with("unreadable record: "), "{}", header("exception.message"));
    herder.stop().await;
    // Whoever has dealt with them may remove them.
    stage.log.delete_topic("dlq.src").await.unwrap();
    let herder = stage.herder(registry()).await;
    task_is(&herder, "src", State::Running).await;
    herder.stop().await;
}

/// Converters that are not the source's own stand behind it, transforms or not.
#[tokio::test]
async fn converters_write_their_forms() {
    let schema = concat!(
        r#"{"type":"struct","fields":[{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","#,
        r#""version":1,"parameters":{"scale":"2"},"field":"d"},{"type":"bytes","optional":true,"field":"b"}],"optional":false}"#
    );
    let value = format!(r#"{{"schema":{schema},"payload":{{"d":"BNI=","b":"AP8="}}}}"#);
    let kafka = "org.apache.kafka.connect";
    let (json, text) = (format!("{kafka}.json.JsonConverter"), format!("{kafka}.storage.StringConverter"));
    let raw = format!("{kafka}.converters.ByteArrayConverter");
    let extract = format!("{kafka}.transforms.ExtractField$Value");
    let plain = ("value.converter.schemas.enable", "false");
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [u8]);
    let cases: [Case<'_>; 4] = [
        (
            &[("value.converter", &json), plain, ("value.converter.decimal.format", "numeric")],
            br#"{"d":12.34,"b":"AP8="}"#,
        ),
        (&[("value.converter", &text)], b"Struct{d=12.34,b=AP8=}"),
        (
            &[
                ("value.converter", &text),
                ("value.converter.converter.encoding", "UTF-16LE"),
                ("transforms", "x"),
                ("transforms.x.type", &extract),
                ("transforms.x.field", "d"),
            ],
            b"1\x002\x00.\x003\x004\x00",
        ),
        (
            &[
                ("value.converter", &raw),
                ("transforms", "x"),
                ("transforms.x.type", &extract),
                ("transforms.x.field", "b"),
            ],
            b"\x00\xFF",
        ),
    ];
    for (options, expected) in cases {
        let (stage, database) = (Stage::new(), Arc::new(Database::default()));
        database.insert("a", &[Box::leak(value.clone().into_boxed_str())]);
        let herder = stage.herder(Registry::default().with(FakeSource(Arc::clone(&database)))).await;
        source(&herder, options).await;
        until("acknowledged", || database.acknowledged() == 1).await;
        let limits = ReadLimits { max_bytes: 1 << 20, max_wait: Duration::ZERO };
        let read = stage.log.read(&TopicPartition::new("a", 0), Offset(0), limits).await.unwrap();
        let first = records(&read.batches[0].batch.bytes).unwrap().next().unwrap().unwrap();
        assert_eq!(first.value.unwrap(), expected);
        herder.stop().await;
    }
    // A struct has no bytes of its own.
    let (stage, database) = (Stage::new(), Arc::new(Database::default()));
    database.insert("a", &[Box::leak(value.into_boxed_str())]);
    let herder = stage.herder(Registry::default().with(FakeSource(Arc::clone(&database)))).await;
    source(&herder, &[("value.converter", &raw)]).await;
    task_is(&herder, "src", State::Failed).await;
    let trace = task(&herder, "src").trace.unwrap_or_default();
    assert!(trace.contains("Invalid schema type for ByteArrayConverter: STRUCT"), "{trace}");
    assert!(trace.contains("writing a record's value with value.converter"), "{trace}");
    herder.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_converters_is_refused_by_name() {
    let stage = Stage::new();
    let herder = stage.herder(Registry::default().with(FakeSource(Arc::default()))).await;
    let text = ("value.converter", "StringConverter");
    let cases: [Refused<'_>; 6] = [
        (
            &[("key.converter", "io.confluent.connect.avro.AvroConverter")],
            "Invalid value io.confluent.connect.avro.AvroConverter for configuration key.converter: Class \
             io.confluent.connect.avro.AvroConverter could not be found; available are: org.apache.kafka.connect.json.",
        ),
        (&[("value.converter", "SimpleHeaderConverter")], "SimpleHeaderConverter could not be found"),
        (
            &[("value.converter", "JsonConverter"), ("value.converter.schemas.enable", "maybe")],
            "Invalid value maybe for configuration value.converter.schemas.enable: Expected value to be either true or false",
        ),
        (
            &[("value.converter.decimal.format", "HEX")],
            "Invalid value HEX for configuration value.converter.decimal.format: String must be one of (case insensitive): \
             BASE64, NUMERIC",
        ),
        (
            &[("value.converter.schemas.cache.size", "many")],
            "Invalid value many for configuration value.converter.schemas.cache.size: Not a number of type INT",
        ),
        (
            &[text, ("value.converter.converter.encoding", "EBCDIC")],
            "Invalid value EBCDIC for configuration value.converter.converter.encoding: no such character set here",
        ),
    ];
    refuses(&herder, &cases).await;
    herder.stop().await;
}

#[tokio::test]
async fn a_sink_gets_what_its_transforms_leave_and_its_queue_what_they_cannot_work_on() {
    let (stage, target) = (Stage::new(), Target::new(10, false));
    stage.produce("t", &[r#"{"id":1,"x":"gone"}"#, r#"{"id":"two"}"#, r#"{"id":3.50,"y":[1,null]}"#]).await;
    let options = [
        ("transforms", "cast,drop"),
        ("transforms.cast.type", "org.apache.kafka.connect.transforms.Cast$Value"),
        ("transforms.cast.spec", "id:int32"),
        ("transforms.drop.type", "org.apache.kafka.connect.transforms.ReplaceField$Value"),
        ("transforms.drop.exclude", "x"),
    ];
    let herder = tolerant_sink(&stage, &target, &options).await;
    until("delivered", || target.values().len() == 2).await;
    assert_eq!(target.values(), [r#"{"id":1}"#, r#"{"id":3,"y":[1,null]}"#]);
    // The queue has the record as it stood in the topic.
    assert_eq!(values(&stage, "dlq.s").await, [r#"{"id":"two"}"#]);
    herder.stop().await;
}

/// Decimals of `decimal.format=NUMERIC` are numbers; a chain gives them on as it got them.
#[tokio::test]
async fn a_sinks_transforms_read_decimals_that_are_numbers() {
    let schema = concat!(
        r#"{"type":"struct","fields":[{"type":"bytes","optional":false,"name":"org.apache.kafka.connect.data.Decimal","#,
        r#""version":1,"parameters":{"scale":"2"},"field":"d"}],"optional":false}"#
    );
    let framed = |payload: &str| format!(r#"{{"schema":{schema},"payload":{payload}}}"#);
    let renamed = schema.replace(r#""field":"d""#, r#""field":"e""#);
    for (format, given, expected) in [
        ("NUMERIC", [r#"{"d":12.34}"#, r#"{"d":-1e3}"#], [r#"{"e":12.34}"#, r#"{"e":-1000.00}"#]),
        ("BASE64", [r#"{"d":12.3}"#, r#"{"d":"BNI="}"#], [r#"{"e":"BM4="}"#, r#"{"e":"BNI="}"#]),
    ] {
        let (stage, target) = (Stage::new(), Target::new(10, false));
        let bad = framed(r#"{"d":0.123}"#);
        stage.produce("t", &[&framed(given[0]), &bad, &framed(given[1])]).await;
        let options = [
            ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
            ("value.converter.schemas.enable", "true"),
            ("value.converter.decimal.format", format),
            ("transforms", "r"),
            ("transforms.r.type", "org.apache.kafka.connect.transforms.ReplaceField$Value"),
            ("transforms.r.renames", "d:e"),
        ];
        let herder = tolerant_sink(&stage, &target, &options).await;
        until("delivered", || target.values().len() == 2).await;
        let expected = expected.map(|payload| format!(r#"{{"schema":{renamed},"payload":{payload}}}"#));
        assert_eq!(target.values(), expected);
        assert_eq!(values(&stage, "dlq.s").await, [bad], "its scale does not hold it");
        herder.stop().await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_transforms_is_refused_by_name() {
    let stage = Stage::new();
    let registry = Registry::default().with(FakeSource(Arc::default())).with(FakeSink(Target::new(1, false)));
    let herder = stage.herder(registry).await;
    let cases: [Refused<'_>; 9] = [
        (&[("transforms", "a")], "Missing required configuration \"transforms.a.type\" which has no default value."),
        (
            &[("transforms", "a"), ("transforms.a.type", "org.example.Mine")],
            "Invalid value org.example.Mine for configuration transforms.a.type: Class org.example.Mine could not be found; \
             available are: io.debezium.connector.postgresql.transforms.DecodeLogicalDecodingMessageContent, ",
        ),
        (
            &[("transforms", "a"), ("transforms.a.type", "RegexRouter"), ("transforms.a.regex", "(")],
            "Missing required configuration \"transforms.a.replacement\"",
        ),
        (
            &[("transforms", "a"), ("transforms.a.type", "RegexRouter"), ("transforms.a.regex", "(")],
            "Invalid value ( for configuration transforms.a.regex: Invalid regex: ",
        ),
        (
            &[("transforms", "a"), ("transforms.a.type", "Filter"), ("transforms.a.predicate", "p")],
            "Invalid value p for configuration transforms.a.predicate: no predicate of that name is listed in predicates",
        ),
        (
            &[("transforms", "a"), ("transforms.a.type", "Filter"), ("transforms.a.negate", "true")],
            "Config 'transforms.a.negate' was provided but there is no config 'transforms.a.predicate' defining a predicate \
             to be negated.",
        ),
        (
            &[("predicates", "p"), ("predicates.p.type", "TopicNameMatches"), ("predicates.p.pattern", "[")],
            "Invalid value [ for configuration predicates.p.pattern: Invalid regex: ",
        ),
        (
            &[("transforms", "a"), ("transforms.a.type", "Cast$Value"), ("transforms.a.spec", "id:struct")],
            "Cast transformation does not support casting to STRUCT; supported types are [INT8, ",
        ),
        (
            &[("transforms", "a"), ("transforms.a.type", "HeaderFrom$Key"), ("transforms.a.fields", "")],
            "Invalid value [] for configuration transforms.a.fields: Empty list",
        ),
    ];
    refuses(&herder, &cases).await;
    let mut routing = config(&ROUTE);
    routing.extend(config(&[("connector.class", "FakeSink"), ("url", "x"), ("topics", "t")]));
    let refusal = herder.create("c", routing, InitialState::Running).await.unwrap_err();
    assert!(refusal.message.contains("a sink writes to the target that its own options name"), "{}", refusal.message);
    herder.stop().await;
}
