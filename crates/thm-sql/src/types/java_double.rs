//! What Java's `Double.parseDouble` and `Float.parseFloat` take: blanks around, a type letter behind, `NaN`, `Infinity`,
//! hexadecimal with a power of two.

/// The text that Rust reads as Java reads the word; none if Java does not read it, or if it is hexadecimal.
#[must_use]
pub fn word(word: &str) -> Option<&str> {
    let word = word.trim();
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    if unsigned == "NaN" || unsigned == "Infinity" {
        return Some(word);
    }
    let body = word.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(word);
    let numeric = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    (body.bytes().any(|byte| byte.is_ascii_digit()) && body.bytes().all(numeric)).then_some(body)
}

/// As `Double.parseDouble`.
#[must_use]
pub fn parse(text: &str) -> Option<f64> {
    match word(text) {
        Some(word) => word.parse().ok(),
        None => hexadecimal(text.trim()),
    }
}

/// As `Float.parseFloat`.
#[must_use]
pub fn parse_float(text: &str) -> Option<f32> {
    match word(text) {
        Some(word) => word.parse().ok(),
        None => hexadecimal(text.trim()).map(|number| number as f32),
    }
}

/// `0x1.8p3`: sixteenths behind the point, and always a power of two.
fn hexadecimal(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let body = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"))?;
    let (digits, power) = body.split_once(['p', 'P'])?;
    let power = power.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(power);
    let mut power: i32 = power.parse().ok()?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut number = 0.0;
    for digit in whole.chars().chain(fraction.chars()) {
        number = number * 16.0 + f64::from(digit.to_digit(16)?);
    }
    power = power.saturating_sub(i32::try_from(fraction.len()).ok()?.saturating_mul(4));
    let value = number * 2.0_f64.powi(power);
    Some(if text.starts_with('-') { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_java_reads_them() {
        for (text, number) in [
            (" 1.5f ", 1.5),
            ("1d", 1.0),
            ("0x1p3", 8.0),
            ("-0x1.8p1", -3.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("+1e2", 100.0),
        ] {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        assert_eq!(parse("-Infinity"), Some(f64::NEG_INFINITY));
        for text in ["inf", "nan", "infinity", "0x10", "1_0", "", "e1", "x", "1e", "0xp1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
