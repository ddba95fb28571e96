//! Text of single values, appended to a buffer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::java_json::write_string;

/// Microseconds of a day.
pub const MICROS_PER_DAY: i64 = 86_400_000_000;
/// PostgreSQL counts days from 2000-01-01: so many days after 1970-01-01.
pub const PG_EPOCH_DAYS: i32 = 10_957;
/// PostgreSQL counts microseconds from 2000-01-01: so many after 1970-01-01.
pub const PG_EPOCH_MICROS: i64 = PG_EPOCH_DAYS as i64 * MICROS_PER_DAY;

/// Decimal digits of an integer.
pub fn write_int(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// `"name":`, as rendered once per column.
#[must_use]
pub fn write_field_name(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 3);
    write_string(&mut out, name);
    out.push(b':');
    out
}

/// An LSN inside the JSON text that `source.sequence` is: `\"123\"`, or `null`.
pub fn write_sequence_number(out: &mut Vec<u8>, lsn: Option<u64>) {
    match lsn {
        None => out.extend_from_slice(b"null"),
        Some(lsn) => {
            out.extend_from_slice(b"\\\"");
            write_int(out, lsn);
            out.extend_from_slice(b"\\\"");
        }
    }
}

/// Two hexadecimal digits of each byte.
const HEX_PAIRS: [[u8; 2]; 256] = {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [HEX[byte >> 4], HEX[byte & 15]];
        byte += 1;
    }
    pairs
};

/// `00` to `99`.
const DECIMAL_PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// The canonical text of a uuid, without quotes.
pub fn write_uuid(out: &mut Vec<u8>, uuid: &[u8; 16]) {
    const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let mut text = [b'-'; 36];
    for (byte, at) in uuid.iter().zip(PLACES) {
        text[at..at + 2].copy_from_slice(&HEX_PAIRS[usize::from(*byte)]);
    }
    out.extend_from_slice(&text);
}

/// Base64 with padding, without quotes.
pub fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

/// `2024-01-02T03:04:05.678901Z` of microseconds since 1970, with `digits` (0 to 6) digits of the fraction, without
/// quotes. Years beyond four digits carry a sign, as Java's ISO formatter writes them.
pub fn write_date_time(out: &mut Vec<u8>, micros: i64, digits: usize) {
    let (days, of_day) = (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY));
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let (year, month, day) = civil(days);
    if (0..=9999).contains(&year) && digits == 6 {
        put_day(&mut text, year as u64, month, day);
        put_time(&mut text[11..], of_day);
        put_fraction(&mut text[20..], of_day);
        out.extend_from_slice(&text);
        return;
    }
    write_day(out, days);
    out.push(b'T');
    write_time_of_day(out, of_day, digits);
    out.push(b'Z');
}

/// `2024-01-02` of days since 1970; years beyond four digits carry a sign, as Java's ISO formatter writes them.
pub fn write_day(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil(days);
    if year > 9999 {
        out.push(b'+');
    } else if year < 0 {
        out.push(b'-');
    }
    let mut text = *b"0000-00-00";
    if year.unsigned_abs() > 9999 {
        write_int(out, year.unsigned_abs());
        put_day(&mut text, 0, month, day);
        return out.extend_from_slice(&text[4..]);
    }
    put_day(&mut text, year.unsigned_abs(), month, day);
    out.extend_from_slice(&text);
}

/// `03:04:05.678901` of microseconds since midnight, with `digits` (0 to 6) digits of the fraction.
pub fn write_time_of_day(out: &mut Vec<u8>, micros: i64, digits: usize) {
    let mut text = *b"00:00:00.000000";
    put_time(&mut text, micros);
    put_fraction(&mut text[9..], micros);
    out.extend_from_slice(if digits > 0 { &text[..9 + digits.min(6)] } else { &text[..8] });
}

/// Into `0000-00-00`.
fn put_day(text: &mut [u8], year: u64, month: u64, day: u64) {
    put_pair(&mut text[0..2], year / 100);
    put_pair(&mut text[2..4], year % 100);
    put_pair(&mut text[5..7], month);
    put_pair(&mut text[8..10], day);
}

/// Into `00:00:00`.
fn put_time(text: &mut [u8], micros: i64) {
    let seconds = (micros / 1_000_000) as u64;
    put_pair(&mut text[0..2], seconds / 3600);
    put_pair(&mut text[3..5], seconds / 60 % 60);
    put_pair(&mut text[6..8], seconds % 60);
}

/// Into `000000`.
fn put_fraction(text: &mut [u8], micros: i64) {
    let fraction = (micros % 1_000_000) as u64;
    put_pair(&mut text[0..2], fraction / 10_000);
    put_pair(&mut text[2..4], fraction / 100 % 100);
    put_pair(&mut text[4..6], fraction % 100);
}

/// Two digits; of a larger number the last two.
fn put_pair(field: &mut [u8], value: u64) {
    field.copy_from_slice(&DECIMAL_PAIRS[(value % 100) as usize]);
}

/// Year (0 for 1 BC), month and day of a day number since 1970-01-01, proleptic Gregorian. Counts in 400-year eras from
/// 1 March of year 0, so that the leap day is the last of its year.
#[must_use]
pub fn civil(days: i64) -> (i64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month as u64, day as u64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn date_times_as_recorded() {
        let cases = [
            (1_704_164_645_678_901, 6, "2024-01-02T03:04:05.678901Z"),
            (0, 6, "1970-01-01T00:00:00.000000Z"),
            (1_709_212_455_679_000, 3, "2024-02-29T13:14:15.679Z"),
            (-62_135_607_599_500_000, 6, "0000-12-31T21:00:00.500000Z"),
            (253_402_300_800_000_000, 0, "+10000-01-01T00:00:00Z"),
            (-63_517_788_000_000_000, 6, "-0043-03-15T10:00:00.000000Z"),
            (-12_219_681_600_000_000, 3, "1582-10-10T12:00:00.000Z"),
        ];
        for (micros, digits, expected) in cases {
            assert_eq!(text(|out| write_date_time(out, micros, digits)), expected);
        }
    }

    #[test]
    fn uuid_and_base64() {
        let uuid: [u8; 16] = std::array::from_fn(|index| index as u8 * 17);
        assert_eq!(text(|out| write_uuid(out, &uuid)), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(text(|out| write_base64(out, b"_")), "Xw==");
        assert_eq!(text(|out| write_base64(out, b"")), "");
    }
}
