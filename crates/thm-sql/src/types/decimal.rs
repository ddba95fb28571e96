//! DECIMAL as Flink computes it: exact or rounded half up, result types by Flink's rules, overflow is NULL.
//!
//! Values are 128-bit integers in units of 10^-scale; intermediate results that do not fit are 256-bit.
//! Formulas: Flink's `LogicalTypeMerging.find*DecimalType` and `DecimalDataUtils`.

use std::cmp::Ordering;

use arrow::datatypes::i256;
use thm_codec::java_json::FloatText;

use super::LogicalType;

/// Most digits.
pub const MAX_PRECISION: u8 = 38;
/// Digits after the point that a result keeps at least when its type does not fit.
const MIN_ADJUSTED_SCALE: u8 = 6;

/// 10^n by n: computed values would cost more than the divisions by them.
const POWERS: [i128; MAX_PRECISION as usize + 1] = {
    let mut powers = [1; MAX_PRECISION as usize + 1];
    let mut n = 1;
    while n < powers.len() {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

/// 10^n for n ≤ 38.
#[must_use]
pub const fn power(n: u8) -> i128 {
    POWERS[n as usize]
}

fn wide_power(n: u32) -> i256 {
    let mut out = i256::ONE;
    let mut left = n;
    while left > 0 {
        let step = left.min(38);
        out = out.wrapping_mul(i256::from_i128(10_i128.pow(step)));
        left -= step;
    }
    out
}

/// A type that is too wide loses digits after the point, down to six.
fn adjusted(precision: u32, scale: u32) -> LogicalType {
    let max = u32::from(MAX_PRECISION);
    let (precision, scale) = if precision <= max {
        (precision, scale)
    } else {
        let digits = precision - scale;
        (max, max.saturating_sub(digits).max(scale.min(u32::from(MIN_ADJUSTED_SCALE))))
    };
    let narrow = |number: u32| u8::try_from(number).expect("adjusted to at most 38");
    LogicalType::Decimal { precision: narrow(precision), scale: narrow(scale) }
}

/// Type of `a + b` and `a - b`.
#[must_use]
pub fn sum_type((p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> LogicalType {
    let scale = u32::from(s1.max(s2));
    adjusted(u32::from((p1 - s1).max(p2 - s2)) + scale + 1, scale)
}

/// Type of `a * b`.
#[must_use]
pub fn product_type((p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> LogicalType {
    adjusted(u32::from(p1) + u32::from(p2) + 1, u32::from(s1) + u32::from(s2))
}

/// Type of `a / b`.
#[must_use]
pub fn quotient_type((p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> LogicalType {
    let scale = 6.max(u32::from(s1) + u32::from(p2) + 1);
    adjusted(u32::from(p1) - u32::from(s1) + u32::from(s2) + scale, scale)
}

/// Type of `MOD(a, b)`: whole numbers have the divisor's.
#[must_use]
pub fn remainder_type((p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> LogicalType {
    if s1 == 0 && s2 == 0 {
        return LogicalType::Decimal { precision: p2, scale: 0 };
    }
    let scale = u32::from(s1.max(s2));
    adjusted(u32::from((p1 - s1).min(p2 - s2)) + scale, scale)
}

/// Type that holds both.
#[must_use]
pub fn common_type((p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> LogicalType {
    let scale = s1.max(s2);
    let precision = ((p1 - s1).max(p2 - s2) + scale).min(MAX_PRECISION);
    LogicalType::Decimal { precision, scale }
}

/// Common type of two, with fewer digits behind the point where not all fit.
#[must_use]
pub fn merged_type((p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> LogicalType {
    let whole = (p1 - s1).max(p2 - s2);
    let scale = s1.max(s2).min(MAX_PRECISION - whole);
    LogicalType::Decimal { precision: whole + scale, scale }
}

/// Whether the common type of two holds all digits of both.
#[must_use]
pub fn common_type_holds((p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> bool {
    (p1 - s1).max(p2 - s2) + s1.max(s2) <= MAX_PRECISION
}

/// Order of two numbers of any scale.
#[must_use]
pub fn order((a, s1): (i128, u8), (b, s2): (i128, u8)) -> Ordering {
    let whole = |number: i128, scale: u8| number.div_euclid(power(scale));
    let scale = s1.max(s2);
    let rest = |number: i128, own: u8| number.rem_euclid(power(own)) * power(scale - own);
    whole(a, s1).cmp(&whole(b, s2)).then_with(|| rest(a, s1).cmp(&rest(b, s2)))
}

/// Type of `ROUND(a, digits)`.
#[must_use]
pub fn round_type((p, s): (u8, u8), digits: i32) -> LogicalType {
    if digits >= i32::from(s) {
        return LogicalType::Decimal { precision: p, scale: s };
    }
    let scale = digits.clamp(0, i32::from(MAX_PRECISION));
    let precision = (1 + i32::from(p) - i32::from(s) + scale).min(i32::from(MAX_PRECISION));
    let narrow = |number: i32| u8::try_from(number).expect("clamped to 0..=38");
    LogicalType::Decimal { precision: narrow(precision.max(1)), scale: narrow(scale) }
}

fn fits(value: i128, precision: u8) -> Option<i128> {
    (value.unsigned_abs() < power(precision).unsigned_abs()).then_some(value)
}

/// Divides, rounding half away from zero.
fn divide_half_up(value: i128, by: i128) -> i128 {
    // Most values fit 64 bits, whose division is an instruction and not a call. The least by -1 is the one that overflows.
    if let (Ok(value), Ok(by)) = (i64::try_from(value), i64::try_from(by))
        && by != -1
    {
        return i128::from(narrow_divide_half_up(value, by));
    }
    // Of 128 bits a remainder is a division of its own.
    let quotient = value / by;
    let rest = value - quotient * by;
    // |rest| < |by| ≤ 10^38, so doubling fits 128 bits.
    if rest.unsigned_abs() * 2 >= by.unsigned_abs() {
        quotient + if (value < 0) == (by < 0) { 1 } else { -1 }
    } else {
        quotient
    }
}

/// The same for 64 bits; `by` is not -1.
fn narrow_divide_half_up(value: i64, by: i64) -> i64 {
    let (quotient, rest) = (value / by, value % by);
    let (rest, size) = (rest.unsigned_abs(), by.unsigned_abs());
    if rest >= size - rest { quotient + if (value < 0) == (by < 0) { 1 } else { -1 } } else { quotient }
}

fn wide_divide_half_up(value: i256, by: i256) -> i256 {
    let (quotient, rest) = (value.wrapping_div(by), value.wrapping_rem(by));
    let (rest, size) = (rest.wrapping_abs(), by.wrapping_abs());
    if rest >= size.wrapping_sub(rest) {
        let one = if value.is_negative() == by.is_negative() { i256::ONE } else { i256::MINUS_ONE };
        quotient.wrapping_add(one)
    } else {
        quotient
    }
}

fn narrow(value: i256, precision: u8) -> Option<i128> {
    fits(value.to_i128()?, precision)
}

fn wide_rescale(value: i256, from: u32, to: u32) -> Option<i256> {
    if to >= from {
        value.checked_mul(wide_power(to - from))
    } else {
        Some(wide_divide_half_up(value, wide_power(from - to)))
    }
}

/// The value in another scale and precision, rounded half up; `None` if it does not fit.
#[must_use]
pub fn rescale(value: i128, from: u8, precision: u8, to: u8) -> Option<i128> {
    let moved = if to >= from { value.checked_mul(power(to - from))? } else { divide_half_up(value, power(from - to)) };
    fits(moved, precision)
}

/// Cuts digits instead of rounding.
#[must_use]
pub fn truncate(value: i128, from: u8, to: u8) -> i128 {
    if to >= from { value } else { value / power(from - to) * power(from - to) }
}

/// `a + b` for values of scales `s1`, `s2`; the result has precision `p` and scale `s`.
#[must_use]
pub fn add(a: i128, s1: u8, b: i128, s2: u8, (p, s): (u8, u8)) -> Option<i128> {
    let common = s1.max(s2);
    let narrow_sum = || {
        let sum = a.checked_mul(power(common - s1))?.checked_add(b.checked_mul(power(common - s2))?)?;
        Some(rescale(sum, common, p, s))
    };
    if let Some(done) = narrow_sum() {
        return done;
    }
    let wide = |value: i128, scale: u8| i256::from_i128(value).wrapping_mul(wide_power(u32::from(common - scale)));
    let sum = wide(a, s1).wrapping_add(wide(b, s2));
    narrow(wide_rescale(sum, u32::from(common), u32::from(s))?, p)
}

/// `a * b`.
#[must_use]
pub fn multiply(a: i128, s1: u8, b: i128, s2: u8, (p, s): (u8, u8)) -> Option<i128> {
    let scale = u32::from(s1) + u32::from(s2);
    if let (Some(product), true) = (a.checked_mul(b), scale <= 38) {
        return rescale(product, u8::try_from(scale).ok()?, p, s);
    }
    let product = i256::from_i128(a).wrapping_mul(i256::from_i128(b));
    narrow(wide_rescale(product, scale, u32::from(s))?, p)
}

/// `a / b` for `b` ≠ 0: rounded to 38 significant digits, then to the result's scale, as Flink does.
#[must_use]
pub fn divide(a: i128, s1: u8, b: i128, s2: u8, (p, s): (u8, u8)) -> Option<i128> {
    // a·10^(s - s1 + s2) / b is the quotient in units of the result.
    let shift = i32::from(s) - i32::from(s1) + i32::from(s2);
    // Rounding twice cannot differ from rounding once where the digits of divisor and quotient together are fewer than 38: a
    // quotient of d digits lies at least 1/(2b) beside a half, and the first rounding moves it by less than 10^(d - 38).
    let small = |value: i128| value.unsigned_abs() < power(35).unsigned_abs();
    if (0..=38).contains(&shift) && small(b) {
        let scaled = u8::try_from(shift).ok().and_then(|shift| a.checked_mul(power(shift)));
        if let Some(scaled) = scaled.filter(|scaled| small(*scaled)) {
            return fits(divide_half_up(scaled, b), p);
        }
    }
    divide_wide(a, b, shift).and_then(|quotient| narrow(quotient, p))
}

/// `a·10^shift / b`, first to 38 significant digits, then to a whole number.
fn divide_wide(a: i128, b: i128, shift: i32) -> Option<i256> {
    if a == 0 {
        return Some(i256::ZERO);
    }
    let digits = |value: i128| i32::try_from(value.unsigned_abs().ilog10()).unwrap_or(38) + 1;
    // Enough places that the quotient has 38 or 39 digits; b·10^38 fits 256 bits.
    let places = (38 + digits(b) - digits(a)).max(0);
    let scaled = i256::from_i128(a).wrapping_mul(wide_power(places.unsigned_abs()));
    let wide_b = i256::from_i128(b);
    let mut extra = 0;
    let mut quotient = wide_divide_half_up(scaled, wide_b);
    let limit = wide_power(38);
    if quotient.wrapping_abs() >= limit {
        quotient = wide_divide_half_up(scaled, wide_b.wrapping_mul(i256::from_i128(10)));
        extra = 1;
    }
    // quotient stands for quotient·10^(extra - places); wanted in units of 10^-shift.
    let exponent = shift - places + extra;
    if exponent >= 0 {
        quotient.checked_mul(wide_power(exponent.unsigned_abs().min(76)))
    } else {
        Some(wide_divide_half_up(quotient, wide_power(exponent.unsigned_abs().min(76))))
    }
}

/// Remainder of `a / b` for `b` ≠ 0, with the sign of `a`.
#[must_use]
pub fn remainder(a: i128, s1: u8, b: i128, s2: u8, (p, s): (u8, u8)) -> Option<i128> {
    let common = s1.max(s2);
    let scaled = |value: i128, scale: u8| value.checked_mul(power(common - scale));
    if let (Some(a), Some(b)) = (scaled(a, s1), scaled(b, s2)) {
        return rescale(a.wrapping_rem(b), common, p, s);
    }
    let wide = |value: i128, scale: u8| i256::from_i128(value).wrapping_mul(wide_power(u32::from(common - scale)));
    let rest = wide(a, s1).wrapping_rem(wide(b, s2));
    narrow(wide_rescale(rest, u32::from(common), u32::from(s))?, p)
}

/// Orders values of different scales.
#[must_use]
pub fn compare(a: i128, s1: u8, b: i128, s2: u8) -> std::cmp::Ordering {
    let common = s1.max(s2);
    let scaled = |value: i128, scale: u8| value.checked_mul(power(common - scale));
    if let (Some(a), Some(b)) = (scaled(a, s1), scaled(b, s2)) {
        return a.cmp(&b);
    }
    let wide = |value: i128, scale: u8| i256::from_i128(value).wrapping_mul(wide_power(u32::from(common - scale)));
    wide(a, s1).cmp(&wide(b, s2))
}

/// Reads a decimal number in plain or scientific form, rounding half up to `scale`; blanks around it are fine.
#[must_use]
pub fn parse(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let text = text.trim();
    // Java reads other scripts' digits where a long does not hold the number.
    if !text.is_ascii() && (precision > 18 || text.len() > 18) {
        return parse(&western(text)?, precision, scale);
    }
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first()? {
        b'-' => (true, &mantissa[1..]),
        b'+' => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !plain(whole) || !plain(fraction) {
        return None;
    }
    let mut shift = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?.checked_add(i32::from(scale))?;
    let count = digits.len() - usize::from(digits.contains('.'));
    let mut all = whole.bytes().chain(fraction.bytes());
    // Digits beyond the scale only say how to round: the first of them decides.
    let kept = if shift < 0 {
        let cut = usize::try_from(-shift).ok()?;
        shift = 0;
        // A number that lies wholly beyond the scale has zeros before the digit that decides.
        if cut > count {
            all = "".bytes().chain("".bytes());
        }
        count.saturating_sub(cut)
    } else {
        count
    };
    let mut value: i128 = 0;
    for digit in all.by_ref().take(kept) {
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    let dropped = all.next();
    if value != 0 {
        value = value.checked_mul(power(u8::try_from(shift).ok().filter(|shift| *shift <= 38)?))?;
    }
    if dropped.is_some_and(|digit| digit >= b'5') {
        value += 1;
    }
    fits(if negative { -value } else { value }, precision)
}

/// First digits of the scripts whose digits Java reads too.
const ZEROS: [char; 12] = ['٠', '۰', '०', '০', '੦', '૦', '୦', '௦', '౦', '೦', '൦', '０'];

/// A number with digits of another script in Western ones.
fn western(text: &str) -> Option<String> {
    let digit = |letter: char| {
        let of = |zero: &char| (letter as u32).checked_sub(*zero as u32).filter(|digit| *digit < 10);
        ZEROS.iter().find_map(of).and_then(|digit| char::from_digit(digit, 10))
    };
    text.chars().map(|letter| if letter.is_ascii() { Some(letter) } else { digit(letter) }).collect()
}

/// Longest plain form: sign, `0.`, 38 digits, and one to spare.
pub const PLAIN_BYTES: usize = 42;

/// The plain form with all digits of the scale: `-0.50`. Lies in `buffer`, for it is written per value.
#[must_use]
pub fn plain(buffer: &mut [u8; PLAIN_BYTES], value: i128, scale: u8) -> &str {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(value.unsigned_abs()).as_bytes();
    let scale = usize::from(scale);
    let mut used = 0;
    let mut push = |bytes: &[u8]| {
        buffer[used..used + bytes.len()].copy_from_slice(bytes);
        used += bytes.len();
    };
    if value < 0 {
        push(b"-");
    }
    if scale == 0 {
        push(digits);
    } else if digits.len() <= scale {
        push(b"0.");
        push(&[b'0'; 38][..scale - digits.len()]);
        push(digits);
    } else {
        let point = digits.len() - scale;
        push(&digits[..point]);
        push(b".");
        push(&digits[point..]);
    }
    std::str::from_utf8(&buffer[..used]).expect("digits, a sign and a point")
}

/// Appends the plain form.
pub fn write_plain(out: &mut String, value: i128, scale: u8) {
    out.push_str(plain(&mut [0; PLAIN_BYTES], value, scale));
}

/// Every integer up to here is a double.
const EXACT_INTEGER: u128 = 1 << 53;
/// Every power of ten up to this one is a double.
const EXACT_POWER: u8 = 22;

/// Nearest double.
#[must_use]
pub fn to_f64(value: i128, scale: u8) -> f64 {
    // Both sides of this division are exact, so its result is the nearest.
    if value.unsigned_abs() <= EXACT_INTEGER && scale <= EXACT_POWER {
        return value as f64 / power(scale) as f64;
    }
    plain(&mut [0; PLAIN_BYTES], value, scale).parse().unwrap_or(f64::NAN)
}

/// A double in decimal: its shortest decimal form, rounded half up. `None` for NaN, infinities and what does not fit.
#[must_use]
pub fn from_f64(value: f64, precision: u8, scale: u8) -> Option<i128> {
    if value.is_finite() { parse(FloatText::of_f64(value).as_str(), precision, scale) } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn decimal(precision: u8, scale: u8) -> LogicalType {
        LogicalType::Decimal { precision, scale }
    }

    #[test]
    fn result_types_are_flinks() {
        assert_eq!(quotient_type((18, 2), (5, 1)), decimal(25, 8));
        assert_eq!(round_type((25, 8), 2), decimal(20, 2));
        assert_eq!(sum_type((10, 2), (38, 18)), decimal(38, 17));
        assert_eq!(product_type((10, 2), (38, 18)), decimal(38, 9));
        assert_eq!(remainder_type((5, 0), (10, 2)), decimal(7, 2));
    }

    #[test]
    fn rounds_half_up_and_overflows_to_none() {
        assert_eq!(rescale(12_345, 3, 4, 2), Some(1235));
        assert_eq!(rescale(-12_345, 3, 4, 2), Some(-1235));
        assert_eq!(rescale(999_995, 3, 5, 2), None);
        assert_eq!(divide(1, 0, 3, 0, (38, 6)), Some(333_333));
        assert_eq!(divide(-2, 0, 3, 0, (38, 6)), Some(-666_667));
        let big = power(38) - 1;
        assert_eq!(divide(big, 0, big, 0, (38, 6)), Some(1_000_000));
        assert_eq!(add(big, 0, 1, 0, (38, 0)), None);
    }

    /// Numbers of every length, at the edges of 64 and 128 bits too.
    fn numbers() -> impl Iterator<Item = i128> {
        let sizes = (0..=37).map(power).flat_map(|power| [power, power - 1, power + 1, power / 2, 7 * power / 9 + 5]);
        let edges = [i128::from(i64::MAX), i128::from(i64::MIN), 1 << 53, (1 << 53) + 1, power(38) - 1];
        sizes.chain(edges).flat_map(|number| [number, -number])
    }

    #[test]
    fn short_cuts_give_what_the_long_way_gives() {
        let wide = |value: i128, scale: u8| i256::from_i128(value).wrapping_mul(wide_power(u32::from(scale)));
        for a in numbers() {
            for scale in [0, 1, 2, 22, 23, 38] {
                let text: f64 = plain(&mut [0; PLAIN_BYTES], a, scale).parse().unwrap();
                assert_eq!(to_f64(a, scale).to_bits(), text.to_bits(), "{a} with scale {scale}");
            }
            for b in numbers().step_by(5).filter(|b| *b != 0) {
                let long = wide_divide_half_up(i256::from_i128(a), i256::from_i128(b));
                assert_eq!(i256::from_i128(divide_half_up(a, b)), long, "{a} / {b}");
                assert_eq!(compare(a, 2, b, 0), wide(a, 0).cmp(&wide(b, 2)), "{a} and {b}");
                for scale in [0, 6, 19, 38] {
                    let long = divide_wide(a, b, i32::from(scale)).and_then(|quotient| narrow(quotient, 38));
                    assert_eq!(divide(a, 0, b, 0, (38, scale)), long, "{a} / {b} with scale {scale}");
                }
                let rest = narrow(wide(a, 0).wrapping_rem(wide(b, 2)), 38);
                assert_eq!(remainder(a, 2, b, 0, (38, 2)), rest, "{a} % {b}");
            }
        }
    }

    #[test]
    fn reads_and_writes_text() {
        assert_eq!(parse(" 12.345 ", 4, 2), Some(1235));
        assert_eq!(parse("1.5e3", 10, 2), Some(150_000));
        assert_eq!(parse("-.5", 2, 1), Some(-5));
        assert_eq!(parse("1e-5", 5, 2), Some(0));
        for (text, found) in
            [("0.005", 1), ("00.0049", 0), (".5e-2", 1), ("5e-2", 5), ("5e-3", 1), ("5e-4", 0), ("0005e-3", 1)]
        {
            assert_eq!(parse(text, 5, 2), Some(found), "{text}");
        }
        for bad in ["", "a", "1.2.3", "-", ".", "1e", "--1", "1e99999999999"] {
            assert_eq!(parse(bad, 10, 2), None, "{bad}");
        }
        let mut out = String::new();
        write_plain(&mut out, -5, 2);
        assert_eq!(out, "-0.05");
    }
}
