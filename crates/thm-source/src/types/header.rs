//! Keys in headers: what Connect's `SimpleHeaderConverter` makes of a struct's fields.
//!
//! ```text
//!   {"id":"AMg=","t":"a\n"}          in the record's key
//!   {"id":2.00,"t":"a⏎"}             in __debezium.newkey and __debezium.oldkey
//! ```
//! It is almost JSON: decimals are numbers as Java prints them, in texts only quotes and backslashes are escaped, numbers
//! that are none stand without quotes, and Connect's own dates and times are ISO texts without quotes too.

use std::io::Write as _;

use thm_codec::java_text::{write_header_value, write_java_date};

use super::decimal::money_text;
use super::shape::Shape;
use super::{Cell, ColumnType, Done, ValueError};
use crate::options::{DecimalMode, TimeMode};

impl ColumnType {
    /// Appends a value as a header has it.
    ///
    /// # Errors
    /// The bytes are not of this type, or have no form in this handling mode.
    pub fn write_header(&self, bytes: &[u8], out: &mut Vec<u8>) -> Done {
        let precise = self.modes.decimal == DecimalMode::Precise;
        match self.rule.shape {
            Shape::Numeric if precise && self.precision_and_scale().is_some() => {
                let mut plain = Vec::new();
                self.print(bytes, &mut plain)?;
                write_big_decimal(&plain, out);
                return Ok(());
            }
            Shape::Money if precise => {
                write_big_decimal(money_text(bytes, self.modes.money_digits)?.as_bytes(), out);
                return Ok(());
            }
            _ => {}
        }
        let mut json = Vec::new();
        self.write(bytes, &mut Cell { json: &mut json, column: None })?;
        match self.rule.shape {
            Shape::Plain("float" | "double") => out.extend(json.into_iter().filter(|byte| *byte != b'"')),
            Shape::Date | Shape::Time | Shape::Timestamp if self.modes.time == TimeMode::Connect => {
                let number = std::str::from_utf8(&json).ok().and_then(|text| text.parse::<i64>().ok());
                let number = number.ok_or(ValueError("date or time"))?;
                let millis = if self.rule.shape == Shape::Date { number.saturating_mul(86_400_000) } else { number };
                write_java_date(out, millis);
            }
            _ => write_header_value(&json, out),
        }
        Ok(())
    }
}

/// Java's `BigDecimal.toString` of a plain decimal text: with an exponent where more than five zeros follow the point.
fn write_big_decimal(plain: &[u8], out: &mut Vec<u8>) {
    let (sign, digits) = plain.strip_prefix(b"-").map_or((b"".as_slice(), plain), |rest| (b"-", rest));
    let point = digits.iter().position(|byte| *byte == b'.');
    let scale = point.map_or(0, |at| digits.len() - at - 1);
    let unscaled: Vec<u8> = digits.iter().copied().filter(|byte| *byte != b'.').collect();
    let zeros = unscaled.iter().take_while(|digit| **digit == b'0').count();
    let significant = &unscaled[zeros.min(unscaled.len().saturating_sub(1))..];
    let exponent = significant.len() as i64 - 1 - scale as i64;
    if exponent >= -6 {
        return out.extend_from_slice(plain);
    }
    let (first, rest) = significant.split_at(significant.len().min(1));
    out.extend_from_slice(sign);
    out.extend_from_slice(first);
    if !rest.is_empty() {
        out.push(b'.');
        out.extend_from_slice(rest);
    }
    let _ = write!(out, "E{exponent}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_as_recorded() {
        let decimal = |plain: &str| {
            let mut out = Vec::new();
            write_big_decimal(plain.as_bytes(), &mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        let cases = [
            ("1.000000001", "1.000000001"),
            ("0.000000001", "1E-9"),
            ("0.000000000", "0E-9"),
            ("-0.000100000", "-0.000100000"),
            ("-0.000000125", "-1.25E-7"),
            ("0.00", "0.00"),
            ("102", "102"),
        ];
        for (plain, expected) in cases {
            assert_eq!(decimal(plain), expected);
        }
    }
}
