//! What encoding costs: made-up frames of the replication stream, and the stages that a row of them goes through.
//!
//! ```text
//!   Sample ──frames──▶ decode ──▶ envelope ──▶ seal ──▶ SourceAppend, for the log
//!                      frame,      JSON,       CRC,
//!                      message,    key,        Arrow arrays
//!                      tuple       columns
//! ```
//! No I/O: `thm bench` holds the clock. Invariant: the frames are those a server sends for the table with the option
//! `binary`, and every stage is the one the stream itself uses.

use std::sync::Arc;

use thm_api::{ConnectorConfig, Error, ErrorKind, Lsn, Op, Position, Result, SourceAppend};
use thm_codec::debezium::{Change, ContextHeaders};

use crate::encoder::{Encoder, RowChange, RowOrigin, Rules};
use crate::options::Options;
use crate::pgoutput::{Message, Relation, RelationColumn};
use crate::stream::now;
use crate::table::{ColumnFacts, Table, TableFacts};
use crate::transaction::TransactionBuffer;
use crate::transport::frame::{self, StreamMessage};

const OID: u32 = 16_400;
/// Microseconds since 2000 and since 1970 of a moment in 2026.
const MOMENT_US: [i64; 2] = [841_000_000_000_000, 1_787_684_800_000_000];

/// A table, and one frame of the stream for each of some rows of it.
pub struct Sample {
    /// What it is, for a report.
    pub name: &'static str,
    relation: Relation,
    facts: TableFacts,
    frames: Vec<u8>,
}

/// A row's value in binary form.
type Value = fn(u64) -> Option<Vec<u8>>;

/// A column: name, type, and its values.
type SampleColumn = (String, u32, Value);

impl Sample {
    /// The events of the demo.
    #[must_use]
    pub fn events(rows: u64) -> Self {
        Self::new("engagement_events", &event_columns(), rows)
    }

    /// Fifty columns: those of the events, and again and again the types that tables are mostly made of.
    #[must_use]
    pub fn wide(rows: u64) -> Self {
        let kinds: [(u32, Value); 6] =
            [(23, duration), (25, device), (1184, moment), (20, number), (1700, price), (16, flag)];
        let more = (0..42).map(|index| {
            let (oid, value) = kinds[index % kinds.len()];
            (format!("column_{index}"), oid, value)
        });
        let columns: Vec<SampleColumn> = event_columns().into_iter().chain(more).collect();
        Self::new("a table of 50 columns", &columns, rows)
    }

    fn new(name: &'static str, columns: &[SampleColumn], rows: u64) -> Self {
        let told = |(index, (name, oid, _)): (usize, &SampleColumn)| RelationColumn {
            identity: index == 0,
            name: name.clone(),
            type_oid: *oid,
            type_modifier: -1,
        };
        let relation = Relation {
            oid: OID,
            schema: "public".to_owned(),
            name: "engagement_events".to_owned(),
            identity: b'd',
            columns: columns.iter().enumerate().map(told).collect(),
        };
        let facts = (columns.iter()).map(|(name, ..)| ColumnFacts { name: name.clone(), ..ColumnFacts::default() });
        let facts =
            TableFacts { key: vec!["id".to_owned()], columns: facts.collect(), types: crate::types::Types::default() };
        let mut frames = Vec::new();
        for row in 0..rows {
            push_frame(&mut frames, columns, row);
        }
        Self { name, relation, facts, frames }
    }
}

/// A CopyData frame with an insert.
fn push_frame(out: &mut Vec<u8>, columns: &[SampleColumn], row: u64) {
    let start = out.len();
    out.push(b'd');
    out.extend_from_slice(&[0; 4]);
    out.push(b'w');
    out.extend_from_slice(&(0x0171_4000_0000 + row * 200).to_be_bytes());
    out.extend_from_slice(&[0; 16]);
    out.push(b'I');
    out.extend_from_slice(&OID.to_be_bytes());
    out.push(b'N');
    out.extend_from_slice(&(columns.len() as u16).to_be_bytes());
    for (_, _, value) in columns {
        match value(row) {
            None => out.push(b'n'),
            Some(bytes) => {
                out.push(b'b');
                out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
                out.extend_from_slice(&bytes);
            }
        }
    }
    let length = (out.len() - start - 1) as u32;
    out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
}

fn event_columns() -> Vec<SampleColumn> {
    let columns: [(&str, u32, Value); 8] = [
        ("id", 20, number),
        ("content_id", 2950, |row| identity(row % 20)),
        ("user_id", 2950, identity),
        ("event_type", 25, |row| Some([&b"play"[..], b"finish", b"pause", b"click"][row as usize % 4].to_vec())),
        ("event_ts", 1184, moment),
        ("duration_ms", 23, duration),
        ("device", 25, device),
        ("raw_payload", 3802, |row| Some(format!("\u{1}{{\"app\": \"4.2\", \"session\": {row}}}").into_bytes())),
    ];
    columns.into_iter().map(|(name, oid, value)| (name.to_owned(), oid, value)).collect()
}

fn number(row: u64) -> Option<Vec<u8>> {
    Some((row + 1_000_000).to_be_bytes().to_vec())
}

fn identity(row: u64) -> Option<Vec<u8>> {
    let half = row.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    Some([half, half].concat())
}

fn moment(row: u64) -> Option<Vec<u8>> {
    Some((MOMENT_US[0] + row as i64 * 1_000).to_be_bytes().to_vec())
}

fn duration(row: u64) -> Option<Vec<u8>> {
    (row % 5 < 3).then(|| (row as u32 % 600_000).to_be_bytes().to_vec())
}

fn device(row: u64) -> Option<Vec<u8>> {
    Some([&b"ios"[..], b"android", b"web-chrome", b"web-safari"][row as usize % 4].to_vec())
}

/// 19.95, and other cents.
fn price(row: u64) -> Option<Vec<u8>> {
    let fields = [2_u16, 0, 0, 2, 19, (row % 100 * 100) as u16];
    Some(fields.iter().flat_map(|field| field.to_be_bytes()).collect())
}

fn flag(row: u64) -> Option<Vec<u8>> {
    Some(vec![(row % 2) as u8])
}

/// Takes rows of a [`Sample`] through the stages, as the stream does with transactions of 100 rows.
pub struct Stages {
    encoder: Encoder,
    buffer: TransactionBuffer,
    position: Position,
    commits: u64,
}

impl Stages {
    /// An encoder that knows the sample's table. `config` is a connector's.
    ///
    /// # Errors
    /// As [`Options::parse`] and [`Table::new`].
    pub fn new(sample: &Sample, config: &ConnectorConfig) -> Result<Self> {
        let options = Options::parse(config)?;
        let headers = ContextHeaders::new(options.envelope, options.context_headers, &options.prefix, 0, "run");
        let mut encoder = Encoder::new(headers, Rules { tombstones: true, ..Rules::default() });
        encoder.set_table(Arc::new(Table::new(sample.relation.clone(), &sample.facts, &options)?))?;
        let buffer = TransactionBuffer::new(options.spool, usize::MAX);
        Ok(Self { encoder, buffer, position: Position::default(), commits: 0 })
    }

    /// Frames to messages, held until their commit: `rows` of the sample from `at` on. Gives where they end.
    ///
    /// # Errors
    /// Never, for a sample's own frames.
    pub fn decode(&mut self, sample: &Sample, mut at: usize, rows: usize) -> Result<usize> {
        self.buffer.clear();
        for _ in 0..rows {
            let rest = sample.frames.get(at..).unwrap_or_default();
            let Some(frame) = frame::split(rest, frame::DEFAULT_MAX_BODY_BYTES).map_err(malformed)? else { break };
            let message = StreamMessage::parse(rest.get(frame.body.clone()).unwrap_or_default()).map_err(malformed)?;
            if let StreamMessage::XLogData { start, data, .. } = message {
                self.buffer.push(start, data)?;
            }
            at += frame.body.end;
        }
        self.buffer.finish()?;
        Ok(at)
    }

    /// Messages to tuples, without encoding them: what [`Self::envelope`] does of decoding. Gives how many there were.
    ///
    /// # Errors
    /// Never, for a sample's own frames.
    pub fn tuples(&mut self) -> Result<u64> {
        let mut rows = 0;
        while let Some((_, bytes)) = self.buffer.peek()? {
            rows += u64::from(matches!(
                std::hint::black_box(Message::decode(bytes).map_err(malformed)?),
                Message::Insert { .. }
            ));
            self.buffer.advance();
        }
        self.buffer.finish()?;
        Ok(rows)
    }

    /// Held messages to records: tuples, JSON, keys and columns.
    ///
    /// # Errors
    /// Never, for a sample's own frames.
    pub fn envelope(&mut self) -> Result<()> {
        let mut made = now();
        while let Some((lsn, bytes)) = self.buffer.peek()? {
            let message = Message::decode(bytes).map_err(malformed)?;
            if self.position.ordinal.is_multiple_of(100) {
                (self.commits, made) = (self.commits + 1, now());
                self.position = Position::new(Lsn(0x0171_4000_0000 + self.commits * 20_000), 0);
            }
            self.position.ordinal += 1;
            if let Message::Insert { relation, new } = message {
                let change = Change {
                    commit_us: MOMENT_US[1] + self.commits as i64 * 1_000,
                    last_commit: Some(self.position.commit_end.0 - 20_000),
                    lsn: lsn.0,
                    tx_id: 700 + self.commits,
                    ..Change::default()
                };
                let origin = RowOrigin { position: self.position, change, now: made };
                self.encoder.push(relation, RowChange::Insert(Op::Create, new), &origin)?;
            }
            self.buffer.advance();
        }
        Ok(())
    }

    /// Records to what is appended.
    ///
    /// # Errors
    /// As [`Encoder::cut`].
    pub fn seal(&mut self) -> Result<Vec<SourceAppend>> {
        self.encoder.cut()
    }
}

fn malformed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::SourceDecode, "reading a sample", "frames").with_source(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_row_of_a_sample_becomes_a_record() {
        let values =
            [("database.hostname", "h"), ("database.user", "u"), ("database.dbname", "d"), ("topic.prefix", "pg")];
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let config = ConnectorConfig::new(values);
        for (sample, columns) in [(Sample::events(250), 8), (Sample::wide(250), 50)] {
            let mut stages = Stages::new(&sample, &config).unwrap();
            let end = stages.decode(&sample, 0, 1_000).unwrap();
            assert_eq!((end, stages.tuples().unwrap()), (sample.frames.len(), 250));
            stages.envelope().unwrap();
            let appends = stages.seal().unwrap();
            let batch = &appends[0].batch;
            assert_eq!((batch.records, batch.decoded.as_ref().unwrap().rows.num_columns()), (250, columns));
        }
    }
}
