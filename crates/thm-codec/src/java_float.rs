//! The digits that `Double.toString` and `Float.toString` print, up to Java 18: not always the shortest that read back.
//!
//! ```text
//!   few digits, no extreme size ─▶ the shortest digits (ryu); both agree there
//!   whole numbers that need no big arithmetic ─▶ their digits, rounded where the binary form says nothing of them
//!   others ─▶ digit by digit, until what is left is less than half the distance to the next value
//! ```
//! Peers run on Java 17, whose digits show in texts: 2147483648 as a float is `2.14748365E9`, 2.0E23 as a double `1.9999999999999998E23`.
//! The rules are those of the class's documentation and of its observed answers.

/// Whole numbers are printed from 64 bits up to this exponent.
const MAX_SMALL_EXPONENT: i32 = 62;
/// Bits of a significand that are kept before the point is set: those of a double.
const SIGNIFICAND_BITS: i32 = 52;

/// Digits of a finite double as `d.dddE±x`, where they are not surely the shortest ones.
pub(crate) fn f64_digits(signed: f64, shortest: &str) -> Option<String> {
    let value = signed.abs();
    if value == 0.0 || (1e-300..9e15).contains(&value) && significant(shortest) <= 15 {
        return None;
    }
    Some(with_sign(signed < 0.0, digits_of_f64(value)))
}

fn with_sign(negative: bool, digits: String) -> String {
    if negative { format!("-{digits}") } else { digits }
}

fn digits_of_f64(value: f64) -> String {
    let bits = value.to_bits();
    let (fraction, exponent) = (bits & ((1 << 52) - 1), (bits >> 52) as i32);
    if exponent == 0 {
        let shift = fraction.leading_zeros() as i32 - (63 - SIGNIFICAND_BITS);
        return digits(fraction << shift, 1 - shift - 1023, SIGNIFICAND_BITS + 1 - shift);
    }
    digits(fraction | (1 << 52), exponent - 1023, SIGNIFICAND_BITS + 1)
}

/// The same of a float.
pub(crate) fn f32_digits(signed: f32, shortest: &str) -> Option<String> {
    let value = signed.abs();
    if value == 0.0 || (1e-30..1.6e7).contains(&value) && significant(shortest) <= 6 {
        return None;
    }
    Some(with_sign(signed < 0.0, digits_of_f32(value)))
}

fn digits_of_f32(value: f32) -> String {
    let bits = value.to_bits();
    let (fraction, exponent) = (u64::from(bits & ((1 << 23) - 1)), (bits >> 23) as i32);
    if exponent == 0 {
        let shift = fraction.leading_zeros() as i32 - (63 - 23);
        return digits(fraction << (shift + SIGNIFICAND_BITS - 23), 1 - shift - 127, 24 - shift);
    }
    digits((fraction | (1 << 23)) << (SIGNIFICAND_BITS - 23), exponent - 127, 24)
}

/// Digits without zeros at either end.
fn significant(text: &str) -> usize {
    let (mut count, mut zeros) = (0, 0);
    for byte in text.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit) {
        match byte {
            b'0' if count == 0 => {}
            b'0' => zeros += 1,
            _ => {
                count += zeros + 1;
                zeros = 0;
            }
        }
    }
    count
}

/// `significand` has its highest bit at 2^52 and stands for 2^`exponent`; `known` of its bits are the value's own.
fn digits(significand: u64, exponent: i32, known: i32) -> String {
    let zeros = significand.trailing_zeros() as i32;
    let used = SIGNIFICAND_BITS + 1 - zeros;
    let behind_point = (used - exponent - 1).max(0);
    if behind_point == 0 && exponent <= MAX_SMALL_EXPONENT {
        return whole(significand, exponent, known);
    }
    let mut decimal = estimate(significand, exponent);
    let mut parts = Parts::new(significand >> zeros, used, exponent, known, behind_point, decimal);
    let mut out: Vec<u8> = Vec::with_capacity(20);
    let (first, mut low, mut high) = parts.next(true);
    if first == 0 && !high {
        decimal -= 1;
    } else {
        out.push(first);
    }
    // With an exponent there is always a digit behind the point.
    if !(-3..8).contains(&decimal) {
        (low, high) = (false, false);
    }
    while !low && !high {
        let digit;
        (digit, low, high) = parts.next(false);
        out.push(digit);
    }
    let up = match (low, high) {
        (true, true) => match parts.rest_against_half() {
            std::cmp::Ordering::Equal => out.last().is_some_and(|digit| digit % 2 == 1),
            order => order.is_gt(),
        },
        (_, high) => high,
    };
    if up && round_up(&mut out) {
        decimal += 1;
    }
    scientific(&out, decimal)
}

/// A whole number below 2^63: digits that its bits say nothing of are rounded away.
fn whole(significand: u64, exponent: i32, known: i32) -> String {
    let value = match exponent - SIGNIFICAND_BITS {
        up @ 0.. => significand << up,
        down => significand >> -down,
    };
    let unknown = exponent - known - 1;
    let places = if unknown > 1 { (f64::from(unknown) * std::f64::consts::LOG10_2) as u32 } else { 0 };
    let unit = 10_u64.pow(places);
    let rounded = value / unit + u64::from(places > 0 && value % unit >= unit / 2);
    let text = rounded.to_string();
    let all: Vec<u8> = text.bytes().map(|byte| byte - b'0').collect();
    scientific(&all, text.len() as i32 - 1 + places as i32)
}

/// The power of ten of the first digit, or one more.
fn estimate(significand: u64, exponent: i32) -> i32 {
    let unit = f64::from_bits((1023 << 52) | significand & ((1 << 52) - 1));
    let logarithm = (unit - 1.5) * 0.289_529_654 + 0.176_091_259 + f64::from(exponent) * std::f64::consts::LOG10_2;
    logarithm.floor() as i32
}

/// One more in the last place; true if that made a digit more.
fn round_up(digits: &mut [u8]) -> bool {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return false;
        }
        *digit = 0;
    }
    if let Some(first) = digits.first_mut() {
        *first = 1;
    }
    true
}

fn scientific(digits: &[u8], exponent: i32) -> String {
    let mut out = String::with_capacity(24);
    for (position, digit) in digits.iter().enumerate() {
        if position == 1 {
            out.push('.');
        }
        out.push(char::from(b'0' + digit));
    }
    out.push_str(&format!("e{exponent}"));
    out
}

/// The value as a quotient, and half the distance to the next value on the same scale.
struct Quotient<T> {
    value: T,
    divisor: T,
    /// Ten times the divisor.
    ten: T,
    half: T,
}

/// In numbers that hold it. Java takes its own, which wrap: the digits depend on where they do.
enum Parts {
    /// 32 or 64 bits.
    Small(Quotient<i64>, u32),
    Large(Quotient<Big>),
}

impl Parts {
    fn new(significand: u64, used: i32, exponent: i32, known: i32, behind_point: i32, decimal: i32) -> Self {
        let (value5, divisor5) = ((-decimal).max(0), decimal.max(0));
        let (mut value2, mut divisor2) = (value5 + behind_point + exponent, divisor5 + behind_point);
        let mut half2 = value2 - known;
        value2 -= used - 1;
        let common = value2.min(divisor2);
        (value2, divisor2, half2) = (value2 - common, divisor2 - common, half2 - common);
        // The value below a power of two is only half as far away.
        if used == 1 {
            half2 -= 1;
        }
        if half2 < 0 {
            (value2, divisor2, half2) = (value2 - half2, divisor2 - half2, 0);
        }
        let bits = |power: i32| if power == 0 { 0 } else { (f64::from(power) * 5_f64.log2()) as i32 + 1 };
        let size = |power: i32| if power < 27 { bits(power) } else { power * 3 };
        let most = (used + value2 + size(value5)).max(divisor2 + 1 + size(divisor5 + 1));
        let power = |power: i32, shift: i32| Big::from(1).times_power(5, power).shifted(shift);
        let divisor = power(divisor5, divisor2);
        let large = Quotient {
            value: Big::from(significand).times_power(5, value5).shifted(value2),
            ten: divisor.clone().times_power(10, 1),
            divisor,
            half: power(value5, half2),
        };
        if most >= 64 {
            return Self::Large(large);
        }
        let width = if most < 32 { 32 } else { 64 };
        let small = |number: &Big| wrapped(number.low(), width);
        Self::Small(
            Quotient {
                value: small(&large.value),
                divisor: small(&large.divisor),
                ten: small(&large.ten),
                half: small(&large.half),
            },
            width,
        )
    }

    /// The next digit, and whether the rest is less than half a step, and more than a digit less half a step.
    fn next(&mut self, first: bool) -> (u8, bool, bool) {
        match self {
            Self::Small(it, width) => {
                let digit = it.value / it.divisor;
                it.value = wrapped(it.value % it.divisor * 10, *width);
                it.half = wrapped(it.half.wrapping_mul(10), *width);
                let digit = u8::try_from(digit).unwrap_or(0);
                if !first && it.half <= 0 {
                    return (digit, true, true);
                }
                (digit, it.value < it.half, wrapped(it.value.wrapping_add(it.half), *width) > it.ten)
            }
            Self::Large(it) => {
                let mut digit = 0;
                while it.value.compare(&it.divisor).is_ge() {
                    it.value.subtract(&it.divisor);
                    digit += 1;
                }
                it.value = std::mem::take(&mut it.value).times_power(10, 1);
                it.half = std::mem::take(&mut it.half).times_power(10, 1);
                let low = it.value.compare(&it.half).is_lt();
                (digit, low, it.value.plus(&it.half).compare(&it.ten).is_ge())
            }
        }
    }

    fn rest_against_half(&self) -> std::cmp::Ordering {
        match self {
            Self::Small(it, width) => wrapped(it.value.wrapping_mul(2).wrapping_sub(it.ten), *width).cmp(&0),
            Self::Large(it) => it.value.plus(&it.value).compare(&it.ten),
        }
    }
}

/// As an integer of that many bits.
const fn wrapped(value: i64, width: u32) -> i64 {
    if width == 32 { value as i32 as i64 } else { value }
}

/// A whole number of any size, 32 bits a limb, the lowest first, without zeros at the end.
#[derive(Clone, Default)]
struct Big(Vec<u32>);

impl Big {
    fn from(value: u64) -> Self {
        let mut out = Self(vec![value as u32, (value >> 32) as u32]);
        out.trim();
        out
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn times_power(mut self, base: u32, power: i32) -> Self {
        for _ in 0..power {
            let mut carry = 0;
            for limb in &mut self.0 {
                let product = u64::from(*limb) * u64::from(base) + carry;
                *limb = product as u32;
                carry = product >> 32;
            }
            if carry > 0 {
                self.0.push(carry as u32);
            }
        }
        self
    }

    fn shifted(self, bits: i32) -> Self {
        let mut out = vec![0; (bits / 32) as usize];
        out.extend(self.0);
        Self(out).times_power(2, bits % 32)
    }

    /// The lowest 64 bits.
    fn low(&self) -> i64 {
        let limb = |at: usize| u64::from(self.0.get(at).copied().unwrap_or(0));
        (limb(0) | (limb(1) << 32)).cast_signed()
    }

    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    fn plus(&self, other: &Self) -> Self {
        let mut out = Vec::with_capacity(self.0.len().max(other.0.len()) + 1);
        let mut carry = 0;
        for at in 0..self.0.len().max(other.0.len()) {
            let limb = |number: &Self| u64::from(number.0.get(at).copied().unwrap_or(0));
            let sum = limb(self) + limb(other) + carry;
            out.push(sum as u32);
            carry = sum >> 32;
        }
        if carry > 0 {
            out.push(carry as u32);
        }
        Self(out)
    }

    /// Takes away a number that is not greater.
    fn subtract(&mut self, other: &Self) {
        let mut borrow = 0;
        for (at, limb) in self.0.iter_mut().enumerate() {
            let taken = i64::from(*limb) - i64::from(other.0.get(at).copied().unwrap_or(0)) - borrow;
            borrow = i64::from(taken < 0);
            *limb = taken as u32;
        }
        self.trim();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Java 17 printed.
    #[test]
    fn digits_are_those_of_java_17() {
        for (value, text) in [
            (2e23, "1.9999999999999998e23"),
            (8.41e21, "8.409999999999999e21"),
            (1e23, "9.999999999999999e22"),
            (4.9e-324, "4.9e-324"),
            (f64::MAX, "1.7976931348623157e308"),
            (0.1 + 0.2, "3.0000000000000004e-1"),
        ] {
            assert_eq!(digits_of_f64(value), text);
        }
        for (value, text) in
            [(2_147_483_648.0, "2.14748365e9"), (123_456_789.0, "1.23456792e8"), (5.367_792_6e25, "5.3677926e25")]
        {
            assert_eq!(digits_of_f32(value), text);
        }
    }
}
