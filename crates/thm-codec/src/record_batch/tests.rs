//! Round trips, limits, and bytes that are no batch.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

type Plain = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

fn write(plain: &[Plain]) -> Bytes {
    let mut writer = BatchWriter::new();
    for (time, key, value, headers) in plain {
        let mut block = HeaderBlock::default();
        for (name, value) in headers {
            block.push(name, value.as_deref());
        }
        writer.push(*time, key.as_deref(), value.as_deref(), &block);
    }
    writer.finish()
}

fn read(batch: &Bytes) -> Vec<Plain> {
    let read = records(batch).unwrap().map(|record| {
        let record = record.unwrap();
        let headers = record
            .headers
            .iter()
            .map(|(name, value)| (String::from_utf8(name.to_vec()).unwrap(), value.map(|value| value.to_vec())));
        let bytes = |bytes: Option<Bytes>| bytes.map(|bytes| bytes.to_vec());
        (record.timestamp_ms, bytes(record.key), bytes(record.value), headers.collect())
    });
    read.collect()
}

fn plain_record() -> impl Strategy<Value = Plain> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..80));
    let headers = proptest::collection::vec((any::<String>(), bytes()), 0..4);
    (-1_000_000_000_000_i64..4_000_000_000_000, bytes(), bytes(), headers)
}

proptest! {
    #[test]
    fn what_is_written_reads_back(plain in proptest::collection::vec(plain_record(), 1..20)) {
        let batch = write(&plain);
        check_crc(&batch).unwrap();
        let header = BatchHeader::parse(&batch).unwrap();
        prop_assert_eq!(header.records as usize, plain.len());
        prop_assert_eq!(header.total_bytes(), batch.len());
        prop_assert_eq!(header.max_timestamp, plain.iter().map(|record| record.0).max().unwrap());
        prop_assert_eq!(read(&batch), plain);
    }

    /// Whether records are pushed or written in place, after others that were given up, and one batch after the other.
    #[test]
    fn a_value_written_in_place_gives_the_same_batch(
        batches in proptest::collection::vec(proptest::collection::vec((plain_record(), 0..4_usize), 1..8), 1..3),
    ) {
        let mut writer = BatchWriter::new();
        for batch in batches {
            for ((time, key, value, _), given_up) in &batch {
                for length in 0..*given_up {
                    writer.open().value().extend_from_slice(&vec![b'?'; 50 * length]);
                }
                let Some(value) = value else {
                    writer.push(*time, key.as_deref(), None, &HeaderBlock::default());
                    continue;
                };
                let mut record = writer.open();
                value.chunks(7).for_each(|part| record.value().extend_from_slice(part));
                record.close(*time, key.as_deref(), &HeaderBlock::default());
            }
            prop_assert_eq!(writer.len() as usize, batch.len());
            writer.open().value().extend_from_slice(b"?");
            let plain: Vec<Plain> =
                batch.into_iter().map(|((time, key, value, _), _)| (time, key, value, Vec::new())).collect();
            let pushed = write(&plain);
            prop_assert_eq!(writer.byte_len(), pushed.len());
            prop_assert_eq!(writer.finish(), pushed);
        }
    }

    #[test]
    fn compressed_bodies_read_back(plain in proptest::collection::vec(plain_record(), 1..20)) {
        let batch = write(&plain);
        for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
            let small = compress(&batch, compression).unwrap();
            prop_assert_eq!(BatchHeader::parse(&small).unwrap().compression(), compression);
            prop_assert_eq!(&decompress(&small, 1 << 20).unwrap(), &batch);
        }
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic(
        plain in proptest::collection::vec(plain_record(), 1..4),
        cut in any::<prop::sample::Index>(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut bytes = write(&plain).to_vec();
        for (at, with) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= with;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let bytes = Bytes::from(bytes);
        let _ = check_crc(&bytes);
        let _ = decompress(&bytes, 1 << 16);
        if let Ok(records) = records(&bytes) {
            for record in records.flatten() {
                record.headers.iter().for_each(drop);
            }
        }
    }
}

#[test]
fn a_changed_byte_is_seen_and_a_changed_base_offset_is_not_damage() {
    let mut bytes = write(&[(5, None, Some(b"value".to_vec()), Vec::new())]).to_vec();
    set_base_offset(&mut bytes, 1_234);
    check_crc(&bytes).unwrap();
    assert_eq!(BatchHeader::parse(&bytes).unwrap().next_offset(), 1_235);
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(check_crc(&bytes), Err(CodecError::Crc { .. })));
}

#[test]
fn java_snappy_framing_is_read() {
    let batch = write(&[(5, None, Some(vec![b'x'; 500]), Vec::new())]);
    let raw = compress(&batch, Compression::Snappy).unwrap();
    let block = &raw[HEADER_BYTES..];
    let mut framed = raw[..HEADER_BYTES].to_vec();
    framed.extend_from_slice(b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    framed.extend_from_slice(&(block.len() as u32).to_be_bytes());
    framed.extend_from_slice(block);
    let length = (framed.len() - 12) as i32;
    framed[8..12].copy_from_slice(&length.to_be_bytes());
    super::writer::recompute_crc(&mut framed);
    assert_eq!(decompress(&Bytes::from(framed), 1 << 20).unwrap(), batch);
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let batch = write(&[(5, None, Some(vec![0; 100_000]), Vec::new())]);
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let small = compress(&batch, compression).unwrap();
        assert_eq!(decompress(&small, 50_000), Err(CodecError::TooLarge(50_000)));
    }
}

#[test]
fn an_empty_writer_gives_no_batch() {
    assert!(BatchWriter::new().finish().is_empty());
}
