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
