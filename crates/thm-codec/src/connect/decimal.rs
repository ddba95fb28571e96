//! Connect's decimals: big-endian two's complement of the unscaled number, its scale in the schema.

/// Appends the number as Java's `BigDecimal` prints it while it needs no exponent: `-1.10`, `0.05`. No bytes are zero.
pub fn write_decimal(out: &mut String, unscaled: &[u8], scale: usize) {
    let negative = unscaled.first().is_some_and(|byte| *byte >= 0x80);
    let digits = digits_of(&if negative { negated(unscaled) } else { unscaled.to_vec() });
    if negative {
        out.push('-');
    }
    let whole = digits.len().saturating_sub(scale);
    if whole == 0 {
        out.push('0');
    }
    out.extend(digits[..whole].iter().map(|digit| char::from(b'0' + digit)));
    if scale > 0 {
        out.push('.');
        out.extend(std::iter::repeat_n('0', scale.saturating_sub(digits.len())));
        out.extend(digits[whole..].iter().map(|digit| char::from(b'0' + digit)));
    }
}

/// Appends the number as Java's `BigDecimal.toString` prints it: `2.00`, `1E-9`, and `1.2E+4` of a negative scale.
pub fn write_big_decimal(out: &mut Vec<u8>, unscaled: &[u8], scale: i32) {
    let mut whole = String::new();
    write_decimal(&mut whole, unscaled, 0);
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole.as_str()), |digits| ("-", digits));
    let exponent = digits.len() as i64 - 1 - i64::from(scale);
    match usize::try_from(scale) {
        Ok(scale) if exponent >= -6 => {
            let mut plain = String::new();
            write_decimal(&mut plain, unscaled, scale);
            out.extend_from_slice(plain.as_bytes());
        }
        _ => {
            let (first, rest) = digits.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            let plus = if exponent > 0 { "+" } else { "" };
            out.extend_from_slice(sign.as_bytes());
            out.extend_from_slice(first.as_bytes());
            out.extend_from_slice(point.as_bytes());
            out.extend_from_slice(rest.as_bytes());
            out.extend_from_slice(format!("E{plus}{exponent}").as_bytes());
        }
    }
}

/// Most digits of a number that is read: PostgreSQL's longest has 147,455.
const MAX_DIGITS: i64 = 150_000;

/// The unscaled number of a JSON number at that scale, as few bytes as hold it; none where the scale does not hold its
/// digits.
pub(super) fn unscaled(number: &str, scale: i64) -> Option<Vec<u8>> {
    let (sign, number) = number.strip_prefix('-').map_or((false, number), |number| (true, number));
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = [whole, fraction].concat().into_bytes();
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let zeros = exponent.parse::<i64>().ok()?.checked_add(scale)?.checked_sub(fraction.len() as i64)?;
    match usize::try_from(zeros) {
        Ok(zeros) if digits.len() as i64 + zeros as i64 <= MAX_DIGITS => digits.resize(digits.len() + zeros, b'0'),
        Ok(_) => return None,
        Err(_) => {
            let cut = usize::try_from(zeros.unsigned_abs()).ok()?.min(digits.len());
            let kept = digits.len() - cut;
            if digits[kept..].iter().any(|digit| *digit != b'0') {
                return None;
            }
            digits.truncate(kept);
        }
    }
    let mut bytes = vec![0_u8];
    for digit in digits {
        let mut carry = u32::from(digit - b'0');
        for byte in bytes.iter_mut().rev() {
            let sum = u32::from(*byte) * 10 + carry;
            *byte = sum as u8;
            carry = sum >> 8;
        }
        if carry > 0 {
            bytes.insert(0, carry as u8);
        }
    }
    // Room for the sign.
    bytes.insert(0, 0);
    let mut bytes = if sign { negated(&bytes) } else { bytes };
    while bytes.len() > 1 && matches!((bytes[0], bytes[1] >= 0x80), (0, false) | (0xFF, true)) {
        bytes.remove(0);
    }
    Some(bytes)
}

fn negated(bytes: &[u8]) -> Vec<u8> {
    let mut carry = true;
    let mut out: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
    for byte in out.iter_mut().rev() {
        let (sum, over) = byte.overflowing_add(u8::from(carry));
        (*byte, carry) = (sum, over);
    }
    out
}

/// Decimal digits of a positive number, the first not zero unless it is the only one.
fn digits_of(bytes: &[u8]) -> Vec<u8> {
    let mut digits = vec![0_u8];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in digits.iter_mut().rev() {
            let sum = u32::from(*digit) * 256 + carry;
            *digit = (sum % 10) as u8;
            carry = sum / 10;
        }
        while carry > 0 {
            digits.insert(0, (carry % 10) as u8);
            carry /= 10;
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_as_java_prints_them() {
        let cases: [(&[u8], usize, &str); 7] = [
            (&[0x6E], 2, "1.10"),
            (&[0xFF, 0x92], 2, "-1.10"),
            (&[5], 2, "0.05"),
            (&[], 0, "0"),
            (&[0x80], 0, "-128"),
            (&[0], 3, "0.000"),
            (&[0x01, 0, 0, 0, 0, 0, 0, 0, 0], 0, "18446744073709551616"),
        ];
        for (bytes, scale, expected) in cases {
            let mut out = String::new();
            write_decimal(&mut out, bytes, scale);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn numbers_of_a_scale() {
        let cases: [(&str, i64, Option<&[u8]>); 12] = [
            ("1.10", 2, Some(&[0x6E])),
            ("-1.1", 2, Some(&[0x92])),
            ("1.280", 2, Some(&[0, 0x80])),
            ("-1.28", 2, Some(&[0x80])),
            ("0", 2, Some(&[0])),
            ("-0.00", 0, Some(&[0])),
            ("1.5e2", 0, Some(&[0, 0x96])),
            ("1E+1", 2, Some(&[0x03, 0xE8])),
            ("18446744073709551616", 0, Some(&[0x01, 0, 0, 0, 0, 0, 0, 0, 0])),
            ("0.125", 2, None),
            ("1e999999", 2, None),
            ("1e-999999", 2, None),
        ];
        for (number, scale, expected) in cases {
            assert_eq!(unscaled(number, scale).as_deref(), expected, "{number}");
        }
    }

    #[test]
    fn big_decimals_as_java_prints_them() {
        let cases: [(&[u8], i32, &str); 7] = [
            (&[0x6E], 2, "1.10"),
            (&[1], 9, "1E-9"),
            (&[0], 9, "0E-9"),
            (&[0xFF, 0x83], 9, "-1.25E-7"),
            (&[0], 2, "0.00"),
            (&[0x0C], -3, "1.2E+4"),
            (&[0x66], 0, "102"),
        ];
        for (bytes, scale, expected) in cases {
            let mut out = Vec::new();
            write_big_decimal(&mut out, bytes, scale);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
