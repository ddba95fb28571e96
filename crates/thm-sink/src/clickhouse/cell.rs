//! One value on its way to a column: what it is, and the exact conversions to what a column holds.
//!
//! JSON fields and Arrow values both become a [`Cell`], so the two paths of a record (decoded in the cache, or
//! read from its bytes after a lag) end in the same rows and the same refusals. A conversion is exact or a
//! [`Misfit`]: nothing wraps, rounds or saturates. The one thing dropped is what a timestamp has beyond the
//! precision its column declares.

use std::borrow::Cow;

use super::instant::{Instant, days_from_civil};

/// The powers of ten in 128 bits.
const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// 10^`digits`, if it is within 128 bits.
fn power_of_ten(digits: u32) -> Option<i128> {
    POWERS.get(digits as usize).copied()
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// NULL, also a field that is not there.
    Null,
    /// true, false
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number of a JSON text, as it stands there.
    Number(&'a str),
    /// A floating point number.
    Float(f64),
    /// `unscaled` × 10^-`scale`
    Decimal {
        /// All digits.
        unscaled: i128,
        /// Digits after the point.
        scale: u32,
    },
    /// Text.
    Text(Cow<'a, str>),
    /// A moment.
    Instant(Instant),
    /// Days since 1970-01-01.
    Days(i32),
    /// A JSON object or array, as it stands in the value.
    Nested(&'a str),
}

/// Why a value does not fit; names the kind of value, never the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit(pub &'static str);

const OUT_OF_RANGE: Misfit = Misfit("a number out of its range");
const NOT_WHOLE: Misfit = Misfit("a number with a fraction or exponent");
const NO_NUMBER: Misfit = Misfit("a text that is no number");
const NO_TIMESTAMP: Misfit = Misfit("a text that is no timestamp");
const TIMESTAMP_RANGE: Misfit = Misfit("a timestamp out of its range");
const NO_DATE: Misfit = Misfit("a text that is no date");
const TOO_MANY_DIGITS: Misfit = Misfit("a number with more digits than it has");

impl Cell<'_> {
    /// What kind of value it is, for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "a whole number",
            Self::Number(_) | Self::Float(_) | Self::Decimal { .. } => "a number",
            Self::Text(_) => "a text",
            Self::Instant(_) => "a timestamp",
            Self::Days(_) => "a date",
            Self::Nested(_) => "a JSON object or array",
        }
    }

    const fn other(&self) -> Misfit {
        Misfit(self.kind())
    }

    /// As a whole number.
    pub fn to_int(&self) -> Result<i128, Misfit> {
        match self {
            Self::Int(value) => Ok(*value),
            Self::Bool(value) => Ok(i128::from(*value)),
            Self::Number(text) => int_of_text(text),
            Self::Text(text) => int_of_text(text),
            Self::Decimal { unscaled, scale } => rescale(*unscaled, *scale, 0).map_err(|_| NOT_WHOLE),
            Self::Float(_) => Err(NOT_WHOLE),
            _ => Err(self.other()),
        }
    }

    /// As a floating point number; text may say `NaN` or `Infinity`.
    pub fn to_float(&self) -> Result<f64, Misfit> {
        match self {
            Self::Float(value) => Ok(*value),
            #[expect(clippy::cast_precision_loss, reason = "the nearest double is what a double column holds")]
            Self::Int(value) => Ok(*value as f64),
            Self::Number(text) => text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or(OUT_OF_RANGE),
            Self::Text(text) => text.parse().map_err(|_| NO_NUMBER),
            _ => Err(self.other()),
        }
    }

    /// As digits with `scale` after the point, `precision` in all.
    pub fn to_decimal(&self, precision: u32, scale: u32) -> Result<i128, Misfit> {
        let unscaled = match self {
            Self::Int(value) => rescale(*value, 0, scale)?,
            Self::Decimal { unscaled, scale: from } => rescale(*unscaled, *from, scale)?,
            Self::Number(text) => decimal_of_text(text, scale)?,
            Self::Text(text) => decimal_of_text(text, scale)?,
            _ => return Err(self.other()),
        };
        let limit = power_of_ten(precision).ok_or(OUT_OF_RANGE)?;
        if unscaled.checked_abs().is_some_and(|digits| digits < limit) { Ok(unscaled) } else { Err(OUT_OF_RANGE) }
    }

    /// As a boolean.
    pub fn to_bool(&self) -> Result<bool, Misfit> {
        match self {
            Self::Bool(value) => Ok(*value),
            Self::Int(0) | Self::Number("0") => Ok(false),
            Self::Int(1) | Self::Number("1") => Ok(true),
            Self::Text(text) if text == "true" => Ok(true),
            Self::Text(text) if text == "false" => Ok(false),
            _ => Err(self.other()),
        }
    }

    /// As a moment; a number counts seconds.
    pub fn to_instant(&self) -> Result<Instant, Misfit> {
        match self {
            Self::Instant(value) => Ok(*value),
            Self::Text(text) => Instant::parse(text).ok_or(NO_TIMESTAMP),
            Self::Number(text) => Instant::from_seconds_text(text).ok_or(TIMESTAMP_RANGE),
            Self::Int(value) => {
                let seconds = i64::try_from(*value).map_err(|_| TIMESTAMP_RANGE)?;
                Instant::new(seconds, 0).ok_or(TIMESTAMP_RANGE)
            }
            _ => Err(self.other()),
        }
    }

    /// As a count of 10^-`digits` seconds, at most `scale` of them kept.
    pub fn to_ticks(&self, digits: u32, scale: u32) -> Result<i64, Misfit> {
        let ticks = self.to_instant()?.ticks(digits).ok_or(TIMESTAMP_RANGE)?;
        let step = 10_i64.pow(digits.saturating_sub(scale));
        Ok(ticks - ticks.rem_euclid(step))
    }

    /// As days since 1970; a number counts days.
    pub fn to_days(&self) -> Result<i64, Misfit> {
        match self {
            Self::Days(days) => Ok(i64::from(*days)),
            Self::Text(text) => days_from_civil(text.as_bytes()).ok_or(NO_DATE),
            Self::Int(_) | Self::Number(_) => i64::try_from(self.to_int()?).map_err(|_| OUT_OF_RANGE),
            _ => Err(self.other()),
        }
    }

    /// As text: a JSON value that is no string keeps its JSON form, without spaces.
    pub fn to_text(&self) -> Result<Cow<'_, str>, Misfit> {
        match self {
            Self::Text(text) => Ok(Cow::Borrowed(text)),
            Self::Number(text) => Ok(Cow::Borrowed(text)),
            Self::Bool(value) => Ok(Cow::Borrowed(if *value { "true" } else { "false" })),
            Self::Int(value) => Ok(Cow::Owned(value.to_string())),
            Self::Nested(text) => {
                let value: serde_json::Value = serde_json::from_str(text).map_err(|_| self.other())?;
                Ok(Cow::Owned(value.to_string()))
            }
            _ => Err(self.other()),
        }
    }
}

fn int_of_text(text: &str) -> Result<i128, Misfit> {
    // Most numbers are small, and the narrow parser is several times faster.
    if let Ok(value) = text.parse::<i64>() {
        return Ok(i128::from(value));
    }
    if let Ok(value) = text.parse::<i128>() {
        return Ok(value);
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) {
        return Err(NO_NUMBER);
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(OUT_OF_RANGE);
    }
    if digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
        return Err(NOT_WHOLE);
    }
    Err(NO_NUMBER)
}

/// Moves the point; exact or refused.
fn rescale(unscaled: i128, from: u32, to: u32) -> Result<i128, Misfit> {
    if from <= to {
        let power = power_of_ten(to - from).ok_or(OUT_OF_RANGE)?;
        return unscaled.checked_mul(power).ok_or(OUT_OF_RANGE);
    }
    if unscaled == 0 {
        return Ok(0);
    }
    let power = power_of_ten(from - to).ok_or(TOO_MANY_DIGITS)?;
    if unscaled % power == 0 { Ok(unscaled / power) } else { Err(TOO_MANY_DIGITS) }
}

/// `-12.50`, `1.8E+3`: exact digits at `scale`.
fn decimal_of_text(text: &str, scale: u32) -> Result<i128, Misfit> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().map_err(|_| NO_NUMBER)?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(NO_NUMBER);
    }
    let fraction = fraction.trim_end_matches('0');
    let mut unscaled = 0_i128;
    for byte in whole.bytes().chain(fraction.bytes()) {
        let digit = byte.is_ascii_digit().then(|| byte - b'0').ok_or(NO_NUMBER)?;
        let shifted = unscaled.checked_mul(10).and_then(|value| value.checked_add(i128::from(digit)));
        unscaled = shifted.ok_or(if whole.len() > 38 { OUT_OF_RANGE } else { TOO_MANY_DIGITS })?;
    }
    let unscaled = if negative { -unscaled } else { unscaled };
    let from = i64::try_from(fraction.len()).map_err(|_| TOO_MANY_DIGITS)? - i64::from(exponent);
    match u32::try_from(from) {
        Ok(from) => rescale(unscaled, from, scale),
        Err(_) if unscaled == 0 => Ok(0),
        Err(_) => {
            let zeros = u32::try_from(-from).map_err(|_| OUT_OF_RANGE)?;
            rescale(unscaled, 0, scale.checked_add(zeros).ok_or(OUT_OF_RANGE)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Result<i128, Misfit> {
        Cell::Number(text).to_decimal(10, 2)
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        for (text, expected) in [
            ("10.5", 1050),
            ("-1.25", -125),
            ("10", 1000),
            ("1.8E+3", 180_000),
            ("1.0E-1", 10),
            ("1e2", 10_000),
            ("0E9", 0),
            ("1.2500000", 125),
            ("99999999.99", 9_999_999_999),
        ] {
            assert_eq!(decimal(text), Ok(expected), "{text}");
        }
        for text in ["10.555", "0.0001", "100000000", "1e30", "1e-99", "1e999999999"] {
            assert!(decimal(text).is_err(), "{text}");
        }
        for text in ["", "-", ".", "abc", "1.2.3", "0x1"] {
            assert_eq!(Cell::Text(text.into()).to_decimal(10, 2), Err(NO_NUMBER), "{text}");
        }
    }

    #[test]
    fn whole_numbers_take_no_fraction() {
        assert_eq!(Cell::Number("18446744073709551615").to_int(), Ok(i128::from(u64::MAX)));
        assert_eq!(Cell::Text("1002001".into()).to_int(), Ok(1_002_001));
        assert_eq!(Cell::Number("120.0").to_int(), Err(NOT_WHOLE));
        assert_eq!(Cell::Text("abc".into()).to_int(), Err(NO_NUMBER));
        assert_eq!(Cell::Text("".into()).to_int(), Err(NO_NUMBER));
        assert_eq!(Cell::Decimal { unscaled: 12_000, scale: 2 }.to_int(), Ok(120));
        assert_eq!(Cell::Decimal { unscaled: 12_050, scale: 2 }.to_int(), Err(NOT_WHOLE));
    }

    #[test]
    fn timestamps_keep_what_their_column_declares() {
        assert_eq!(Cell::Text("2025-08-23 05:40:00.127".into()).to_ticks(3, 2), Ok(1_755_927_600_120));
        assert_eq!(Cell::Number("1755927600").to_ticks(3, 3), Ok(1_755_927_600_000));
        assert_eq!(Cell::Number("1755927600123").to_ticks(3, 3), Err(TIMESTAMP_RANGE));
        assert_eq!(Cell::Text("yesterday".into()).to_ticks(3, 3), Err(NO_TIMESTAMP));
    }

    #[test]
    fn nested_json_becomes_text_without_spaces() {
        let text = Cell::Nested(r#"{ "a": 1, "b": [true, null], "c": 1.50 }"#);
        assert_eq!(text.to_text().as_deref(), Ok(r#"{"a":1,"b":[true,null],"c":1.50}"#));
    }
}
