//! The order in which Flink's maps have their entries: that of a Java HashMap of its binary strings, and of constants
//! that of a HashMap of Java's strings before it.

/// The hash of a text as Flink's `BinaryStringData` has it: Murmur3 of its UTF-8 bytes, seed 42, of which the last ones that
/// fill no word count one by one and with their sign.
#[must_use]
pub fn text_hash(text: &str) -> u32 {
    let mixed = |hash: u32, word: u32| {
        let word = word.wrapping_mul(0xCC9E_2D51).rotate_left(15).wrapping_mul(0x1B87_3593);
        (hash ^ word).rotate_left(13).wrapping_mul(5).wrapping_add(0xE654_6B64)
    };
    let (words, rest) = text.as_bytes().as_chunks::<4>();
    let hash = words.iter().fold(42, |hash, word| mixed(hash, u32::from_le_bytes(*word)));
    let signed = |byte: &u8| i32::from(byte.cast_signed()).cast_unsigned();
    let hash = rest.iter().fold(hash, |hash, byte| mixed(hash, signed(byte)));
    let hash = hash ^ u32::try_from(text.len()).unwrap_or(u32::MAX);
    let hash = (hash ^ (hash >> 16)).wrapping_mul(0x85EB_CA6B);
    let hash = (hash ^ (hash >> 13)).wrapping_mul(0xC2B2_AE35);
    hash ^ (hash >> 16)
}

/// The hash of a text as Java's `String` has it.
#[must_use]
pub fn string_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| hash.wrapping_mul(31).wrapping_add(unit.into()))
}

/// Where a HashMap of so many entries keeps a key of this hash; keys of one bucket keep their order.
#[must_use]
pub fn bucket(hash: u32, entries: usize) -> u32 {
    let mut buckets = 16_u32;
    while entries > buckets as usize * 3 / 4 {
        buckets *= 2;
    }
    (hash ^ (hash >> 16)) & (buckets - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_as_in_a_real_flink() {
        let written: [&[&str]; 2] =
            [&["a", "é", "b"], &["n", "y", "s", "r", "x", "z", "w", "q", "u", "v", "o", "t", "p"]];
        for keys in written {
            let buckets: Vec<u32> = keys.iter().map(|key| bucket(text_hash(key), keys.len())).collect();
            assert!(buckets.is_sorted(), "{keys:?} in {buckets:?}");
        }
        assert_eq!(string_hash("aé"), 97 * 31 + 233);
    }
}
