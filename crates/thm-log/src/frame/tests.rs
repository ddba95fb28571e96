//! Round trips of any frame; no bytes make the decoder panic.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use thm_api::{Lsn, Position, Progress};

use super::*;

fn position() -> impl Strategy<Value = Position> {
    (any::<u64>(), any::<u64>()).prop_map(|(lsn, ordinal)| Position::new(Lsn(lsn), ordinal))
}

fn progress() -> impl Strategy<Value = (String, Progress)> {
    let progress = (position(), any::<u32>(), any::<i64>());
    ("[a-z:.]{0,40}", progress.prop_map(|(position, input, offset)| Progress { position, input, offset }))
}

fn encode(base_offset: i64, body: &[u8], positions: &[Position], progress: Option<(&str, Progress)>) -> Vec<u8> {
    let batch =
        if positions.is_empty() && body.is_empty() { vec![] } else { [&base_offset.to_be_bytes(), body].concat() };
    let records = if batch.is_empty() { 0 } else { positions.len().max(1) as u32 };
    let mut out = Vec::new();
    let frame = FrameRef { base_offset, records, batch: &batch, positions, progress, synced: 77 };
    let length = encode_head(&mut out, &frame);
    out.extend_from_slice(&batch);
    assert_eq!(length, out.len() as u64);
    out
}

proptest! {
    #[test]
    fn any_frame_comes_back(
        base_offset in 0..i64::MAX - 1000,
        body in vec(any::<u8>(), 0..300),
        positions in vec(position(), 0..50),
        progress in option::of(progress()),
        trailing in vec(any::<u8>(), 0..20),
    ) {
        let given = progress.as_ref().map(|(name, progress)| (name.as_str(), *progress));
        let mut bytes = encode(base_offset, &body, &positions, given);
        let length = bytes.len();
        bytes.extend_from_slice(&trailing);
        let bytes = Bytes::from(bytes);
        let frame = Frame::decode(&bytes).unwrap();
        prop_assert_eq!(frame.length, length);
        prop_assert_eq!(frame.base_offset, base_offset);
        prop_assert_eq!(frame.synced, 77);
        prop_assert_eq!(frame.producer().zip(frame.progress), given);
        prop_assert_eq!(&*frame.positions().unwrap(), &positions[..]);
        let batch = frame.batch(&bytes);
        prop_assert_eq!(batch.get(8..).unwrap_or_default(), &body[..]);
        prop_assert_eq!(peek(&bytes).unwrap().next_offset(), frame.next_offset());
    }

    #[test]
    fn every_cut_is_short_and_every_flipped_bit_is_seen(
        body in vec(any::<u8>(), 1..60),
        positions in vec(position(), 0..5),
        progress in option::of(progress()),
        bit in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let given = progress.as_ref().map(|(name, progress)| (name.as_str(), *progress));
        let mut bytes = encode(5, &body, &positions, given);
        let cut = cut.index(bytes.len());
        prop_assert!(matches!(Frame::decode(&bytes[..cut]), Err(FrameError::Short(need)) if need > cut));
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Frame::decode(&bytes).is_err());
    }

    #[test]
    fn garbage_never_panics(mut bytes in vec(any::<u8>(), 0..400), marked in any::<bool>()) {
        if marked && bytes.len() >= 4 {
            bytes[..4].copy_from_slice(&MARKER);
        }
        if let Ok(frame) = Frame::decode(&bytes) {
            let _ = frame.positions();
        }
        let _ = peek(&bytes);
    }
}

#[test]
fn a_run_of_one_transaction_takes_two_bytes_a_record() {
    let positions: Vec<_> = (1..=1000).map(|ordinal| Position::new(Lsn(1 << 40), ordinal)).collect();
    let bytes = encode(0, b"x", &positions, None);
    assert!(bytes.len() < FIXED_BYTES + 2 * 1000 + 32, "{}", bytes.len());
}
