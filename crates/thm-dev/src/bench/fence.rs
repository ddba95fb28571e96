//! How far the leaderboard is: the offset in its fence, which changes in one script with the board itself.
//!
//! A thread of its own asks in a loop, so that what it sees is late by the pause between two looks and not by the
//! runtime's timers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const FENCE: &str = "{thm:top:10m}:fence";
/// Between two looks: the resolution of the latency, and 2,000 cheap commands a second.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_micros(500);
/// Largest reply that is read.
const MAX_REPLY_BYTES: usize = 1 << 20;

/// A connection that sends a command and reads its reply as strings, arrays flattened.
pub(crate) struct RedisConnection {
    stream: BufReader<TcpStream>,
}

impl RedisConnection {
    pub(crate) fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).context("connecting to Redis")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    pub(crate) fn command(&mut self, words: &[&str]) -> Result<Vec<String>> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut values = Vec::new();
        self.read_reply(&mut values)?;
        Ok(values)
    }

    fn read_reply(&mut self, values: &mut Vec<String>) -> Result<()> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let (kind, rest) = line.trim_end().split_at_checked(1).context("Redis closed the connection")?;
        match kind {
            "+" | ":" => values.push(rest.to_owned()),
            "*" => {
                for _ in 0..rest.parse::<i64>()? {
                    self.read_reply(values)?;
                }
            }
            "$" if rest == "-1" => {}
            "$" => {
                let mut text = vec![0; rest.parse::<usize>()?.min(MAX_REPLY_BYTES) + 2];
                self.stream.read_exact(&mut text)?;
                text.truncate(text.len() - 2);
                values.push(String::from_utf8(text)?);
            }
            _ => bail!("Redis: {rest}"),
        }
        Ok(())
    }

    /// The next offset that the board has not counted yet; 0 while it has no fence.
    pub(crate) fn board_offset(&mut self) -> Result<i64> {
        let fields = self.command(&["HGETALL", FENCE])?;
        let offsets =
            fields.chunks_exact(2).filter(|pair| pair.first().is_some_and(|name| name.starts_with("offset:")));
        Ok(offsets.filter_map(|pair| pair.get(1)?.parse::<i64>().ok()).sum())
    }
}

/// Notes when the board reached which offset.
pub(super) struct FenceWatch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<(i64, Instant)>>>,
}

impl FenceWatch {
    pub(super) fn start(port: u16) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let mut redis = RedisConnection::connect(port)?;
        let work = move || {
            let mut steps: Vec<(i64, Instant)> = Vec::new();
            while !stopping.load(Ordering::Relaxed) {
                let offset = redis.board_offset()?;
                if steps.last().is_none_or(|(last, _)| *last != offset) {
                    steps.push((offset, Instant::now()));
                }
                std::thread::sleep(LOOK_INTERVAL);
            }
            Ok(steps)
        };
        let thread = std::thread::Builder::new().name("bench-fence".to_owned()).spawn(work)?;
        Ok(Self { stop, thread })
    }

    /// Ends the watch and gives what was noted: offset and time.
    pub(super) fn finish(self) -> Result<Vec<(i64, Instant)>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the thread that watches Redis panicked"))?
    }
}
