//! PostgreSQL's binary `numeric`, and the forms in which Debezium shows it.
//!
//! ```text
//!   i16 digits │ i16 weight │ u16 sign │ u16 scale │ digits × u16, base 10000, the first worth 10000^weight
//! ```

use super::value::{write_base64, write_int};

/// The bytes are no binary `numeric`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a binary numeric")]
pub struct NumericError;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const POSITIVE_INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// A decoded `numeric`; reads the digits where they lie.
#[derive(Clone, Copy, Debug)]
pub enum Numeric<'a> {
    /// Not a number.
    NaN,
    /// An infinity, and whether it is the negative one.
    Infinity {
        /// Below all numbers.
        negative: bool,
    },
    /// A number.
    Finite {
        /// Below zero.
        negative: bool,
        /// Power of 10000 of the first digit.
        weight: i32,
        /// Digits shown after the point.
        scale: u16,
        /// Two bytes for each digit in base 10000.
        digits: &'a [u8],
    },
}

impl<'a> Numeric<'a> {
    /// Reads what `numeric_send` wrote.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NumericError> {
        let (head, digits) = bytes.split_at_checked(8).ok_or(NumericError)?;
        let field = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        match field(4) {
            NAN => return Ok(Self::NaN),
            POSITIVE_INFINITY => return Ok(Self::Infinity { negative: false }),
            NEGATIVE_INFINITY => return Ok(Self::Infinity { negative: true }),
            0 | NEGATIVE => {}
            _ => return Err(NumericError),
        }
        let fits = |pair: &[u8]| u16::from_be_bytes([pair[0], pair[1]]) < 10_000;
        if digits.len() != usize::from(field(0)) * 2 || !digits.chunks_exact(2).all(fits) {
            return Err(NumericError);
        }
        let weight = i32::from(field(2) as i16);
        Ok(Self::Finite { negative: field(4) == NEGATIVE, weight, scale: field(6), digits })
    }

    /// Plain text (`-1.10`), with the digits that PostgreSQL shows; `NaN`, `Infinity`, `-Infinity`.
    pub fn write_plain(&self, out: &mut Vec<u8>) {
        let Self::Finite { negative, weight, scale, digits } = *self else {
            return out.extend_from_slice(match self {
                Self::NaN => b"NaN",
                Self::Infinity { negative: true } => b"-Infinity",
                _ => b"Infinity",
            });
        };
        if negative {
            out.push(b'-');
        }
        if weight < 0 {
            out.push(b'0');
        }
        for place in (0..=weight).rev() {
            let group = group(digits, weight, place);
            if place == weight {
                write_int(out, group);
            } else {
                out.extend_from_slice(&four_digits(group));
            }
        }
        if scale > 0 {
            out.push(b'.');
            let end = out.len() + usize::from(scale);
            let mut place = -1;
            while out.len() < end {
                out.extend_from_slice(&four_digits(group(digits, weight, place)));
                place -= 1;
            }
            out.truncate(end);
        }
    }

    /// The base64 of the unscaled value as a big-endian two's complement of the fewest bytes, at the given scale;
    /// digits beyond it must be zeros. False for what is not finite.
    pub fn write_unscaled(&self, out: &mut Vec<u8>, scale: u16) -> bool {
        let Self::Finite { negative, .. } = *self else { return false };
        if let Some(magnitude) = self.magnitude(scale) {
            write_small(out, magnitude, negative);
            return true;
        }
        let mut text = Vec::with_capacity(48);
        self.write_digits(&mut text, scale);
        let mut magnitude = Magnitude::default();
        magnitude.push_digits(&text);
        write_base64(out, &magnitude.twos_complement(negative));
        true
    }

    /// [`Self::least_scale`] and then [`Self::write_unscaled`] at it: `between` writes what stands before the base64.
    /// Appends nothing and gives false for what is not finite.
    pub fn write_at_least_scale(&self, out: &mut Vec<u8>, between: impl FnOnce(&mut Vec<u8>, u16)) -> bool {
        let Self::Finite { negative, scale, .. } = *self else { return false };
        if let Some(mut magnitude) = self.magnitude(scale) {
            let mut least = scale;
            while least > 0 && magnitude % 10 == 0 {
                magnitude /= 10;
                least -= 1;
            }
            between(out, least);
            write_small(out, magnitude, negative);
            return true;
        }
        let least = self.least_scale();
        between(out, least);
        self.write_unscaled(out, least)
    }

    /// The unscaled value at the given scale, without its sign, where 64 bits are sure to hold it and no digit is beyond
    /// the scale.
    fn magnitude(&self, scale: u16) -> Option<u64> {
        let Self::Finite { weight, digits, .. } = *self else { return None };
        let groups_after = i32::from(scale.div_ceil(4));
        // Four groups and what the last is multiplied with are below 10^19.
        let is_short = (-4..4).contains(&weight) && groups_after <= 3 && weight + 1 + groups_after <= 4;
        if !is_short || digits.len() / 2 > (weight + 1 + groups_after) as usize {
            return None;
        }
        let mut value = 0_u64;
        for place in (-groups_after..=weight).rev() {
            value = value * 10_000 + u64::from(group(digits, weight, place));
        }
        // What the last group has beyond the scale is zeros.
        Some(value / 10_u64.pow(groups_after as u32 * 4 - u32::from(scale)))
    }

    /// The smallest scale, not below zero, that keeps the value.
    #[must_use]
    pub fn least_scale(&self) -> u16 {
        let Self::Finite { scale, .. } = *self else { return 0 };
        let mut text = Vec::with_capacity(48);
        self.write_digits(&mut text, scale);
        let zeros = text.iter().rev().take(usize::from(scale)).take_while(|digit| **digit == b'0').count();
        if zeros == text.len() { 0 } else { scale - zeros as u16 }
    }

    /// All decimal digits down to the scale, without sign and point, at least `scale` of them.
    fn write_digits(&self, out: &mut Vec<u8>, scale: u16) {
        let Self::Finite { weight, digits, .. } = *self else { return };
        let groups_after = usize::from(scale).div_ceil(4) as i32;
        for place in (-groups_after..=weight.max(-1)).rev() {
            out.extend_from_slice(&four_digits(group(digits, weight, place)));
        }
        out.truncate(out.len() - (groups_after as usize * 4 - usize::from(scale)));
    }
}

/// The digit that is worth 10000^place.
fn group(digits: &[u8], weight: i32, place: i32) -> u16 {
    let Ok(index) = usize::try_from(weight - place) else { return 0 };
    digits.get(index * 2..index * 2 + 2).map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
}

fn four_digits(group: u16) -> [u8; 4] {
    let digit = |power: u16| b'0' + (group / power % 10) as u8;
    [digit(1000), digit(100), digit(10), digit(1)]
}

/// The base64 of a number's shortest two's complement.
fn write_small(out: &mut Vec<u8>, magnitude: u64, negative: bool) {
    let value = if negative { -i128::from(magnitude) } else { i128::from(magnitude) };
    // So many bits are the sign's.
    let spare = if value < 0 { (!value).leading_zeros() } else { value.leading_zeros() } - 1;
    write_base64(out, &value.to_be_bytes()[spare as usize / 8..]);
}

/// A natural number of any size, least limb first.
#[derive(Default)]
struct Magnitude(Vec<u32>);

impl Magnitude {
    /// Appends decimal digits: value × 10^n + digits.
    fn push_digits(&mut self, digits: &[u8]) {
        for chunk in digits.chunks(9) {
            let factor = 10_u64.pow(chunk.len() as u32);
            let mut carry = chunk.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
            for limb in &mut self.0 {
                let product = u64::from(*limb) * factor + carry;
                *limb = product as u32;
                carry = product >> 32;
            }
            if carry > 0 {
                self.0.push(carry as u32);
            }
        }
    }

    /// Big-endian, as Java's `BigInteger.toByteArray`.
    fn twos_complement(&self, negative: bool) -> Vec<u8> {
        let mut bytes = vec![0_u8];
        bytes.extend(self.0.iter().rev().flat_map(|limb| limb.to_be_bytes()));
        if negative {
            let mut carry = true;
            for byte in bytes.iter_mut().rev() {
                let (value, over) = (!*byte).overflowing_add(u8::from(carry));
                (*byte, carry) = (value, over);
            }
        }
        let filler = |pair: &[u8]| matches!((pair[0], pair[1] >> 7), (0, 0) | (0xFF, 1));
        let skip = bytes.windows(2).take_while(|pair| filler(pair)).count();
        bytes.split_off(skip)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn encode(weight: i16, sign: u16, scale: u16, digits: &[u16]) -> Vec<u8> {
        let mut bytes = (digits.len() as u16).to_be_bytes().to_vec();
        bytes.extend(weight.to_be_bytes());
        bytes.extend(sign.to_be_bytes());
        bytes.extend(scale.to_be_bytes());
        bytes.extend(digits.iter().flat_map(|digit| digit.to_be_bytes()));
        bytes
    }

    fn shown(bytes: &[u8], scale: u16) -> (String, String) {
        let number = Numeric::parse(bytes).unwrap();
        let (mut plain, mut unscaled) = (Vec::new(), Vec::new());
        number.write_plain(&mut plain);
        number.write_unscaled(&mut unscaled, scale);
        (String::from_utf8(plain).unwrap(), String::from_utf8(unscaled).unwrap())
    }

    /// Values and texts of the recorded case `types-numeric-precise`.
    #[test]
    fn as_recorded() {
        let cases: [(&[u8], u16, &str, &str); 7] = [
            (&encode(0, 0, 0, &[]), 0, "0", "AA=="),
            (&encode(0, 0, 2, &[1]), 2, "1.00", "ZA=="),
            (&encode(0, NEGATIVE, 2, &[1, 1000]), 2, "-1.10", "kg=="),
            (&encode(1, NEGATIVE, 0, &[9, 9999]), 0, "-99999", "/nlh"),
            (&encode(1, 0, 2, &[1234, 5678, 9000]), 2, "12345678.90", "SZYC0g=="),
            (&encode(-8, 0, 30, &[100]), 30, "0.000000000000000000000000000001", "AQ=="),
            (&encode(7, 0, 0, &[100]), 0, "1000000000000000000000000000000", "DJ8snNBGdO3qQAAAAA=="),
        ];
        for (bytes, scale, plain, unscaled) in cases {
            assert_eq!(shown(bytes, scale), (plain.to_owned(), unscaled.to_owned()));
        }
    }

    #[test]
    fn least_scale_drops_trailing_zeros_of_the_fraction_only() {
        assert_eq!(Numeric::parse(&encode(0, 0, 3, &[1])).unwrap().least_scale(), 0);
        assert_eq!(Numeric::parse(&encode(0, NEGATIVE, 2, &[1, 1000])).unwrap().least_scale(), 1);
        assert_eq!(Numeric::parse(&encode(0, 0, 0, &[100])).unwrap().least_scale(), 0);
        assert_eq!(Numeric::parse(&encode(-3, 0, 10, &[100])).unwrap().least_scale(), 10);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40), scale in 0_u16..40) {
            if let Ok(number) = Numeric::parse(&bytes) {
                let mut out = Vec::new();
                number.write_plain(&mut out);
                number.write_unscaled(&mut out, scale);
                let _ = number.least_scale();
            }
        }

        /// The short way and the long one give the same, also where digits stand beyond the scale that is asked for.
        #[test]
        fn small_numbers_are_written_as_large_ones(
            weight in -6_i16..6,
            negative: bool,
            scale in 0_u16..14,
            groups in proptest::collection::vec(0_u16..10_000, 0..6),
            zeros in 0_usize..4,
        ) {
            let mut groups = groups;
            let from = groups.len().saturating_sub(zeros);
            groups[from..].fill(0);
            let bytes = encode(weight, if negative { NEGATIVE } else { 0 }, scale, &groups);
            let number = Numeric::parse(&bytes).unwrap();
            let (mut digits, mut magnitude) = (Vec::new(), Magnitude::default());
            number.write_digits(&mut digits, scale);
            magnitude.push_digits(&digits);
            let long = |least: u16| {
                let mut digits = digits.clone();
                digits.truncate(digits.len() - usize::from(scale - least));
                let (mut magnitude, mut out) = (Magnitude::default(), Vec::new());
                magnitude.push_digits(&digits);
                write_base64(&mut out, &magnitude.twos_complement(negative));
                out
            };
            let mut short = Vec::new();
            number.write_unscaled(&mut short, scale);
            prop_assert_eq!(&short, &long(scale));
            short.clear();
            let mut told = None;
            number.write_at_least_scale(&mut short, |_, scale| told = Some(scale));
            let least = number.least_scale();
            prop_assert_eq!(told, Some(least));
            prop_assert_eq!(short, long(least));
        }

        #[test]
        fn twos_complement_as_i128(value in any::<i128>()) {
            let mut magnitude = Magnitude::default();
            magnitude.push_digits(value.unsigned_abs().to_string().as_bytes());
            let bytes = magnitude.twos_complement(value < 0);
            let fill = if value < 0 { 0xFF } else { 0 };
            let mut wide = [fill; 16];
            wide[16 - bytes.len()..].copy_from_slice(&bytes);
            prop_assert_eq!(i128::from_be_bytes(wide), value);
        }
    }
}
