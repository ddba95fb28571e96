//! Order, progress and take-back of records that go to other topics.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use thm_api::Lsn;

use super::*;

fn append(topic: &str, ordinals: &[u64]) -> SourceAppend {
    let mut writer = BatchWriter::new();
    for ordinal in ordinals {
        let value = format!(r#"{{"schema":{{"type":"int64","optional":false}},"payload":{ordinal}}}"#);
        writer.push(1, None, Some(value.as_bytes()), &HeaderBlock::default());
    }
    let at = |ordinal: &u64| Position::new(Lsn(5), *ordinal);
    let positions: Arc<[Position]> = ordinals.iter().map(at).collect();
    let progress = Progress::at(positions.last().copied().unwrap());
    let batch = LogBatch { records: writer.len(), bytes: writer.finish(), positions, decoded: None };
    SourceAppend { topic: Arc::new(TopicSpec::new(topic)), partition: 0, batch, progress }
}

fn transforms(options: &[(&str, &str)]) -> SourceTransforms {
    let options: BTreeMap<_, _> =
        options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let log: Arc<dyn Log> = Arc::new(thm_log::MemoryLog::new());
    SourceTransforms::from_config(&"c".into(), &ConnectorConfig::new(options), &log).unwrap().unwrap()
}

/// Renames tables' topics, and not those of heartbeats.
const RENAMED: [(&str, &str); 5] = [
    ("errors.tolerance", "all"),
    ("transforms", "one"),
    ("transforms.one.type", "RegexRouter"),
    ("transforms.one.regex", "pg\\.(.*)"),
    ("transforms.one.replacement", "cdc.$1"),
];

/// A snapshot taken again takes back rows of the topics that tables' records went to, in this run or in one before, and
/// leaves heartbeats and dead letters alone.
#[test]
fn a_snapshot_takes_back_what_stands_in_renamed_topics() {
    let mut before = transforms(&RENAMED);
    let appends = vec![append("pg.a", &[1]), append("pg.b", &[2]), append("__beat.pg", &[3])];
    before.apply(SourceBatch { appends, ..SourceBatch::default() });
    let lineage = before.learned().unwrap();
    assert!(before.learned().is_none());

    let mut now = transforms(&RENAMED);
    let had = ["cdc.a", "cdc.b", "__beat.pg", "dlq.c"]
        .map(|topic| (TopicPartition::new(topic, 0), Progress::at(Position::default())));
    now.begin(had.into(), None);
    now.recall(&lineage);
    let position = Position::snapshot(Lsn(9));
    let order = |topic: &str| Superseded {
        topic: Arc::new(TopicSpec::new(topic)),
        position,
        by: Supersession::Snapshot,
        source_json: Vec::new(),
        tombstones: true,
        spool: std::path::PathBuf::new(),
    };
    // The second table is empty now: nothing of it comes.
    let superseded = vec![order("pg.a"), order("pg.b")];
    let complete = Some(Position::end_of(Lsn(9)));
    let made =
        now.apply(SourceBatch { appends: vec![append("pg.a", &[4])], superseded, complete, ..SourceBatch::default() });
    let mut told: Vec<_> = made.batch.superseded.iter().map(|order| order.topic.name.clone()).collect();
    told.sort();
    assert_eq!(told, ["cdc.a", "cdc.b"]);
}

#[test]
fn records_of_several_tables_stand_in_commit_order_in_one_topic() {
    let options = [
        ("transforms", "one"),
        ("transforms.one.type", "RegexRouter"),
        ("transforms.one.regex", "[ab]"),
        ("transforms.one.replacement", "ab"),
    ];
    let options: BTreeMap<_, _> = options.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let log: Arc<dyn Log> = Arc::new(thm_log::MemoryLog::new());
    let config = ConnectorConfig::new(options);
    let mut transforms = SourceTransforms::from_config(&"c".into(), &config, &log).unwrap().unwrap();
    let had = TopicPartition::new("ab", 0);
    transforms.begin(HashMap::from([(had, Progress::at(Position::new(Lsn(5), 1)))]), None);
    let appends = vec![append("a", &[1, 4, 5]), append("b", &[2, 3]), append("c", &[7])];
    let made = transforms.apply(SourceBatch { appends, ..SourceBatch::default() });
    assert_eq!(made.unkept, None);
    let shown: Vec<_> = made
        .batch
        .appends
        .iter()
        .map(|append| {
            let values = records(&append.batch.bytes).unwrap().map(|record| record.unwrap().value.unwrap());
            let values: Vec<_> = values.map(|value| String::from_utf8(value.to_vec()).unwrap()).collect();
            let ordinals: Vec<_> = append.batch.positions.iter().map(|position| position.ordinal).collect();
            (append.topic.name.as_str(), values.join(","), ordinals, append.progress.position.ordinal)
        })
        .collect();
    // The first was there already; both know that everything up to 7 is dealt with.
    let ab = ("ab", "2,3,4,5".to_owned(), vec![2, 3, 4, 5], 7);
    assert_eq!(shown, [ab, ("c", "7".to_owned(), vec![7], 7)]);
}

/// What stands before a record that fails, in other topics too, is given and says how far it goes; nothing behind it is.
#[test]
fn what_stands_before_a_record_that_fails_is_given() {
    let mut transforms = transforms(&[
        ("transforms", "one"),
        ("transforms.one.type", "ExtractField$Value"),
        ("transforms.one.field", "x"),
        ("transforms.one.predicate", "bad"),
        ("predicates", "bad"),
        ("predicates.bad.type", "TopicNameMatches"),
        ("predicates.bad.pattern", "bad"),
    ]);
    let appends = vec![append("a", &[1, 3, 5]), append("bad", &[4]), append("c", &[2, 6]), append("d", &[7])];
    let made = transforms.apply(SourceBatch { appends, ..SourceBatch::default() });
    let given: Vec<_> = (made.batch.appends.iter())
        .map(|append| {
            let ordinals: Vec<_> = append.batch.positions.iter().map(|position| position.ordinal).collect();
            assert_eq!(append.batch.records as usize, ordinals.len());
            (append.topic.name.as_str(), ordinals, append.progress.position.ordinal)
        })
        .collect();
    assert_eq!(given, [("a", vec![1, 3], 3), ("c", vec![2], 3)]);
    assert_eq!(made.failed.unwrap().object(), format!("bad at {}", Position::new(Lsn(5), 4)));
}
