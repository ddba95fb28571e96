//! A channel with its buffer: frames out, bytes in, and the wait between them.
//!
//! ```text
//!   fill (waits, reads once) ──▶ frame, frame, … ──none left──▶ fill
//! ```
//!
//! While the pace is by the clock, the socket is not registered with the runtime: a registered one would wake a worker
//! for each message, though nobody waits for it.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use thm_tls::PostgresTls;
use tokio::io::Interest;

use super::channel::{Channel, Watch};
use super::frame::Frame;
use super::pace::{Pace, Wait};
use super::read_buffer::{ReadBuffer, ReadSize};
use super::wire_error::WireError;

/// See the module.
pub struct Connection {
    channel: Arc<Channel>,
    /// Present while readiness is waited for.
    watch: Option<Watch>,
    buffer: ReadBuffer,
    pace: Pace,
    /// The last read filled the buffer: the next one need not wait.
    more: bool,
}

impl Connection {
    /// Connects. `name` is what the server's certificate must be for, if that counts.
    pub async fn connect(host: &str, port: u16, name: &str, tls: &PostgresTls) -> io::Result<Self> {
        let channel = Arc::new(Channel::connect(host, port, name, tls).await?);
        let (buffer, pace) = (ReadBuffer::default(), Pace::new(Instant::now()));
        Ok(Self { channel, watch: None, buffer, pace, more: false })
    }

    /// The other way in: for statuses from another task.
    pub fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let mut is_sent = self.channel.send(message)?;
        while !is_sent {
            let watch = watch(&mut self.watch, &self.channel)?;
            watch.ready(Interest::WRITABLE).await?;
            let flushed = watch.try_io(Interest::WRITABLE, || {
                if self.channel.send(&[])? { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
            });
            is_sent = would_block(flushed)?.is_some();
        }
        Ok(())
    }

    /// The next whole frame that is there; its body is [`Self::body`]'s until the next [`Self::fill`].
    #[inline]
    pub fn frame(&mut self, max_body_bytes: usize) -> Result<Option<Frame>, WireError> {
        Ok(self.buffer.frame(max_body_bytes)?)
    }

    /// Bytes of a frame.
    #[inline]
    pub fn body(&self, range: Range<usize>) -> &[u8] {
        self.buffer.body(range)
    }

    /// Whether messages come faster than it is worth to wake for each.
    pub fn is_flooded(&self) -> bool {
        self.more || self.pace.wait() != Wait::Readiness
    }

    /// Waits, and reads once. Cancel-safe.
    pub async fn fill(&mut self) -> Result<(), WireError> {
        loop {
            let read = match self.pace.wait() {
                _ if self.more => self.read_now()?,
                Wait::Until(end) => {
                    self.watch = None;
                    tokio::time::sleep_until(end.into()).await;
                    self.read_now()?
                }
                Wait::Readiness => self.read_when_ready().await?,
            };
            self.more = read.is_some_and(|read| read.filled);
            self.pace.read(Instant::now(), read.map_or(0, |read| read.bytes));
            match read {
                Some(ReadSize { bytes: 0, .. }) => return Err(WireError::Ended),
                Some(_) => return Ok(()),
                None => {}
            }
        }
    }

    /// The same of a sender that is mostly faster than we are: what is there is read at once, without a wait for it.
    /// Cancel-safe.
    pub async fn fill_at_once(&mut self) -> Result<(), WireError> {
        loop {
            let read = match self.read_now()? {
                None => self.read_when_ready().await?,
                read => read,
            };
            // Registered, it would wake a worker for each message.
            self.watch = None;
            match read {
                Some(ReadSize { bytes: 0, .. }) => return Err(WireError::Ended),
                Some(_) => return Ok(()),
                None => {}
            }
        }
    }

    /// `None`: nothing was there.
    fn read_now(&mut self) -> io::Result<Option<ReadSize>> {
        would_block(self.buffer.read(|free| self.channel.read(free)))
    }

    async fn read_when_ready(&mut self) -> io::Result<Option<ReadSize>> {
        let Self { channel, buffer, .. } = self;
        let watch = watch(&mut self.watch, channel)?;
        watch.ready(Interest::READABLE).await?;
        let mut size = None;
        let read = watch.try_io(Interest::READABLE, || {
            let read = size.insert(buffer.read(|free| channel.read(free))?);
            // A short read has emptied the socket: said so here, the next wait needs no read that finds nothing.
            if read.filled { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        });
        would_block(read)?;
        Ok(size)
    }
}

/// The registration, made if there is none: a new one tells at once what is there already.
fn watch<'a>(held: &'a mut Option<Watch>, channel: &Channel) -> io::Result<&'a Watch> {
    match held {
        Some(watch) => Ok(watch),
        None => Ok(held.insert(channel.watch()?)),
    }
}

/// `None` where there is only to wait.
fn would_block<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}
