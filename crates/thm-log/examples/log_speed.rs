//! CPU seconds of the embedded log: write, read from the segments, read from the tail cache.
//!
//! `cargo run --release -p thm-log --example log_speed [FOLDER]`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use thm_api::{Append, Log, LogBatch, Lsn, Offset, Position, Progress, ReadLimits, TopicPartition, TopicSpec};
use thm_codec::record_batch::{BatchWriter, HeaderBlock};
use thm_log::{EmbeddedLog, LogConfig};

const RECORDS: u32 = 1_000_000;
const RECORD_BYTES: usize = 300;

/// User and system time of this process, in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // Clock ticks are 10 ms on every Linux.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// Prints what a step took.
async fn measure(name: &str, step: impl Future<Output = ()>) {
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    step.await;
    let (cpu, wall) = (cpu_seconds() - cpu, wall.elapsed().as_secs_f64());
    println!("{name:<40} cpu {cpu:6.2} s   wall {wall:6.2} s");
}

fn batches(per_batch: u32) -> Vec<LogBatch> {
    let mut writer = BatchWriter::new();
    let value = vec![b'x'; RECORD_BYTES - 20];
    let of = |batch: u32| {
        for record in 0..per_batch {
            let key = format!("{{\"id\":{:>10}}}", batch * per_batch + record);
            writer.push(1_700_000_000_000, Some(key.as_bytes()), Some(&value), &HeaderBlock::default());
        }
        let positions = (0..per_batch).map(|record| Position::new(Lsn(u64::from(batch)), u64::from(record) + 1));
        LogBatch { bytes: writer.finish(), records: per_batch, positions: positions.collect(), decoded: None }
    };
    (0..RECORDS / per_batch).map(of).collect()
}

async fn write(log: &EmbeddedLog, partition: &TopicPartition, batches: Vec<LogBatch>) {
    let producer: Arc<str> = Arc::from("source:speed");
    let mut last = None;
    for (number, batch) in batches.into_iter().enumerate() {
        let progress = Progress::at(Position::end_of(Lsn(number as u64)));
        let append = Append { batch: Some(batch), progress: Some((Arc::clone(&producer), progress)) };
        last = Some(log.append(partition, append).await.unwrap().durable);
    }
    last.unwrap().await.unwrap();
}

async fn read(log: &EmbeddedLog, partition: &TopicPartition) {
    let mut next = Offset(0);
    while next.0 < i64::from(RECORDS) {
        let limits = ReadLimits { max_bytes: 1 << 20, max_wait: Duration::ZERO };
        next = log.read(partition, next, limits).await.unwrap().batches.last().unwrap().next_offset();
    }
}

#[tokio::main]
async fn main() {
    let dir = std::env::args().nth(1).unwrap_or_else(|| "target/log-speed".to_owned());
    for (name, per_batch, tail_cache_bytes) in [("1000", 1000, 0), ("1000, all cached", 1000, 1 << 30), ("10", 10, 0)] {
        // What an earlier run left.
        let _ = std::fs::remove_dir_all(&dir);
        let log = EmbeddedLog::open(LogConfig { tail_cache_bytes, ..LogConfig::new(&dir) }).unwrap();
        let partition = TopicPartition::new("speed", 0);
        log.create_topic(&TopicSpec::new("speed")).await.unwrap();
        let batches = batches(per_batch);
        println!("{RECORDS} records of {RECORD_BYTES} bytes, {name} a batch");
        measure("  append until durable", write(&log, &partition, batches)).await;
        measure("  read", read(&log, &partition)).await;
        drop(log);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
