//! What the functions of ARRAY, MAP and ROW take and give.

use super::bind::{Bound, maybe, never, strict, take};
use crate::expr::Expr;
use crate::types::nested::RowField;
use crate::types::{DataType, LogicalType, coerce};

pub(super) fn common(arguments: &[Expr]) -> Option<DataType> {
    let types: Vec<DataType> = arguments.iter().map(|argument| argument.data_type).collect();
    coerce::common_type(&types).filter(|common| common.kind != LogicalType::Null)
}

pub(super) fn bind_array(arguments: Vec<Expr>) -> Bound {
    let of = common(&arguments)?;
    let arguments = arguments.into_iter().map(|argument| argument.cast(of.kind)).collect();
    never(arguments, LogicalType::array(of))
}

pub(super) fn bind_map(arguments: Vec<Expr>) -> Bound {
    if arguments.is_empty() || arguments.len() % 2 == 1 {
        return None;
    }
    // A bare NULL has the type of the first key.
    let first = arguments[0].data_type.kind;
    let typed =
        |argument: Expr| if argument.data_type.kind == LogicalType::Null { argument.cast(first) } else { argument };
    let arguments: Vec<Expr> = arguments.into_iter().map(typed).collect();
    let side = |odd: usize| -> Vec<Expr> { arguments.iter().skip(odd).step_by(2).cloned().collect() };
    let (key, value) = (common(&side(0))?, common(&side(1))?);
    let cast =
        |(position, argument): (usize, Expr)| argument.cast(if position % 2 == 0 { key.kind } else { value.kind });
    let arguments = arguments.into_iter().enumerate().map(cast).collect();
    never(arguments, LogicalType::map(key, value))
}

pub(super) fn bind_row(arguments: Vec<Expr>) -> Bound {
    let name = |(position, argument): (usize, &Expr)| RowField {
        name: format!("EXPR${position}"),
        data_type: argument.data_type,
    };
    let fields: Vec<RowField> = arguments.iter().enumerate().map(name).collect();
    if fields.is_empty() || fields.iter().any(|field| field.data_type.kind == LogicalType::Null) {
        return None;
    }
    never(arguments, LogicalType::row(fields))
}

pub(super) fn bind_item(mut arguments: Vec<Expr>) -> Bound {
    let [container, at] = arguments.as_slice() else { return None };
    let of = match container.data_type.kind {
        LogicalType::Array(of) if at.data_type.kind.is_integer() => {
            let at = arguments.remove(1).cast(LogicalType::Int);
            arguments.push(at);
            *of
        }
        LogicalType::Map(entry) => {
            coerce::comparison_type(entry.key, at.data_type)?;
            let at = arguments.remove(1).cast(entry.key.kind);
            arguments.push(at);
            entry.value
        }
        _ => return None,
    };
    maybe(arguments, of.kind)
}

pub(super) fn bind_element(arguments: Vec<Expr>) -> Bound {
    let arguments = take(arguments, &["a"])?;
    let of = arguments[0].data_type.kind.element()?;
    let nullable = of.nullable || arguments[0].data_type.nullable;
    Some((arguments, of.kind.nullable(nullable)))
}

pub(super) fn same(arguments: Vec<Expr>) -> Bound {
    let arguments = take(arguments, &["a"])?;
    let kind = arguments[0].data_type.kind;
    strict(arguments, kind)
}

/// The second argument in the type of the first one's elements, which it has to fit: a wider number is refused.
pub(super) fn value_cast(arguments: Vec<Expr>) -> Option<(Vec<Expr>, DataType)> {
    let [array, value] = <[Expr; 2]>::try_from(arguments).ok()?;
    let of = array.data_type.kind.element()?;
    if of.kind.is_numeric() && !coerce::implicit_cast(value.data_type.kind, of.kind) {
        return None;
    }
    let common = coerce::common_type(&[of, value.data_type])?;
    let nullable = of.nullable || value.data_type.nullable;
    let array = array.cast(LogicalType::array(common.kind.nullable(of.nullable)));
    Some((vec![array, value.cast(common.kind)], common.kind.nullable(nullable)))
}

pub(super) fn of_array(arguments: Vec<Expr>, kind: LogicalType) -> Bound {
    let nullable = arguments.first()?.data_type.nullable;
    Some((arguments, kind.nullable(nullable)))
}

pub(super) fn bind_contains(arguments: Vec<Expr>) -> Bound {
    let (arguments, _) = value_cast(arguments)?;
    of_array(arguments, LogicalType::Boolean)
}

pub(super) fn bind_position(arguments: Vec<Expr>) -> Bound {
    let (arguments, _) = value_cast(arguments)?;
    strict(arguments, LogicalType::Int)
}

pub(super) fn with_value(arguments: Vec<Expr>) -> Bound {
    let (arguments, _) = value_cast(arguments)?;
    let kind = arguments[0].data_type.kind;
    of_array(arguments, kind)
}

pub(super) fn adding(arguments: Vec<Expr>) -> Bound {
    let of = arguments.first()?.data_type.kind.element()?;
    value_cast(arguments.clone())?;
    let [array, value] = <[Expr; 2]>::try_from(arguments).ok()?;
    // The value becomes what the array holds, cut or rounded if it has to be.
    let kind = LogicalType::array(of.with_nullable(of.nullable || value.data_type.nullable));
    let arguments = vec![array.cast(kind), value.cast(of.kind)];
    // Beside a value that may be NULL the whole array is said to be one that may.
    let nullable = arguments.iter().any(|argument| argument.data_type.nullable);
    Some((arguments, kind.nullable(nullable)))
}

pub(super) fn bind_arrays(arguments: Vec<Expr>) -> Bound {
    let arguments = take(arguments, &["aa*"])?;
    let kind = common(&arguments)?.kind;
    strict(arguments.into_iter().map(|argument| argument.cast(kind)).collect(), kind)
}

pub(super) fn bind_slice(arguments: Vec<Expr>) -> Bound {
    let arguments = take(arguments, &["ai", "aii"])?;
    let kind = arguments[0].data_type.kind;
    strict(arguments, kind)
}

pub(super) fn bind_extreme(arguments: Vec<Expr>) -> Bound {
    let arguments = take(arguments, &["a"])?;
    let of = arguments[0].data_type.kind.element()?;
    if of.kind.is_nested() { None } else { maybe(arguments, of.kind) }
}

pub(super) fn bind_sort(arguments: Vec<Expr>) -> Bound {
    let arguments = take(arguments, &["a", "ab", "abb"])?;
    let kind = arguments[0].data_type.kind;
    if kind.element()?.kind.is_nested() { None } else { strict(arguments, kind) }
}

pub(super) fn bind_join(arguments: Vec<Expr>) -> Bound {
    let arguments = take(arguments, &["at", "att"])?;
    if arguments[0].data_type.kind.element()?.kind.is_text() { strict(arguments, LogicalType::STRING) } else { None }
}

pub(super) fn bind_side(arguments: Vec<Expr>, keys: bool) -> Bound {
    let arguments = take(arguments, &["m"])?;
    let entry = arguments[0].data_type.kind.entry()?;
    strict(arguments, LogicalType::array(if keys { entry.key } else { entry.value }))
}

pub(super) fn bind_entries(arguments: Vec<Expr>) -> Bound {
    let arguments = take(arguments, &["m"])?;
    let entry = arguments[0].data_type.kind.entry()?;
    let fields = vec![
        RowField { name: "key".to_owned(), data_type: entry.key },
        RowField { name: "value".to_owned(), data_type: entry.value },
    ];
    strict(arguments, LogicalType::array(LogicalType::row(fields).nullable(true)))
}

pub(super) fn bind_from_arrays(arguments: Vec<Expr>) -> Bound {
    let arguments = take(arguments, &["aa"])?;
    let (key, value) = (arguments[0].data_type.kind.element()?, arguments[1].data_type.kind.element()?);
    strict(arguments, LogicalType::map(key, value))
}

pub(super) fn bind_union(arguments: Vec<Expr>) -> Bound {
    let arguments = take(arguments, &["mm*"])?;
    let kind = common(&arguments)?.kind;
    strict(arguments.into_iter().map(|argument| argument.cast(kind)).collect(), kind)
}
