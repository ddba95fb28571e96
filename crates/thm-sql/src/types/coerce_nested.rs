//! Common types and casts of ARRAY, MAP, MULTISET and ROW: those of their parts.

use super::coerce::{common_type, explicit_cast, implicit_cast};
use super::nested::RowField;
use super::{DataType, LogicalType};

/// The type that holds values of both.
pub(super) fn common(a: LogicalType, b: LogicalType) -> Option<LogicalType> {
    match (a, b) {
        (LogicalType::Array(x), LogicalType::Array(y)) => Some(LogicalType::array(common_type(&[*x, *y])?)),
        (LogicalType::Multiset(x), LogicalType::Multiset(y)) => Some(LogicalType::multiset(common_type(&[*x, *y])?)),
        (LogicalType::Map(x), LogicalType::Map(y)) => {
            Some(LogicalType::map(common_type(&[x.key, y.key])?, common_type(&[x.value, y.value])?))
        }
        (LogicalType::Row(x), LogicalType::Row(y)) if x.len() == y.len() => {
            let field = |(a, b): (&RowField, &RowField)| {
                Some(RowField { name: a.name.clone(), data_type: common_type(&[a.data_type, b.data_type])? })
            };
            x.iter().zip(y).map(field).collect::<Option<Vec<_>>>().map(LogicalType::row)
        }
        _ => None,
    }
}

/// Whether all parts go with `allowed`; `None` if the two are not of one kind.
fn parts(from: LogicalType, to: LogicalType, allowed: fn(LogicalType, LogicalType) -> bool) -> Option<bool> {
    let one = |a: DataType, b: DataType| allowed(a.kind, b.kind);
    match (from, to) {
        (LogicalType::Array(x), LogicalType::Array(y)) | (LogicalType::Multiset(x), LogicalType::Multiset(y)) => {
            Some(one(*x, *y))
        }
        (LogicalType::Map(x), LogicalType::Map(y)) => Some(one(x.key, y.key) && one(x.value, y.value)),
        (LogicalType::Row(x), LogicalType::Row(y)) => {
            Some(x.len() == y.len() && x.iter().zip(y.iter()).all(|(a, b)| one(a.data_type, b.data_type)))
        }
        _ => None,
    }
}

/// Whether a sink's column takes it.
pub(super) fn implicit(from: LogicalType, to: LogicalType) -> bool {
    parts(from, to, implicit_cast).unwrap_or(false)
}

/// Whether CAST takes it; all of them can be shown as text.
pub(super) fn explicit(from: LogicalType, to: LogicalType) -> bool {
    parts(from, to, explicit_cast).unwrap_or(from.is_nested() && to.is_text())
}
