//! SINH and COSH to the last digit of Java's `StrictMath`, whose exponential differs from the C library's.
//!
//! The reduction and the polynomial are those published with "fdlibm" (Sun Microsystems): `x = k ln 2 + r`, `|r| ≤ ln 2 / 2`.

/// Upper and lower part of ln 2: products of the upper part with small integers are exact.
const LN2: (f64, f64) = (6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10);
/// Coefficients of the rational approximation of `r (eʳ + 1) / (eʳ - 1)`.
const P: [f64; 5] = [
    1.666_666_666_666_660_2e-1,
    -2.777_777_777_701_559_3e-3,
    6.613_756_321_437_934e-5,
    -1.653_390_220_546_525_2e-6,
    4.138_136_797_057_238_5e-8,
];
/// Above it, a small and a large part of a sum no longer touch.
const LARGE: f64 = 22.0;
/// Where the exponential overflows, but half of it does not yet.
const OVERFLOWS: f64 = 709.782_712_893_384;

/// `eˣ` for `x ≥ 0`.
fn exp(x: f64) -> f64 {
    if x > OVERFLOWS {
        return f64::INFINITY;
    }
    let half_ln2 = 0.5 * std::f64::consts::LN_2;
    let k = match x {
        _ if x <= half_ln2 => 0.0,
        _ if x < 3.0 * half_ln2 => 1.0,
        _ => (std::f64::consts::LOG2_E * x + 0.5).trunc(),
    };
    let (high, low) = (x - k * LN2.0, k * LN2.1);
    let r = high - low;
    let t = r * r;
    let c = r - t * (P[0] + t * (P[1] + t * (P[2] + t * (P[3] + t * P[4]))));
    if k == 0.0 {
        return 1.0 - ((r * c) / (c - 2.0) - r);
    }
    let y = 1.0 - ((low - (r * c) / (2.0 - c)) - high);
    // Two steps, as 2^1024 is no number.
    y * 2f64.powi(k as i32 - 1) * 2.0
}

/// Hyperbolic cosine.
pub(super) fn cosh(x: f64) -> f64 {
    let x = x.abs();
    if x.is_nan() || x.is_infinite() {
        return x;
    }
    if x <= 0.5 * std::f64::consts::LN_2 {
        let t = x.exp_m1();
        return 1.0 + (t * t) / (2.0 * (1.0 + t));
    }
    match x {
        _ if x < LARGE => {
            let t = exp(x);
            0.5 * t + 0.5 / t
        }
        _ => half_exp(x),
    }
}

/// Hyperbolic sine.
pub(super) fn sinh(x: f64) -> f64 {
    let size = x.abs();
    if x.is_nan() || x.is_infinite() || size < 2f64.powi(-28) {
        return x;
    }
    let half = if x < 0.0 { -0.5 } else { 0.5 };
    if size < LARGE {
        let t = size.exp_m1();
        return half * if size < 1.0 { 2.0 * t - t * t / (t + 1.0) } else { t + t / (t + 1.0) };
    }
    half_exp(size).copysign(x)
}

fn half_exp(x: f64) -> f64 {
    if x <= OVERFLOWS {
        return 0.5 * exp(x);
    }
    let w = exp(0.5 * x);
    (0.5 * w) * w
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_digit_is_javas() {
        assert_eq!(cosh(1.0), 1.543_080_634_815_244);
        assert_eq!(cosh(7.0), 548.317_035_155_212);
        assert_eq!(cosh(0.5), 1.127_625_965_206_380_7);
        assert_eq!(cosh(-128.0), 1.943_854_202_997_297_7e55);
        assert_eq!(sinh(-128.0), -1.943_854_202_997_297_7e55);
        assert_eq!(cosh(710.0), sinh(710.0));
        assert!(cosh(711.0).is_infinite() && cosh(f64::NAN).is_nan());
    }
}
