//! How far a topic is: Kafka's ListOffsets, spoken by hand, because that is what any user of the log sees.
//!
//! Invariant: the number is the high watermark, so every record below it is durable.

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LIST_OFFSETS: i16 = 2;
const VERSION: i16 = 1;
/// "The end", as a time.
const LATEST: i64 = -1;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
/// No answer to one question about one partition is longer.
const MAX_ANSWER_BYTES: usize = 4096;

/// A connection to a Kafka listener.
pub(super) struct TopicEnds {
    stream: TcpStream,
}

impl TopicEnds {
    pub(super) async fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// The high watermark of partition 0; 0 while there is no such topic.
    pub(super) async fn end(&mut self, topic: &str) -> Result<i64> {
        self.stream.write_all(&request(topic)).await?;
        let length = self.stream.read_u32().await? as usize;
        if length > MAX_ANSWER_BYTES {
            bail!("an answer of {length} bytes to ListOffsets");
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        parse(&answer, topic)
    }
}

fn request(topic: &str) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(LIST_OFFSETS.to_be_bytes());
    body.extend(VERSION.to_be_bytes());
    // Correlation id; no client id; replica id of a consumer; one topic.
    body.extend(1_i32.to_be_bytes());
    body.extend((-1_i16).to_be_bytes());
    body.extend((-1_i32).to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend((topic.len() as i16).to_be_bytes());
    body.extend(topic.as_bytes());
    // One partition, 0.
    body.extend(1_i32.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend(LATEST.to_be_bytes());
    let mut framed = (body.len() as u32).to_be_bytes().to_vec();
    framed.extend(body);
    framed
}

/// Correlation id, count, name, count, partition, error, time, offset: the last two stand at the end.
fn parse(answer: &[u8], topic: &str) -> Result<i64> {
    let (Some((rest, offset)), true) = (answer.split_last_chunk::<8>(), answer.len() >= 18) else {
        bail!("an answer of {} bytes to ListOffsets", answer.len());
    };
    let error = rest.get(rest.len() - 10..rest.len() - 8).and_then(|bytes| bytes.try_into().ok());
    match error.map(i16::from_be_bytes) {
        Some(0) => Ok(i64::from_be_bytes(*offset)),
        Some(UNKNOWN_TOPIC_OR_PARTITION) => Ok(0),
        other => bail!("asking for the end of {topic}: Kafka error {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn answer(error: i16, offset: i64) -> Vec<u8> {
        let mut bytes = [1_i32.to_be_bytes(), 1_i32.to_be_bytes()].concat();
        bytes.extend([0, 1, b't']);
        bytes.extend([1_i32.to_be_bytes(), 0_i32.to_be_bytes()].concat());
        bytes.extend(error.to_be_bytes());
        bytes.extend(LATEST.to_be_bytes());
        bytes.extend(offset.to_be_bytes());
        bytes
    }

    #[test]
    fn answers_are_read() {
        assert_eq!(parse(&answer(0, 77), "t").unwrap(), 77);
        assert_eq!(parse(&answer(UNKNOWN_TOPIC_OR_PARTITION, -1), "t").unwrap(), 0);
        assert!(parse(&answer(1, -1), "t").is_err());
        assert!(parse(&[0; 5], "t").is_err());
    }
}
