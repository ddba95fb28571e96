//! Typed expressions and their vectorised evaluation on Arrow arrays.
//!
//! ```text
//!   analyzer ──▶ Expr (typed, coerced) ──eval(columns, mask)──▶ Vector: one array for the whole batch
//! ```
//!
//! A [`Vector`] of constants has one row. Every expression gives an array of exactly the Arrow type of its
//! [`DataType`]. Both arms of a CASE are evaluated for the whole batch; the *mask* says for which rows a failure counts,
//! so `CASE WHEN b <> 0 THEN a / b END` never fails, as in Flink.

pub mod arithmetic;
pub mod cast;
pub mod logic;
pub mod nested;
pub mod sequence;
pub mod shown;
pub mod text;

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::ArrowPrimitiveType;

use sequence::Sequence;

use crate::functions::{Call, Changes, Function};
use crate::types::time::Moment;
use crate::types::zone::Zone;
use crate::types::{DataType, LogicalType};

/// `+ - * / %`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArithmeticOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%` and MOD
    Remainder,
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl ArithmeticOp {
    /// As SQL writes it.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

impl CompareOp {
    /// The same with its sides changed over.
    #[must_use]
    pub const fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }

    /// What holds where this one does not.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
        }
    }

    /// As SQL writes it.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// An expression with its type; operands already have the types that the operation needs.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it does.
    pub kind: ExprKind,
    /// What it gives.
    pub data_type: DataType,
}

/// What an expression does.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A column of the input.
    Column(usize),
    /// A constant: an array of one row.
    Literal(ArrayRef),
    /// CAST, or TRY_CAST, which gives NULL where CAST fails.
    Cast {
        /// From what.
        input: Box<Expr>,
        /// TRY_CAST.
        lenient: bool,
    },
    /// Arithmetic. Integers and floats have the result's type; DECIMALs keep their own.
    Arithmetic {
        /// Which.
        op: ArithmeticOp,
        /// Left side.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
    },
    /// A comparison of values of one type.
    Compare {
        /// Which.
        op: CompareOp,
        /// Left side.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
    },
    /// Three-valued AND.
    And(Box<Expr>, Box<Expr>),
    /// Three-valued OR.
    Or(Box<Expr>, Box<Expr>),
    /// Three-valued NOT.
    Not(Box<Expr>),
    /// IS NULL, IS UNKNOWN.
    IsNull(Box<Expr>),
    /// IS TRUE or IS FALSE.
    Is(Box<Expr>, bool),
    /// Searched CASE; without a match the last.
    Case {
        /// Condition and result.
        branches: Vec<(Expr, Expr)>,
        /// ELSE.
        otherwise: Box<Expr>,
    },
    /// What is inside, with this as the session's time zone.
    InZone(Box<Expr>, Zone),
    /// What is inside, with numbers that go on from batch to batch.
    Sequenced(Box<Expr>, Sequence),
    /// A function.
    Call {
        /// Which.
        function: &'static Function,
        /// Arguments.
        arguments: Vec<Expr>,
    },
}

/// A value that cannot be computed, and the row of the batch that it belongs to.
#[derive(Debug)]
pub struct EvalError {
    /// Flink's or Java's words.
    pub message: String,
    /// Row of the batch.
    pub row: usize,
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EvalError {}

/// Rows for which a failure counts; `None` is all.
pub type Mask<'a> = Option<&'a BooleanBuffer>;

/// What expressions are evaluated on.
pub struct Input<'a> {
    /// Columns of the batch.
    pub columns: &'a [ArrayRef],
    /// Rows of the batch.
    pub rows: usize,
    /// DECIMAL results that became NULL because they do not fit.
    pub overflows: Cell<u64>,
    /// The session's time zone.
    pub zone: Zone,
    /// Where the numbers of the function at hand are.
    pub sequence: Option<&'a Sequence>,
    now: OnceCell<Moment>,
}

impl<'a> Input<'a> {
    /// Of a batch.
    #[must_use]
    pub fn new(columns: &'a [ArrayRef], rows: usize) -> Self {
        Self { columns, rows, overflows: Cell::new(0), zone: Zone::Utc, sequence: None, now: OnceCell::new() }
    }

    /// The same in a time zone.
    #[must_use]
    pub fn in_zone(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    /// The time now: one for the whole batch, in milliseconds as Flink has it.
    #[must_use]
    pub fn now(&self) -> Moment {
        *self
            .now
            .get_or_init(|| Moment::of(chrono::Utc::now().timestamp_millis(), arrow::datatypes::TimeUnit::Millisecond))
    }
}

/// An array, or a constant of one row.
#[derive(Clone, Debug)]
pub struct Vector {
    /// The values.
    pub array: ArrayRef,
    /// Whether its one row stands for all.
    pub scalar: bool,
}

impl Vector {
    /// One value a row.
    #[must_use]
    pub fn rows(array: impl Array + 'static) -> Self {
        Self { array: Arc::new(array), scalar: false }
    }

    /// Index of a row.
    #[inline]
    #[must_use]
    pub const fn at(&self, row: usize) -> usize {
        if self.scalar { 0 } else { row }
    }

    /// Whether the row is NULL.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        self.array.is_null(self.at(row))
    }

    /// As a full column of `rows`.
    #[must_use]
    pub fn into_column(self, rows: usize) -> ArrayRef {
        if !self.scalar {
            return self.array;
        }
        if self.array.null_count() == self.array.len() {
            return new_null_array(self.array.data_type(), rows);
        }
        let zeros = UInt32Array::from_value(0, rows);
        arrow::compute::take(&self.array, &zeros, None).expect("index 0 of one row exists")
    }

    pub(crate) fn primitive<T: ArrowPrimitiveType>(&self) -> &arrow::array::PrimitiveArray<T> {
        self.array.as_primitive::<T>()
    }
}

/// How many rows an operation on these computes, and whether its result is a constant.
#[must_use]
pub fn shape(arguments: &[&Vector], rows: usize) -> (usize, bool) {
    let scalar = arguments.iter().all(|vector| vector.scalar);
    (if scalar { 1 } else { rows }, scalar)
}

/// Whether a failure in a row counts.
#[must_use]
pub fn counts(mask: Mask<'_>, row: usize, scalar: bool) -> bool {
    match mask {
        None => true,
        Some(mask) if scalar => mask.count_set_bits() > 0,
        Some(mask) => mask.value(row),
    }
}

impl Expr {
    /// A column.
    #[must_use]
    pub const fn column(index: usize, data_type: DataType) -> Self {
        Self { kind: ExprKind::Column(index), data_type }
    }

    /// A constant.
    #[must_use]
    pub fn literal(value: impl Array + 'static, data_type: DataType) -> Self {
        Self { kind: ExprKind::Literal(Arc::new(value)), data_type }
    }

    /// NULL of a type.
    #[must_use]
    pub fn null(kind: LogicalType) -> Self {
        Self { kind: ExprKind::Literal(new_null_array(&kind.to_arrow(), 1)), data_type: kind.nullable(true) }
    }

    /// This in another type; itself if it has it already.
    #[must_use]
    pub fn cast(self, kind: LogicalType) -> Self {
        if self.data_type.kind == kind {
            return self;
        }
        if self.data_type.kind == LogicalType::Null {
            return Self::null(kind);
        }
        let data_type = kind.nullable(self.data_type.nullable);
        Self { kind: ExprKind::Cast { input: Box::new(self), lenient: false }, data_type }
    }

    /// The same with another time zone for its session; UTC is the default.
    #[must_use]
    pub fn in_zone(self, zone: Zone) -> Self {
        if zone == Zone::Utc || matches!(self.kind, ExprKind::Column(_) | ExprKind::Literal(_)) {
            return self;
        }
        Self { data_type: self.data_type, kind: ExprKind::InZone(Box::new(self), zone) }
    }

    /// Evaluates to one array of `input.rows` rows.
    pub fn evaluate(&self, input: &Input<'_>) -> Result<ArrayRef, EvalError> {
        self.eval(input, None).map(|vector| vector.into_column(input.rows))
    }

    /// Evaluates; failures in rows outside the mask give NULL.
    pub fn eval(&self, input: &Input<'_>, mask: Mask<'_>) -> Result<Vector, EvalError> {
        match &self.kind {
            ExprKind::Column(index) => Ok(Vector { array: Arc::clone(&input.columns[*index]), scalar: false }),
            ExprKind::Literal(array) => Ok(Vector { array: Arc::clone(array), scalar: true }),
            ExprKind::Cast { input: inner, lenient } => {
                let value = inner.eval(input, mask)?;
                cast::cast(&value, inner.data_type.kind, self.data_type.kind, *lenient, input, mask)
            }
            ExprKind::Arithmetic { op, left, right } => {
                let (a, b) = (left.eval(input, mask)?, right.eval(input, mask)?);
                let kinds = (left.data_type.kind, right.data_type.kind, self.data_type.kind);
                arithmetic::compute(*op, &a, &b, kinds, input, mask)
            }
            ExprKind::Compare { op, left, right } => {
                let (a, b) = (left.eval(input, mask)?, right.eval(input, mask)?);
                if left.data_type.kind.is_nested() {
                    return logic::compare_nested(*op, &a, &b, left.data_type.kind, input.rows);
                }
                logic::compare(*op, &a, &b, input.rows)
            }
            ExprKind::And(left, right) => logic::and_or(true, left, right, input, mask),
            ExprKind::Or(left, right) => logic::and_or(false, left, right, input, mask),
            ExprKind::Not(inner) => Ok(logic::not(&inner.eval(input, mask)?)),
            ExprKind::IsNull(inner) => Ok(logic::is_null(&inner.eval(input, mask)?)),
            ExprKind::Is(inner, wanted) => Ok(logic::is(&inner.eval(input, mask)?, *wanted)),
            ExprKind::InZone(inner, zone) => {
                let inside = Input { zone: *zone, overflows: Cell::new(0), now: input.now.clone(), ..*input };
                let found = inner.eval(&inside, mask);
                input.overflows.set(input.overflows.get() + inside.overflows.get());
                found
            }
            ExprKind::Sequenced(inner, sequence) => {
                let inside =
                    Input { sequence: Some(sequence), overflows: Cell::new(0), now: input.now.clone(), ..*input };
                inner.eval(&inside, mask)
            }
            ExprKind::Case { branches, otherwise } => {
                logic::case(branches, otherwise, self.data_type.kind, input, mask)
            }
            ExprKind::Call { function, arguments } => call(function, arguments, self.data_type.kind, input, mask),
        }
    }

    /// Whether its value is the same for every row, today and tomorrow.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        let stays = match &self.kind {
            ExprKind::Column(_) => false,
            ExprKind::Call { function, .. } => function.changes == Changes::Never,
            _ => true,
        };
        stays && self.children().into_iter().all(Self::is_constant)
    }

    /// Lets its sequences begin anew.
    pub fn restart(&self) {
        if let ExprKind::Sequenced(_, sequence) = &self.kind {
            sequence.restart();
        }
        self.children().into_iter().for_each(Self::restart);
    }

    /// Whether it gives the same for the same row.
    #[must_use]
    pub fn is_steady(&self) -> bool {
        let stays = match &self.kind {
            ExprKind::Sequenced(..) => false,
            ExprKind::Call { function, .. } => function.changes == Changes::Never,
            _ => true,
        };
        stays && self.children().into_iter().all(Self::is_steady)
    }

    /// Adds the columns it reads.
    pub fn columns(&self, out: &mut Vec<usize>) {
        if let ExprKind::Column(index) = &self.kind {
            out.push(*index);
        }
        self.children().into_iter().for_each(|child| child.columns(out));
    }

    /// The expressions that it is computed from.
    #[must_use]
    pub fn children(&self) -> Vec<&Self> {
        match &self.kind {
            ExprKind::Column(_) | ExprKind::Literal(_) => Vec::new(),
            ExprKind::Cast { input, .. } => vec![input],
            ExprKind::Not(inner)
            | ExprKind::IsNull(inner)
            | ExprKind::Is(inner, _)
            | ExprKind::InZone(inner, _)
            | ExprKind::Sequenced(inner, _) => vec![inner],
            ExprKind::Arithmetic { left, right, .. } | ExprKind::Compare { left, right, .. } => vec![left, right],
            ExprKind::And(left, right) | ExprKind::Or(left, right) => vec![left, right],
            ExprKind::Case { branches, otherwise } => {
                let branches = branches.iter().flat_map(|(condition, result)| [condition, result]);
                branches.chain(std::iter::once(&**otherwise)).collect()
            }
            ExprKind::Call { arguments, .. } => arguments.iter().collect(),
        }
    }

    /// The expressions that it is computed from, to be changed in place.
    pub fn children_mut(&mut self) -> Vec<&mut Self> {
        match &mut self.kind {
            ExprKind::Column(_) | ExprKind::Literal(_) => Vec::new(),
            ExprKind::Cast { input, .. } => vec![input],
            ExprKind::Not(inner)
            | ExprKind::IsNull(inner)
            | ExprKind::Is(inner, _)
            | ExprKind::InZone(inner, _)
            | ExprKind::Sequenced(inner, _) => vec![inner],
            ExprKind::Arithmetic { left, right, .. } | ExprKind::Compare { left, right, .. } => vec![left, right],
            ExprKind::And(left, right) | ExprKind::Or(left, right) => vec![left, right],
            ExprKind::Case { branches, otherwise } => {
                let branches = branches.iter_mut().flat_map(|(condition, result)| [condition, result]);
                branches.chain(std::iter::once(&mut **otherwise)).collect()
            }
            ExprKind::Call { arguments, .. } => arguments.iter_mut().collect(),
        }
    }

    /// The same expression with every column replaced.
    #[must_use]
    pub fn with_columns(mut self, replace: &impl Fn(usize, DataType) -> Self) -> Self {
        if let ExprKind::Column(index) = self.kind {
            return replace(index, self.data_type);
        }
        for child in self.children_mut() {
            let taken = std::mem::replace(child, Self::null(LogicalType::Null));
            *child = taken.with_columns(replace);
        }
        self
    }
}

fn call(
    function: &'static Function,
    arguments: &[Expr],
    to: LogicalType,
    input: &Input<'_>,
    mask: Mask<'_>,
) -> Result<Vector, EvalError> {
    let values: Result<Vec<_>, _> = arguments.iter().map(|argument| argument.eval(input, mask)).collect();
    let values = values?;
    let types: Vec<DataType> = arguments.iter().map(|argument| argument.data_type).collect();
    let scalar = function.changes != Changes::PerRow && values.iter().all(|value| value.scalar);
    let count = if scalar { 1 } else { input.rows };
    (function.eval)(&Call { values: &values, types: &types, to, input, mask, count, scalar })
}

/// The rows for which a condition is TRUE: NULL is not.
#[must_use]
pub fn truth(array: &BooleanArray) -> BooleanBuffer {
    match array.nulls() {
        Some(nulls) => array.values() & nulls.inner(),
        None => array.values().clone(),
    }
}
