//! A topic on disk: made and deleted by one rename, opened partition by partition.
//!
//! ```text
//!  <dir>/ pg.public.content/ topic.json         what it was created with, and its uuid
//!                            0/ *.log *.index progress.json
//!         ~new-<uuid>/                          not finished: removed at the next open
//!         ~deleted-<uuid>/                      out of sight: removed now or at the next open
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use thm_api::{Error, ErrorKind, Result, Topic, TopicPartition, TopicSpec};
use uuid::Uuid;

use crate::meters::TopicMeters;
use crate::names;
use crate::partition::{Partition, Parts};
use crate::progress::{ProgressFile, ProgressMap};
use crate::segment::scan::Scanned;
use crate::segment::writer::SegmentWriter;
use crate::segment::{self, Segment};
use crate::storage::{Storage, TEMPORARY_PREFIX};

const METADATA_FILE: &str = "topic.json";

/// Version of a topic's folder: segments, indexes, names.
const FORMAT: u32 = 1;

/// Begins the name of every folder that is no topic.
const HIDDEN: char = '~';

/// Keys of the tail cache, never used twice in a process.
static NEXT_KEY: AtomicU64 = AtomicU64::new(0);

/// One life of a topic.
#[derive(Debug)]
pub(crate) struct TopicState {
    /// What it was created with.
    pub spec: TopicSpec,
    /// This life's identity.
    pub uuid: Uuid,
    /// By number.
    pub partitions: Vec<Arc<Partition>>,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    format: u32,
    uuid: Uuid,
    spec: TopicSpec,
}

/// Where topics live.
#[derive(Clone, Debug)]
pub(crate) struct TopicFolder {
    /// The log's folder.
    pub dir: PathBuf,
    /// The file layer.
    pub storage: Arc<dyn Storage>,
    /// Size at which segments are closed.
    pub segment_bytes: u64,
    /// How far producers may be ahead of a reader that keeps up, in bytes of memory.
    pub window_bytes: usize,
}

impl TopicState {
    /// As the API shows it.
    pub(crate) fn describe(&self) -> Topic {
        let partitions = self.partitions.iter().map(|partition| partition.info()).collect();
        Topic { spec: self.spec.clone(), uuid: self.uuid, partitions }
    }
}

impl TopicFolder {
    /// Opens every topic; removes what was not finished or already deleted.
    pub(crate) fn open_all(&self) -> Result<Vec<TopicState>> {
        let failed = |error| self.failed("opening the log", &self.dir, error);
        self.storage.create_dir(&self.dir).map_err(failed)?;
        let mut topics = Vec::new();
        for name in self.storage.list(&self.dir).map_err(failed)? {
            let dir = self.dir.join(&name);
            if name.starts_with(HIDDEN) {
                self.storage.remove_dir(&dir).map_err(failed)?;
            } else if names::is_legal(&name) {
                topics.push(self.open(&dir)?);
            } else {
                tracing::warn!(path = %dir.display(), "this is not a topic, left alone");
            }
        }
        Ok(topics)
    }

    /// Makes a topic: all of it under a hidden name, then one rename.
    pub(crate) fn create(&self, spec: &TopicSpec, now_ms: i64) -> Result<TopicState> {
        names::check_spec(spec)?;
        let uuid = Uuid::new_v4();
        let hidden = self.dir.join(format!("{HIDDEN}new-{uuid}"));
        let dir = self.dir.join(&spec.name);
        let make = || -> io::Result<()> {
            self.storage.create_dir(&hidden)?;
            let metadata = Metadata { format: FORMAT, uuid, spec: spec.clone() };
            let json = serde_json::to_vec_pretty(&metadata).map_err(io::Error::other)?;
            self.storage.write_atomic(&hidden.join(METADATA_FILE), &json)?;
            for partition in 0..spec.partitions {
                let partition = hidden.join(partition.to_string());
                self.storage.create_dir(&partition)?;
                Segment::create(&self.storage, &partition, 0, now_ms)?;
                self.storage.sync_dir(&partition)?;
            }
            self.storage.sync_dir(&hidden)?;
            self.storage.rename(&hidden, &dir)?;
            self.storage.sync_dir(&self.dir)
        };
        make().map_err(|error| self.failed("creating topic", &dir, error))?;
        self.open(&dir)
    }

    /// Takes a topic out of sight, durably, and removes its files.
    pub(crate) fn delete(&self, topic: &TopicState) -> Result<()> {
        let dir = self.dir.join(&topic.spec.name);
        let hidden = self.dir.join(format!("{HIDDEN}deleted-{}", topic.uuid));
        let hide = || {
            self.storage.rename(&dir, &hidden)?;
            self.storage.sync_dir(&self.dir)?;
            self.storage.remove_dir(&hidden)
        };
        hide().map_err(|error| self.failed("deleting topic", &dir, error))
    }

    fn open(&self, dir: &Path) -> Result<TopicState> {
        let path = dir.join(METADATA_FILE);
        let stored = self.storage.read(&path).map_err(|error| self.failed("opening topic", dir, error))?;
        let corrupt = |cause: String| {
            Error::new(ErrorKind::LogCorrupt, "opening topic", dir.display().to_string()).with_source(cause)
        };
        let stored = stored.ok_or_else(|| corrupt(format!("{METADATA_FILE} is missing")))?;
        let metadata: Metadata = serde_json::from_slice(&stored).map_err(|error| corrupt(error.to_string()))?;
        if metadata.format != FORMAT {
            return Err(corrupt(format!("it has format {}, this build reads {FORMAT}", metadata.format)));
        }
        let Metadata { uuid, spec, .. } = metadata;
        let meters = TopicMeters::new(&spec.name);
        let name: Arc<str> = Arc::from(spec.name.as_str());
        let open = |partition| {
            let id = TopicPartition { topic: Arc::clone(&name), partition };
            self.open_partition(id, dir.join(partition.to_string()), &meters).map(Arc::new)
        };
        let partitions = (0..spec.partitions).map(open).collect::<Result<_>>()?;
        Ok(TopicState { spec, uuid, partitions })
    }

    /// Checks what is there and finds where to go on.
    fn open_partition(&self, id: TopicPartition, dir: PathBuf, meters: &TopicMeters) -> Result<Partition> {
        let failed = |error| self.failed("opening partition", &dir, error);
        self.remove_unfinished(&dir).map_err(failed)?;
        let bases = segment::list(&*self.storage, &dir).map_err(failed)?;
        let corrupt = |cause: String| {
            Error::new(ErrorKind::LogCorrupt, "opening partition", dir.display().to_string()).with_source(cause)
        };
        let (Some(first), Some(last)) = (bases.first().copied(), bases.last().copied()) else {
            return Err(corrupt("it has no segment".to_owned()));
        };
        let stored = match ProgressFile::load(&*self.storage, &dir)? {
            Some(stored) if stored.segment <= last => stored,
            Some(stored) => return Err(corrupt(format!("the segment of offset {} is missing", stored.segment))),
            None if first == 0 => ProgressFile { segment: 0, bytes: 0, progress: ProgressMap::default() },
            None => {
                return Err(corrupt("old segments are gone, and so is the file that keeps their progress".to_owned()));
            }
        };
        let mut progress = stored.progress.clone();
        let mut segments = Vec::with_capacity(bases.len());
        for pair in bases.windows(2) {
            let (base, next) = (pair[0], pair[1]);
            let mut replay = replay_from(&stored, base, &mut progress);
            // A closed segment that the progress file covers is not read at all.
            let see: Option<&mut dyn FnMut(&Scanned<'_>)> =
                if base > stored.segment { Some(&mut replay) } else { None };
            segments.push(Arc::new(Segment::open_closed(&self.storage, &dir, (base, next), see)?));
        }
        let durable_bytes = if stored.segment == last { stored.bytes } else { 0 };
        let replay = replay_from(&stored, last, &mut progress);
        let active = Arc::new(Segment::open_last(&self.storage, &dir, last, durable_bytes, replay)?);
        segments.push(Arc::clone(&active));
        let storage = Arc::clone(&self.storage);
        let writer = SegmentWriter::new(Arc::clone(&storage), dir.clone(), self.segment_bytes, active, progress)
            .map_err(failed)?;
        let key = NEXT_KEY.fetch_add(1, Ordering::Relaxed);
        let window_bytes = self.window_bytes;
        Ok(Partition::new(Parts { id, key, meters: meters.clone(), dir, storage, segments, writer, window_bytes }))
    }

    /// Removes temporary files of writes that a crash cut short.
    fn remove_unfinished(&self, dir: &Path) -> io::Result<()> {
        for name in self.storage.list(dir)?.iter().filter(|name| name.starts_with(TEMPORARY_PREFIX)) {
            self.storage.remove_file(&dir.join(name))?;
        }
        Ok(())
    }

    fn failed(&self, doing: &'static str, path: &Path, error: io::Error) -> Error {
        Error::new(ErrorKind::LogIo, doing, path.display().to_string()).with_source(error)
    }
}

/// Applies the progress of frames that the stored progress does not cover.
fn replay_from(stored: &ProgressFile, base: i64, progress: &mut ProgressMap) -> impl FnMut(&Scanned<'_>) {
    let covered = match stored.segment.cmp(&base) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => stored.bytes,
        std::cmp::Ordering::Greater => u64::MAX,
    };
    move |scanned| {
        if let (true, Some(producer), Some(reached)) =
            (scanned.position >= covered, scanned.frame.producer(), scanned.frame.progress)
        {
            progress.set(producer, reached);
        }
    }
}
