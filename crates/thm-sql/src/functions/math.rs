//! Functions of DOUBLE: powers, logarithms, angles, chance.

use arrow::datatypes::{Float64Type, Int32Type};

use super::bind::{Bound, never, strict, take};
use super::{Call, Changes, Function, java_math};
use crate::expr::sequence::Sequence;
use crate::expr::{EvalError, Expr, Vector, counts};
use crate::types::LogicalType;

/// A function of one number.
macro_rules! of_one {
    ($name:literal, $compute:expr) => {
        Function::new($name, concat!("Write ", $name, "(number)."), one, |call| {
            let compute: fn(f64) -> f64 = $compute;
            call.numbers::<Float64Type>(|row| Ok(Some(compute(call.double(0, row)))))
        })
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    // A power of one half, which of -Infinity is Infinity and of -0 is 0.
    of_one!("SQRT", |x| if x == f64::NEG_INFINITY { f64::INFINITY } else { x.sqrt() + 0.0 }),
    of_one!("EXP", f64::exp),
    of_one!("LN", f64::ln),
    of_one!("LOG10", f64::log10),
    of_one!("LOG2", |x| x.ln() / std::f64::consts::LN_2),
    of_one!("SIN", f64::sin),
    of_one!("SINH", java_math::sinh),
    of_one!("COS", f64::cos),
    of_one!("COSH", java_math::cosh),
    of_one!("TAN", f64::tan),
    of_one!("TANH", f64::tanh),
    of_one!("COT", |x| 1.0 / x.tan()),
    of_one!("ASIN", f64::asin),
    of_one!("ACOS", f64::acos),
    of_one!("ATAN", f64::atan),
    // Java's factors, which are products of rounded constants.
    of_one!("DEGREES", |x| x * 57.295_779_513_082_32),
    of_one!("RADIANS", |x| x * 0.017_453_292_519_943_295),
    Function::new("POWER", "Write POWER(base, exponent).", two, |call| {
        call.numbers::<Float64Type>(|row| Ok(Some(java_power(call.double(0, row), call.double(1, row)))))
    }),
    Function::new("ATAN2", "Write ATAN2(y, x).", two, |call| {
        call.numbers::<Float64Type>(|row| Ok(Some(call.double(0, row).atan2(call.double(1, row)))))
    }),
    Function::new(
        "LOG",
        "Write LOG(number) or LOG(base, number).",
        |a| strict(take(a, &["d", "dd"])?, LogicalType::Double),
        |call| {
            call.numbers::<Float64Type>(|row| {
                let first = call.double(0, row).ln();
                Ok(Some(if call.len() == 2 { call.double(1, row).ln() / first } else { first }))
            })
        },
    ),
    Function::new("PI", "Write PI().", nothing, |call| call.numbers::<Float64Type>(|_| Ok(Some(std::f64::consts::PI)))),
    Function::new("E", "Write E().", nothing, |call| call.numbers::<Float64Type>(|_| Ok(Some(std::f64::consts::E)))),
    Function::new("RAND", "Write RAND() or RAND(seed).", |a| strict(take(a, &["", "i"])?, LogicalType::Double), rand)
        .changing(Changes::PerRow),
    Function::new(
        "RAND_INTEGER",
        "Write RAND_INTEGER(bound) or RAND_INTEGER(seed, bound).",
        |a| strict(take(a, &["i", "ii"])?, LogicalType::Int),
        rand_integer,
    )
    .changing(Changes::PerRow),
];

fn one(arguments: Vec<Expr>) -> Bound {
    strict(take(arguments, &["d"])?, LogicalType::Double)
}

fn two(arguments: Vec<Expr>) -> Bound {
    strict(take(arguments, &["dd"])?, LogicalType::Double)
}

fn nothing(arguments: Vec<Expr>) -> Bound {
    never(take(arguments, &[""])?, LogicalType::Double)
}

/// Java differs from C where the base is 1 or -1: NaN for an infinite or missing exponent.
fn java_power(base: f64, exponent: f64) -> f64 {
    if exponent == 0.0 {
        1.0
    } else if exponent.is_nan() || base.abs() == 1.0 && exponent.is_infinite() {
        f64::NAN
    } else {
        base.powf(exponent)
    }
}

/// `java.util.Random`: seeded functions give Java's numbers, which go on from batch to batch.
struct JavaRandom(u64);

impl JavaRandom {
    const FACTOR: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;

    fn seeded(seed: i64) -> Self {
        Self((seed.cast_unsigned() ^ Self::FACTOR) & Self::MASK)
    }

    fn any() -> Self {
        let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
        Self((high ^ low) & Self::MASK)
    }

    /// The numbers of a batch, with the place after them kept for the next.
    fn kept(self, call: &Call<'_>, numbers: Result<Vector, EvalError>) -> Result<Vector, EvalError> {
        if let Some(sequence) = call.input.sequence {
            sequence.keep(self.0);
        }
        numbers
    }

    fn bits(&mut self, count: u32) -> i32 {
        self.0 = (self.0.wrapping_mul(Self::FACTOR) + 0xB) & Self::MASK;
        // The high bits, cut to 32: as Java's own cast does.
        (self.0 >> (48 - count)) as u32 as i32
    }

    fn double(&mut self) -> f64 {
        let high = i64::from(self.bits(26)) << 27;
        (high + i64::from(self.bits(27))) as f64 / (1_i64 << 53) as f64
    }

    fn below(&mut self, bound: i32) -> i32 {
        if bound & (bound - 1) == 0 {
            let wide = i64::from(bound) * i64::from(self.bits(31));
            return i32::try_from(wide >> 31).unwrap_or(0);
        }
        loop {
            let bits = self.bits(31);
            let value = bits % bound;
            if bits.wrapping_sub(value).wrapping_add(bound - 1) >= 0 {
                return value;
            }
        }
    }
}

/// The sequence for a batch: from where the last batch left it, else from the seed if it is given.
fn sequence(call: &Call<'_>, seeded: bool) -> JavaRandom {
    if let Some(state) = call.input.sequence.and_then(Sequence::get) {
        return JavaRandom(state);
    }
    if seeded && call.count > 0 && !call.is_null(0, 0) {
        JavaRandom::seeded(i64::from(call.int(0, 0)))
    } else {
        JavaRandom::any()
    }
}

fn rand(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut random = sequence(call, call.len() == 1);
    // A branch of CASE that is not taken draws no number.
    let drawn = |row| counts(call.mask, row, call.scalar);
    let numbers = call.numbers::<Float64Type>(|row| Ok(drawn(row).then(|| random.double())));
    random.kept(call, numbers)
}

fn rand_integer(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut random = sequence(call, call.len() == 2);
    let numbers = call.numbers::<Int32Type>(|row| {
        if !counts(call.mask, row, call.scalar) {
            return Ok(None);
        }
        let bound = call.int(call.len() - 1, row);
        if bound <= 0 {
            return call.failed(row, || "bound must be positive".to_owned());
        }
        Ok(Some(random.below(bound)))
    });
    random.kept(call, numbers)
}
