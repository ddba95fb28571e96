//! Which types go together: the common type of several values, what may be compared, what a sink takes, what CAST takes.

use super::{DataType, LogicalType, coerce_nested, decimal};

/// The type that holds values of all of `types`, as CASE, COALESCE, IN and VALUES need it; `None` if there is none.
#[must_use]
pub fn common_type(types: &[DataType]) -> Option<DataType> {
    let nullable = types.iter().any(|data_type| data_type.nullable || data_type.kind == LogicalType::Null);
    let mut kinds = types.iter().map(|data_type| data_type.kind).filter(|kind| *kind != LogicalType::Null);
    let first = kinds.next().unwrap_or(LogicalType::Null);
    let kind = kinds.try_fold(first, common_kind)?;
    Some(kind.nullable(nullable))
}

/// The type that holds values of all of `types`, as COALESCE, GREATEST and their like need it: Flink has rules of its own
/// for them beside those of CASE.
///
/// Source: what Flink 1.20 answers for each pair of types, which follows its `LogicalTypeMerging`.
#[must_use]
pub fn merged_type(types: &[DataType]) -> Option<DataType> {
    let nullable = types.iter().any(|data_type| data_type.nullable || data_type.kind == LogicalType::Null);
    let mut kinds = types.iter().map(|data_type| data_type.kind).filter(|kind| *kind != LogicalType::Null);
    let first = kinds.next().unwrap_or(LogicalType::Null);
    Some(kinds.try_fold(first, merged_kind)?.nullable(nullable))
}

fn merged_kind(a: LogicalType, b: LogicalType) -> Option<LogicalType> {
    use LogicalType as T;
    match (a, b) {
        (T::Float, T::Double) | (T::Double, T::Float) => Some(T::Double),
        (T::Decimal { .. }, T::Float) => Some(T::Float),
        (T::Date | T::Time(_), T::Timestamp(_)) => Some(a),
        (T::Timestamp(_), T::Date | T::Time(_)) => Some(b),
        (T::Timestamp(n), T::TimestampLtz(m)) | (T::TimestampLtz(n), T::Timestamp(m)) => {
            Some(T::TimestampLtz(n.max(m)))
        }
        _ => match (a.as_decimal(), b.as_decimal()) {
            (Some(x), Some(y)) if !(a.is_integer() && b.is_integer()) => Some(decimal::merged_type(x, y)),
            _ => common_kind(a, b),
        },
    }
}

fn common_kind(a: LogicalType, b: LogicalType) -> Option<LogicalType> {
    use LogicalType as T;
    if a == b {
        return Some(a);
    }
    if a.is_numeric() && b.is_numeric() {
        return Some(common_numeric(a, b));
    }
    match (a, b) {
        // Texts of different lengths: Flink pads nothing, so the result is a VARCHAR.
        (T::Char(n) | T::VarChar(n), T::Char(m) | T::VarChar(m)) => Some(T::VarChar(n.max(m))),
        (T::Binary(n) | T::VarBinary(n), T::Binary(m) | T::VarBinary(m)) => Some(T::VarBinary(n.max(m))),
        (T::Time(n), T::Time(m)) => Some(T::Time(n.max(m))),
        (T::Timestamp(n), T::Timestamp(m)) => Some(T::Timestamp(n.max(m))),
        (T::TimestampLtz(n), T::TimestampLtz(m)) => Some(T::TimestampLtz(n.max(m))),
        // With and without a zone: the second one's kind wins where its precision differs.
        (T::Timestamp(n), T::TimestampLtz(m)) => Some(if n == m { a } else { T::TimestampLtz(n.max(m)) }),
        (T::TimestampLtz(n), T::Timestamp(m)) => Some(if n == m { a } else { T::Timestamp(n.max(m)) }),
        _ => coerce_nested::common(a, b),
    }
}

fn common_numeric(a: LogicalType, b: LogicalType) -> LogicalType {
    use LogicalType as T;
    match (a.as_decimal(), b.as_decimal()) {
        (Some(x), Some(y)) if a.is_integer() && b.is_integer() => {
            if x.0 >= y.0 {
                a
            } else {
                b
            }
        }
        (Some(x), Some(y)) => decimal::common_type(x, y),
        // Of FLOAT and DOUBLE the first wins, as Calcite gives both the same precision.
        _ if a.is_approximate() && b.is_approximate() => a,
        // A FLOAT with integers stays one; with DECIMAL it becomes a DOUBLE.
        _ if a == T::Double || b == T::Double => T::Double,
        _ if matches!(a, T::Decimal { .. }) || matches!(b, T::Decimal { .. }) => T::Double,
        _ => T::Float,
    }
}

/// The type in which two values are compared; `None` if Flink does not compare them.
#[must_use]
pub fn comparison_type(a: DataType, b: DataType) -> Option<LogicalType> {
    let timed = |kind: LogicalType| kind.is_timestamp() || matches!(kind, LogicalType::Date | LogicalType::Time(_));
    match (a.kind, b.kind) {
        // A text beside a time is read as one.
        (text, time) if text.is_text() && timed(time) => Some(time),
        (time, text) if text.is_text() && timed(time) => Some(time),
        (x, y) if x.is_timestamp() && y.is_timestamp() => merged_kind(x, y),
        _ => common_type(&[a, b]).map(|data_type| data_type.kind),
    }
}

/// Whether a sink column of type `to` takes a query's column of type `from` without CAST.
///
/// Source: Flink's `LogicalTypeCasts.supportsImplicitCast`.
#[must_use]
pub fn implicit_cast(from: LogicalType, to: LogicalType) -> bool {
    use LogicalType as T;
    match (from, to) {
        (T::Null, _) => true,
        (T::Char(_), T::Char(_)) => true,
        (T::Char(_) | T::VarChar(_), T::VarChar(_)) => true,
        (T::Binary(_), T::Binary(_)) | (T::Binary(_) | T::VarBinary(_), T::VarBinary(_)) => true,
        (T::Decimal { .. }, T::Decimal { .. } | T::Float | T::Double) => true,
        (T::Float, T::Double) | (T::Float | T::Double, T::Decimal { .. }) => true,
        (T::Time(_), T::Time(_)) => true,
        (T::Timestamp(_), T::Date | T::Time(_)) => true,
        (T::Timestamp(_) | T::TimestampLtz(_), T::Timestamp(_) | T::TimestampLtz(_)) => true,
        _ if from.is_integer() && to.is_integer() => from.as_decimal() <= to.as_decimal(),
        _ if from.is_integer() => to.is_approximate() || matches!(to, T::Decimal { .. }),
        _ => from == to || coerce_nested::implicit(from, to),
    }
}

/// Whether CAST goes from one to the other.
#[must_use]
pub fn explicit_cast(from: LogicalType, to: LogicalType) -> bool {
    use LogicalType as T;
    match (from, to) {
        (T::Null, _) => true,
        _ if from == to => true,
        (T::Char(_) | T::VarChar(_), _) => !to.is_nested() && !to.is_interval(),
        (T::IntervalMonth | T::IntervalSecond, _) => to.is_text() || to.is_integer() || matches!(to, T::Decimal { .. }),
        (_, T::IntervalMonth | T::IntervalSecond) => from.is_integer() || matches!(from, T::Decimal { .. }),
        _ if from.is_nested() || to.is_nested() => coerce_nested::explicit(from, to),
        (T::Boolean, _) => to.is_text() || to.is_numeric(),
        _ if from.is_numeric() => to.is_text() || to.is_numeric() || to == T::Boolean,
        (T::Binary(_) | T::VarBinary(_), _) => to.is_text() || to.is_binary(),
        (T::Date, _) => to.is_text() || to.is_timestamp(),
        (T::Time(_), _) => to.is_text() || to.is_timestamp() || matches!(to, T::Time(_)),
        (T::Timestamp(_) | T::TimestampLtz(_), _) => {
            to.is_text() || to.is_timestamp() || matches!(to, T::Date | T::Time(_))
        }
        _ => false,
    }
}

/// What Flink says of a CAST that does not go.
#[must_use]
pub fn cast_refusal(from: LogicalType, to: LogicalType) -> (String, &'static str) {
    if from.is_numeric() && to.is_timestamp() || from.is_timestamp() && to.is_numeric() {
        let message = format!("The cast from {} type to {} type is not allowed.", root(from), root(to));
        return (message, "Convert it in the database, or declare the column with the type it has there.");
    }
    if from.is_text() && to.is_interval() {
        return (format!("Unsupported cast from '{from}' to '{to}'."), "Cast it to a number first.");
    }
    (
        format!("Cast function cannot convert value of type {from} to type {to}"),
        "Cast to STRING first, or choose another type.",
    )
}

/// What Flink says of results that have no common type.
#[must_use]
pub fn mixing_refusal(types: &[DataType]) -> String {
    let timed = |kind: LogicalType| kind.is_timestamp() || matches!(kind, LogicalType::Date | LogicalType::Time(_));
    let time = types.iter().find(|data_type| timed(data_type.kind));
    let number = types.iter().find(|data_type| data_type.kind.is_integer() || data_type.kind.is_interval());
    match (number, time) {
        // Calcite takes them for a time and a number of days, and only the cast fails.
        (Some(from), Some(to)) if types.iter().all(|one| timed(one.kind) || one.kind == from.kind) => {
            match to.kind.is_timestamp() && from.kind.is_integer() {
                true => cast_refusal(from.kind, to.kind).0,
                false => format!("Unsupported cast from '{from}' to '{to}'."),
            }
        }
        _ => "Illegal mixing of types in CASE or COALESCE statement".to_owned(),
    }
}

fn root(kind: LogicalType) -> &'static str {
    match kind {
        LogicalType::TimestampLtz(_) => "TIMESTAMP_LTZ",
        LogicalType::Timestamp(_) => "TIMESTAMP",
        _ => "NUMERIC",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_types_are_flinks() {
        let of = |a: LogicalType, b: LogicalType| {
            common_type(&[a.nullable(false), b.nullable(false)]).map(|data_type| data_type.to_string())
        };
        let two_one = LogicalType::Decimal { precision: 2, scale: 1 };
        assert_eq!(of(LogicalType::Int, two_one).as_deref(), Some("DECIMAL(11, 1) NOT NULL"));
        assert_eq!(of(LogicalType::BigInt, two_one).as_deref(), Some("DECIMAL(20, 1) NOT NULL"));
        assert_eq!(of(LogicalType::Char(1), LogicalType::Char(2)).as_deref(), Some("VARCHAR(2) NOT NULL"));
        assert_eq!(of(LogicalType::Int, LogicalType::Char(2)), None);
    }
}
