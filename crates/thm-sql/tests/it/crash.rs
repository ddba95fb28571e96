//! The machine loses power at random moments: whatever was not synced is gone, of the output, the checkpoints or both.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use thm_api::{
    Append, Complete, Completeness, Log, LogBatch, Lsn, MemoryBudget, Offset, Position, Progress, StateStore,
    TopicPartition, TopicSpec,
};
use thm_codec::record_batch::{BatchWriter, HeaderBlock};
use thm_log::storage::{Fault, FaultStorage};
use thm_log::{EmbeddedLog, FileStateStore, LogConfig};
use thm_sql::{JobManager, JobManagerOptions};

use crate::fixture::{CONTENT, Change, ENRICHED, EVENTS, OURS, Written, batch_of, output, plan, records};
use crate::jobs::{Random, undisturbed, workload};

/// Checkpoints come often, yet leave most of the time to records: they cost two fsyncs.
fn often() -> String {
    OURS.replace("'10s'", "'60ms'")
}

/// The same job written in another way: another version, whose rows are the same.
fn rewritten() -> String {
    let text = often().replace("WHERE e.event_type IS NOT NULL", "WHERE NOT (e.event_type IS NULL)");
    assert_ne!(text, often());
    text
}

/// One life of the engine.
struct Life {
    log: Arc<EmbeddedLog>,
    manager: JobManager,
}

impl Life {
    async fn begin(folder: &Path, storage: FaultStorage) -> Self {
        let mut config = LogConfig::new(folder.join("log"));
        config.storage = Some(Arc::new(storage.clone()));
        config.segment_bytes = 64 << 10;
        let log = Arc::new(EmbeddedLog::open(config).unwrap());
        let state: Arc<dyn StateStore> = Arc::new(FileStateStore::on(Arc::new(storage), folder.join("state")).unwrap());
        let manager = JobManager::new(JobManagerOptions {
            log: Arc::clone(&log) as Arc<dyn Log>,
            completeness: Arc::clone(&log) as Arc<dyn Completeness>,
            state,
            handle: tokio::runtime::Handle::current(),
            budget: MemoryBudget::new(16 << 20),
            groups: None,
            hosts: thm_api::Hosts::default(),
        });
        Self { log, manager }
    }

    /// The source says again that everything is there.
    fn complete(&self) {
        Self::complete_on(&self.log);
    }

    fn complete_on(log: &EmbeddedLog) {
        let end = |topic: &str| log.topic(topic).unwrap().partitions[0].high_watermark;
        let ends: BTreeMap<String, Vec<Option<Offset>>> =
            [EVENTS, CONTENT].into_iter().map(|topic| (topic.to_owned(), vec![Some(end(topic))])).collect();
        let position = Position::end_of(Lsn(1_000_000));
        log.publish("source:pg", Arc::new(Complete { position, ends }));
    }
}

async fn write_sources(folder: &Path, changes: &[Change]) {
    let life = Life::begin(folder, FaultStorage::new()).await;
    for topic in [CONTENT, EVENTS] {
        life.log.create_topic(&TopicSpec::new(topic)).await.unwrap();
        let of_topic: Vec<Change> = changes.iter().filter(|change| change.topic == topic).cloned().collect();
        for part in of_topic.chunks(50) {
            let progress = Some(("source:pg".into(), Progress::at(part.last().unwrap().position())));
            let append = Append { batch: Some(batch_of(part, None)), progress };
            let appended = life.log.append(&TopicPartition::new(topic, 0), append).await.unwrap();
            appended.durable.await.unwrap();
        }
    }
    let log = Arc::clone(&life.log);
    drop(life);
    tokio::task::block_in_place(|| log.close()).unwrap();
}

/// Runs to the end without faults and gives the output.
async fn finish(folder: &Path, records: usize) -> Vec<Written> {
    let life = Life::begin(folder, FaultStorage::new()).await;
    life.complete();
    life.manager.submit(plan(&often())).unwrap();
    for _ in 0..1_000 {
        if output(&*life.log).await.len() >= records {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let found = output(&*life.log).await;
    tokio::task::block_in_place(|| life.manager.stop());
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_loses_power_at_random_moments_writes_each_record_once() {
    let changes = workload(11, 3_000);
    let wanted = undisturbed(&changes).await;
    let folder = tempfile::tempdir().unwrap();
    write_sources(folder.path(), &changes).await;
    let mut random = Random(5);
    let mut seen = Vec::new();
    for _ in 0..12 {
        let storage = FaultStorage::new();
        storage.inject(Fault::DropUnsynced("*".to_owned()));
        let life = Life::begin(folder.path(), storage.clone()).await;
        life.complete();
        life.manager.submit(plan(&often())).unwrap();
        let enough = seen.last().copied().unwrap_or(0) + random.below(300) as usize;
        seen.push(grown(&life.log, enough.min(wanted.len() - 1)).await);
        storage.crash();
        tokio::task::block_in_place(|| life.manager.stop());
    }
    assert!(seen.iter().any(|records| *records > 0 && *records < wanted.len()), "crashes came in the middle: {seen:?}");
    compare(&finish(folder.path(), wanted.len()).await, &wanted, &seen);
}

/// Keys, values, headers and timestamps, in order.
fn compare(found: &[Written], wanted: &[Written], seen: &[usize]) {
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert_eq!(found, wanted, "record {at}; lives ended at {seen:?}");
    }
    assert_eq!(found.len(), wanted.len(), "lives ended at {seen:?}");
}

/// Waits until the output has more records than so many, for as long as many reads take, and tells how many it has.
async fn grown(log: &EmbeddedLog, enough: usize) -> usize {
    let mut records = 0;
    for _ in 0..300 {
        records = output(log).await.len();
        if records > enough {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    records
}

/// Switches between two versions until the life is over.
fn switching(manager: Arc<JobManager>, over: Arc<AtomicBool>, mut random: Random) -> JoinHandle<u32> {
    std::thread::spawn(move || {
        let mut switches = 0;
        while !over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(random.below(60)));
            let text = if random.below(2) == 0 { often() } else { rewritten() };
            // A version that failed with the machine is replaced by the next life's.
            switches += u32::from(manager.replace(plan(&text)).is_ok());
        }
        switches
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_loses_power_while_versions_are_switched_writes_each_record_once() {
    let seed = std::env::var("THM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(23);
    let mut random = Random(seed);
    let changes = workload(seed, 1_000);
    let wanted = undisturbed(&changes).await;
    let folder = tempfile::tempdir().unwrap();
    write_sources(folder.path(), &changes).await;
    let (mut seen, mut switches) = (Vec::new(), 0);
    for _ in 0..6 {
        let storage = FaultStorage::new();
        storage.inject(Fault::DropUnsynced("*".to_owned()));
        let Life { log, manager } = Life::begin(folder.path(), storage.clone()).await;
        let manager = Arc::new(manager);
        Life::complete_on(&log);
        manager.submit(plan(&often())).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let switcher = switching(Arc::clone(&manager), Arc::clone(&over), Random(random.below(u64::MAX)));
        let enough = seen.last().copied().unwrap_or(0) + random.below(120) as usize;
        seen.push(grown(&log, enough.min(wanted.len() - 1)).await);
        storage.crash();
        over.store(true, Ordering::Relaxed);
        switches += tokio::task::block_in_place(|| switcher.join().unwrap());
        tokio::task::block_in_place(|| manager.stop());
    }
    assert!(switches > 0, "versions were switched");
    assert!(seen.iter().any(|records| *records > 0 && *records < wanted.len()), "crashes came in the middle: {seen:?}");
    compare(&finish(folder.path(), wanted.len()).await, &wanted, &seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_covers_no_record_that_the_machine_can_still_lose() {
    let changes = workload(7, 300);
    let wanted = undisturbed(&changes).await;
    let folder = tempfile::tempdir().unwrap();
    write_sources(folder.path(), &changes).await;
    let storage = FaultStorage::new();
    let Life { log, manager } = Life::begin(folder.path(), storage.clone()).await;
    log.create_topic(&TopicSpec::new(ENRICHED)).await.unwrap();
    // From here on the output is written, and never synced, while checkpoints could be.
    storage.inject(Fault::DropUnsynced("*".to_owned()));
    storage.inject(Fault::HoldSync(format!("{ENRICHED}-0")));
    Life::complete_on(&log);
    let id = manager.submit(plan(&often())).unwrap();
    while manager.job(&id).unwrap().records_in == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // Time for several checkpoints, if they did not wait.
    tokio::time::sleep(Duration::from_millis(500)).await;
    storage.crash();
    tokio::task::block_in_place(|| manager.stop());
    drop((log, manager));
    compare(&finish(folder.path(), wanted.len()).await, &wanted, &[]);
}

/// Numbers into a topic for each hundred of them, even and odd apart, which come when a row names them.
const ROUTED: &str = "SET 'execution.checkpointing.interval' = '60ms';
    CREATE TABLE i (v INT) WITH ('connector' = 'kafka', 'properties.bootstrap.servers' = 'x', 'topic' = 'in',
      'format' = 'json', 'scan.startup.mode' = 'earliest-offset');
    CREATE TABLE o (v INT, topic STRING METADATA) WITH ('connector' = 'kafka', 'properties.bootstrap.servers' = 'x',
      'topic-pattern' = 'out-[0-9]+-[01]', 'format' = 'json');
    INSERT INTO o SELECT v, 'out-' || CAST(v / 100 AS STRING) || '-' || CAST(MOD(v, 2) AS STRING) FROM i;";

/// Values of all topics of [`ROUTED`], by topic.
async fn routed(log: &EmbeddedLog) -> BTreeMap<String, Vec<String>> {
    let mut out = BTreeMap::new();
    for topic in log.topics().into_iter().filter(|topic| topic.spec.name.starts_with("out-")) {
        let found = records(log, &topic.spec.name).await;
        out.insert(topic.spec.name, found.iter().map(Written::text).collect());
    }
    out.retain(|_, values: &mut Vec<String>| !values.is_empty());
    out
}

/// The same, as soon as there are more than so many, or no more come.
async fn routed_beyond(log: &EmbeddedLog, enough: usize) -> BTreeMap<String, Vec<String>> {
    let mut found = routed(log).await;
    for _ in 0..500 {
        if found.values().map(Vec::len).sum::<usize>() > enough {
            break;
        }
        tokio::time::sleep(Duration::from_millis(4)).await;
        found = routed(log).await;
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_loses_power_writes_each_record_once_to_each_of_many_topics() {
    const ROWS: usize = 1_000;
    let folder = tempfile::tempdir().unwrap();
    let Life { log, manager } = Life::begin(folder.path(), FaultStorage::new()).await;
    log.create_topic(&TopicSpec::new("in")).await.unwrap();
    for first in (0..ROWS).step_by(20) {
        let mut writer = BatchWriter::new();
        for v in first..first + 20 {
            writer.push(1, None, Some(format!("{{\"v\":{v}}}").as_bytes()), &HeaderBlock::default());
        }
        let batch = LogBatch { bytes: writer.finish(), records: 20, positions: Arc::new([]), decoded: None };
        let append = Append { batch: Some(batch), progress: None };
        log.append(&TopicPartition::new("in", 0), append).await.unwrap().durable.await.unwrap();
    }
    drop(manager);
    tokio::task::block_in_place(|| log.close()).unwrap();
    drop(log);
    let mut random = Random(17);
    let mut seen = Vec::new();
    for _ in 0..10 {
        let storage = FaultStorage::new();
        storage.inject(Fault::DropUnsynced("*".to_owned()));
        let Life { log, manager } = Life::begin(folder.path(), storage.clone()).await;
        manager.submit(plan(ROUTED)).unwrap();
        let enough = seen.last().copied().unwrap_or(0) + random.below(150) as usize;
        seen.push(routed_beyond(&log, enough.min(ROWS - 1)).await.values().map(Vec::len).sum());
        storage.crash();
        tokio::task::block_in_place(|| manager.stop());
    }
    let Life { log, manager } = Life::begin(folder.path(), FaultStorage::new()).await;
    manager.submit(plan(ROUTED)).unwrap();
    let found = routed_beyond(&log, ROWS - 1).await;
    tokio::task::block_in_place(|| manager.stop());
    assert_eq!(routed(&log).await, found, "lives ended at {seen:?}");
    let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for v in 0..ROWS {
        wanted.entry(format!("out-{}-{}", v / 100, v % 2)).or_default().push(format!("null {{\"v\":{v}}}"));
    }
    assert_eq!(found, wanted, "lives ended at {seen:?}");
}
