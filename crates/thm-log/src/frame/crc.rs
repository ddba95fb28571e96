//! CRC32C of a batch without its base offset, from the CRC that the batch carries itself.
//!
//! ```text
//!   0        8          17    21                                 end
//!   │ base   │ length … │ CRC │ attributes, records …              │
//!            └── head: computed ─┘ └── body: the batch's own CRC ──┘     joined: head moved on by the body's length, xor
//! ```
//! Invariant: the batch's own CRC is right, as whoever appends it promises. Where its bytes were damaged in memory after
//! they were sealed, the frame's checksum is wrong too, so that nobody takes them for good.

/// Where the batch's CRC stands, and where what it covers begins.
const CRC_AT: usize = 17;
const BODY_FROM: usize = 21;

/// Smaller batches are summed up anew: that takes no longer than to join two sums.
const JOIN_FROM_BYTES: usize = 8 << 10;

/// CRC32C's polynomial. Bits stand in reverse: the highest is the constant term.
const POLYNOMIAL: u32 = 0x82F6_3B78;
const ONE: u32 = 1 << 31;

/// x to the power of 2 to the n, modulo the polynomial.
const POWERS: [u32; 32] = {
    let mut powers = [ONE >> 1; 32];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = product(powers[at - 1], powers[at - 1]);
        at += 1;
    }
    powers
};

/// Of all of a batch but its base offset, which `batch` begins with; 0 of none.
pub(super) fn without_base_offset(batch: &[u8]) -> u32 {
    match (batch.get(super::BASE_OFFSET_BYTES..BODY_FROM), batch.get(BODY_FROM..)) {
        (Some(head), Some(body)) if body.len() >= JOIN_FROM_BYTES => {
            let of_body = batch[CRC_AT..BODY_FROM].iter().fold(0, |crc, byte| (crc << 8) | u32::from(*byte));
            join(crc32c::crc32c(head), of_body, body.len())
        }
        _ => crc32c::crc32c(batch.get(super::BASE_OFFSET_BYTES..).unwrap_or_default()),
    }
}

/// The sum of two parts, the second of so many bytes: the first is what it would be with as many zeros behind it. The crate has
/// a function for it, which takes as long as 200 KB take to be summed up.
fn join(first: u32, second: u32, second_bytes: usize) -> u32 {
    let mut shift = ONE;
    // Eight bits a byte: one place is worth x to the power of 8.
    let (mut left, mut power) = (second_bytes, 3);
    while left > 0 {
        if left & 1 == 1 {
            shift = product(POWERS[power % POWERS.len()], shift);
        }
        (left, power) = (left >> 1, power + 1);
    }
    product(shift, first) ^ second
}

/// Of two polynomials, modulo the polynomial.
const fn product(left: u32, mut right: u32) -> u32 {
    let (mut sum, mut bit) = (0, ONE);
    while bit > 0 {
        if left & bit != 0 {
            sum ^= right;
        }
        right = if right & 1 == 1 { (right >> 1) ^ POLYNOMIAL } else { right >> 1 };
        bit >>= 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use thm_codec::record_batch::{BatchWriter, HeaderBlock, set_base_offset};

    use super::*;

    proptest! {
        #[test]
        fn two_sums_give_that_of_the_whole(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            cut in any::<prop::sample::Index>(),
        ) {
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            let joined = join(crc32c::crc32c(first), crc32c::crc32c(second), second.len());
            prop_assert_eq!(joined, crc32c::crc32c(&bytes));
        }
    }

    #[test]
    fn the_sum_of_a_batch_is_that_of_its_bytes() {
        for value_bytes in [0, 1, JOIN_FROM_BYTES - 1, JOIN_FROM_BYTES, 1 << 20, (1 << 20) + 7] {
            let mut writer = BatchWriter::new();
            writer.push(
                1_700_000_000_000,
                Some(b"{\"id\":1}"),
                Some(&vec![b'v'; value_bytes]),
                &HeaderBlock::default(),
            );
            let mut batch = writer.finish().to_vec();
            set_base_offset(&mut batch, 1_234_567);
            assert_eq!(without_base_offset(&batch), crc32c::crc32c(&batch[8..]), "{value_bytes}");
            // What was damaged since it was sealed is never taken for good.
            *batch.last_mut().unwrap() ^= 4;
            assert_eq!(
                without_base_offset(&batch) == crc32c::crc32c(&batch[8..]),
                batch.len() < BODY_FROM + JOIN_FROM_BYTES,
                "{value_bytes}"
            );
        }
        assert_eq!(without_base_offset(&[]), 0);
    }
}
