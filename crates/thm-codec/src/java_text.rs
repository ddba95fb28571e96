//! Texts that Connect's `SimpleHeaderConverter` and Java's maps give.

use crate::debezium::{MICROS_PER_DAY, write_date_time, write_day, write_time_of_day};

/// Appends a value as Connect's `SimpleHeaderConverter` writes it, made from its JSON: in texts only quotes and backslashes
/// are escaped. What is no JSON stays as it is.
pub fn write_header_value(json: &[u8], out: &mut Vec<u8>) {
    let mut rest = json;
    while let Some(start) = rest.iter().position(|byte| *byte == b'"') {
        let (before, text) = rest.split_at(start);
        out.extend_from_slice(before);
        let mut read = serde_json::Deserializer::from_slice(text).into_iter::<String>();
        let Some(Ok(plain)) = read.next() else { return out.extend_from_slice(text) };
        out.push(b'"');
        out.extend_from_slice(plain.replace('\\', "\\\\").replace('"', "\\\"").as_bytes());
        out.push(b'"');
        rest = &text[read.byte_offset()..];
    }
    out.extend_from_slice(rest);
}

/// Appends a `java.util.Date` as `SimpleHeaderConverter` writes it: within the first day, and before 1970, a time of day
/// alone; at midnight a day alone. Milliseconds since 1970.
pub fn write_java_date(out: &mut Vec<u8>, millis: i64) {
    let micros = millis.saturating_mul(1_000);
    if micros < MICROS_PER_DAY {
        write_time_of_day(out, micros.rem_euclid(MICROS_PER_DAY), 3);
        out.push(b'Z');
    } else if micros % MICROS_PER_DAY == 0 {
        write_day(out, micros / MICROS_PER_DAY);
    } else {
        write_date_time(out, micros, 3);
    }
}

/// Sorts entries into the order in which Java's `HashMap` gives them back; those of one bucket keep the order in which
/// they came.
pub fn sort_as_hash_map<T>(entries: &mut [T], key: impl Fn(&T) -> &str) {
    let mut buckets = 16_usize;
    while entries.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    entries.sort_by_key(|entry| {
        let units = key(entry).encode_utf16();
        let hash = units.fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_value_as_connect_prints_it() {
        let mut out = Vec::new();
        write_header_value(br#"{"id":"a\"b\\c\n\uD83D\uDE00/","x":[null,""],"n":1.5}"#, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "{\"id\":\"a\\\"b\\\\c\n😀/\",\"x\":[null,\"\"],\"n\":1.5}");
    }

    #[test]
    fn dates_as_recorded() {
        let cases = [
            (1_709_164_800_000, "2024-02-29"),
            (1_709_212_455_678, "2024-02-29T13:14:15.678Z"),
            (500, "00:00:00.500Z"),
            (-2_208_988_800_000, "00:00:00.000Z"),
        ];
        for (millis, expected) in cases {
            let mut out = Vec::new();
            write_java_date(&mut out, millis);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
