//! The headers `thm.op`, `thm.pos`, `thm.ts` and `thm.old`: where a record of our own jobs comes from.
//!
//! A record without all of the first three is foreign.

use thm_api::{Op, Origin, Position};

use crate::record_batch::{HeaderBlock, Headers};

/// Debezium's letter.
pub const OP: &str = "thm.op";
/// [`Position`] as text.
pub const POSITION: &str = "thm.pos";
/// Commit time, microseconds since 1970, as decimal text.
pub const COMMIT_US: &str = "thm.ts";
/// The old row as JSON, for updates and deletes where it is known.
pub const OLD: &str = "thm.old";

/// The one connector that a record is for; all others pass it over. `thm dlq replay` writes it.
pub const TO: &str = "thm.to";
/// Queue, partition and offset that a record was replayed from, as `dlq.sink/0/17`. `thm dlq replay` writes it.
pub const REPLAY: &str = "thm.replay";

/// Appends the headers of one record to `block`.
pub fn push_headers(block: &mut HeaderBlock, op: Op, position: Position, commit_us: i64, old: Option<&[u8]>) {
    block.push(OP, Some(op.as_str().as_bytes()));
    block.push(POSITION, Some(PositionText::of(position).bytes()));
    block.push(COMMIT_US, Some(itoa::Buffer::new().format(commit_us).as_bytes()));
    if let Some(old) = old {
        block.push(OLD, Some(old));
    }
}

/// Reads them back; `None` for a foreign record.
#[must_use]
pub fn parse(headers: &Headers) -> Option<Origin> {
    let (mut op, mut position, mut commit_us, mut old) = (None, None, None, None);
    for (name, value) in headers.borrowed() {
        let Some(value) = value else { continue };
        match name {
            b"thm.op" => op = value.first().copied().and_then(Op::from_letter),
            b"thm.pos" => position = std::str::from_utf8(value).ok()?.parse::<Position>().ok(),
            b"thm.ts" => commit_us = std::str::from_utf8(value).ok()?.parse::<i64>().ok(),
            b"thm.old" => old = Some(headers.share(value)),
            _ => {}
        }
    }
    Some(Origin { op: op?, position: position?, commit_us: commit_us?, old })
}

/// Whether these are the three headers of a change with `op`, and no other: what their values are is known where the
/// batch's rows are. The block begins with its first header, `thm.op`, whose lengths are zigzag varints.
#[must_use]
pub fn are_plain(headers: &Headers, op: Op) -> bool {
    let name = headers.encoded().strip_prefix(b"\x0cthm.op\x02");
    headers.len() == 3 && name.is_some_and(|rest| rest.starts_with(op.as_str().as_bytes()))
}

/// A position as its `Display` shows it, on the stack: it is written for every record. The longest has 38 characters.
struct PositionText {
    text: [u8; 48],
    used: usize,
}

impl PositionText {
    fn of(position: Position) -> Self {
        let mut out = Self { text: [0; 48], used: 0 };
        let lsn = position.commit_end.0;
        out.hexadecimal((lsn >> 32) as u32);
        out.add(b"/");
        out.hexadecimal(lsn as u32);
        out.add(b":");
        out.add(itoa::Buffer::new().format(position.ordinal).as_bytes());
        out
    }

    /// Without zeros before it.
    fn hexadecimal(&mut self, number: u32) {
        let digits = (35 - (number | 1).leading_zeros()) / 4;
        for digit in (0..digits).rev() {
            let value = (number >> (4 * digit)) & 0xF;
            self.add(&[b"0123456789ABCDEF"[value as usize]]);
        }
    }

    fn add(&mut self, part: &[u8]) {
        self.text[self.used..self.used + part.len()].copy_from_slice(part);
        self.used += part.len();
    }

    fn bytes(&self) -> &[u8] {
        &self.text[..self.used]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use thm_api::Lsn;

    use super::*;
    use crate::record_batch::{BatchWriter, records};

    #[test]
    fn round_trip_through_a_batch() {
        let position = Position::new(Lsn(u64::MAX), u64::MAX);
        let mut block = HeaderBlock::default();
        push_headers(&mut block, Op::Update, position, -5, Some(b"{}"));
        let mut writer = BatchWriter::new();
        writer.push(1, None, Some(b"v"), &block);
        writer.push(1, None, Some(b"v"), &HeaderBlock::of(&[("thm.op", b"u")]));
        let batch = writer.finish();
        let read: Vec<_> = records(&batch).unwrap().map(|record| parse(&record.unwrap().headers)).collect();
        let origin = read[0].clone().unwrap();
        assert_eq!((origin.op, origin.position, origin.commit_us), (Op::Update, position, -5));
        assert_eq!(origin.old.unwrap().as_ref(), b"{}");
        assert!(read[1].is_none());
    }

    #[test]
    fn plain_headers_are_known_by_their_first() {
        let headers = |op, old: Option<&[u8]>, more: bool| {
            let mut block = HeaderBlock::default();
            push_headers(&mut block, op, Position::default(), 7, old);
            if more {
                block.push(TO, Some(b"c"));
            }
            let mut writer = BatchWriter::new();
            writer.push(1, None, None, &block);
            records(&writer.finish()).unwrap().next().unwrap().unwrap().headers
        };
        assert!(are_plain(&headers(Op::Create, None, false), Op::Create));
        assert!(!are_plain(&headers(Op::Create, None, false), Op::Read));
        assert!(!are_plain(&headers(Op::Create, None, true), Op::Create));
        assert!(!are_plain(&headers(Op::Update, Some(b"{}"), false), Op::Update));
        assert!(!are_plain(&Headers::default(), Op::Create));
    }
    proptest! {
        #[test]
        fn a_position_is_written_as_it_is_shown(lsn in any::<u64>(), shift in 0..64_u32, ordinal in any::<u64>()) {
            let position = Position::new(Lsn(lsn >> shift), ordinal >> shift);
            let written = PositionText::of(position);
            let shown = position.to_string();
            prop_assert_eq!(written.bytes(), shown.as_bytes());
        }
    }
}
