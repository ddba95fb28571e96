//! SQL's JSON functions. What ON EMPTY, ON ERROR and the wrapper say are constant texts behind the arguments, which the
//! analyzer puts there.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, ListBuilder, StringBuilder};
use arrow::datatypes::{Date32Type, Decimal128Type, Float32Type, Float64Type};
use base64::Engine;
use thm_codec::java_json::FloatText;

use super::bind::{Bound, maybe, never, strict};
use super::json_path::Path;
use super::json_text::{Json, write_double, write_float, write_text};
use super::{Call, Function};
use crate::expr::{EvalError, Expr, ExprKind, Vector, text};
use crate::types::nested::item_field;
use crate::types::time;
use crate::types::{LogicalType, decimal};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(
        "JSON_VALUE",
        "Write JSON_VALUE(json, '$.path' [RETURNING type] [NULL | ERROR | DEFAULT value ON EMPTY] [… ON ERROR]).",
        |a| maybe(a, LogicalType::STRING),
        value,
    ),
    Function::new(
        "JSON_QUERY",
        "Write JSON_QUERY(json, '$.path' [WITH WRAPPER] [NULL | EMPTY ARRAY | EMPTY OBJECT | ERROR ON EMPTY] [… ON ERROR]).",
        |a| maybe(a, LogicalType::STRING),
        query,
    ),
    Function::new(
        "JSON_EXISTS",
        "Write JSON_EXISTS(json, '$.path' [TRUE | FALSE | UNKNOWN | ERROR ON ERROR]).",
        |a| maybe(a, LogicalType::Boolean),
        exists,
    ),
    Function::new(
        "IS JSON",
        "Write text IS JSON [VALUE | SCALAR | ARRAY | OBJECT].",
        |a| never(a, LogicalType::Boolean),
        is_json,
    ),
    Function::new(
        "JSON_OBJECT",
        "Write JSON_OBJECT('key' VALUE value, … [NULL | ABSENT ON NULL]).",
        |a| Some((a, LogicalType::STRING.nullable(false))),
        object,
    ),
    Function::new(
        "JSON_ARRAY",
        "Write JSON_ARRAY(value, … [NULL | ABSENT ON NULL]).",
        |a| Some((a, LogicalType::STRING.nullable(false))),
        array,
    ),
    Function::new("JSON_STRING", "Write JSON_STRING(value).", bind_string, string).takes_null(),
];

fn bind_string(arguments: Vec<Expr>) -> Bound {
    let [only] = arguments.as_slice() else { return None };
    if only.data_type.kind == LogicalType::Null {
        return Some((vec![Expr::null(LogicalType::STRING)], LogicalType::STRING.nullable(true)));
    }
    if !writes(only.data_type.kind) {
        return None;
    }
    strict(arguments, LogicalType::STRING)
}

/// Whether an expression is JSON that JSON_OBJECT or JSON_ARRAY made.
#[must_use]
pub fn is_made(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call { function, .. } if matches!(function.name, "JSON_OBJECT" | "JSON_ARRAY"))
}

/// Whether a type's values have a form in JSON: dates, times alone and intervals have none in Flink.
#[must_use]
pub fn writes(kind: LogicalType) -> bool {
    match kind {
        LogicalType::Date | LogicalType::Time(_) | LogicalType::IntervalMonth | LogicalType::IntervalSecond => false,
        LogicalType::Array(of) => writes(of.kind),
        LogicalType::Map(_) | LogicalType::Multiset(_) => {
            kind.entry().is_some_and(|entry| entry.key.kind.is_text() && writes(entry.value.kind))
        }
        LogicalType::Row(fields) => fields.iter().all(|field| writes(field.data_type.kind)),
        _ => true,
    }
}

/// What a path finds in a text, by the path that was read last. `Err` is an error of text or path.
struct Finder<'a> {
    kept: Option<(&'a str, Result<Path, String>)>,
}

/// Nothing is found only where the path is lax.
struct Found {
    value: Option<Json>,
    lax: bool,
}

impl<'a> Finder<'a> {
    fn find(&mut self, call: &Call<'a>, row: usize) -> Result<Found, String> {
        let spec = call.text(1, row);
        if self.kept.as_ref().is_none_or(|(known, _)| *known != spec) {
            self.kept = Some((spec, Path::new(spec)));
        }
        let Some((_, path)) = &self.kept else { return Err(String::new()) };
        let path = path.as_ref().map_err(Clone::clone)?;
        let lax = path.lax;
        let json = match Json::parse(call.text(0, row)) {
            Ok(Json::Null) => return Err("json object can not be null".to_owned()),
            Ok(json) => json,
            Err(_) if lax => return Ok(Found { value: None, lax }),
            Err(message) => return Err(message),
        };
        match path.find(&json)?.filter(|value| *value != Json::Null) {
            // A strict path that finds null has found nothing.
            None if !lax => Err(format!("No results for path: {spec}")),
            value => Ok(Found { value, lax }),
        }
    }
}

/// Where a value comes from: the path, or the default behind that argument.
enum Source {
    Value(Json),
    Default(usize),
    Null,
}

fn behaviour(
    call: &Call<'_>,
    row: usize,
    argument: usize,
    message: impl FnOnce() -> String,
) -> Result<Source, EvalError> {
    match call.text(argument, row) {
        "ERROR" => call.failed(row, message).map(|_: Option<()>| Source::Null),
        "DEFAULT" => Ok(Source::Default(argument + 1)),
        "EMPTY ARRAY" => Ok(Source::Value(Json::Array(Vec::new()))),
        "EMPTY OBJECT" => Ok(Source::Value(Json::Object(Vec::new()))),
        _ => Ok(Source::Null),
    }
}

/// Arguments: text, path, ON EMPTY, its default, ON ERROR, its default.
fn value(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut finder = Finder { kept: None };
    let mut sources = Vec::with_capacity(call.count);
    for row in 0..call.count {
        if call.is_null(0, row) || call.is_null(1, row) {
            sources.push(Source::Null);
            continue;
        }
        sources.push(match finder.find(call, row) {
            Ok(Found { value: None, .. }) => behaviour(call, row, 2, || {
                format!("Empty result of JSON_VALUE function is not allowed; path '{}'", call.text(1, row))
            })?,
            Ok(Found { value: Some(value), lax }) if !value.is_scalar() => {
                let message = || {
                    format!(
                        "Strict jsonpath mode requires scalar value, and the actual value is: ''{}''",
                        value.shown()
                    )
                };
                behaviour(call, row, if lax { 2 } else { 4 }, message)?
            }
            Ok(Found { value: Some(value), .. }) => Source::Value(value),
            Err(message) => behaviour(call, row, 4, || message)?,
        });
    }
    returned(call, &sources)
}

/// A value in the type behind RETURNING: the JSON must have just that type, unless it is a text.
fn returned(call: &Call<'_>, sources: &[Source]) -> Result<Vector, EvalError> {
    let wrong = |row: usize, value: &Json, to: &str| -> Result<(), EvalError> {
        let from = class_of(value);
        let message = || format!("class java.lang.{from} cannot be cast to class java.lang.{to}");
        call.failed::<()>(row, message).map(drop)
    };
    macro_rules! typed {
        ($get:ident, $class:literal, $of:expr) => {{
            let of: fn(&Json) -> Option<_> = $of;
            let mut out = Vec::with_capacity(call.count);
            for (row, source) in sources.iter().enumerate() {
                out.push(match source {
                    Source::Value(value) => {
                        let found = of(value);
                        if found.is_none() {
                            wrong(row, value, $class)?;
                        }
                        found
                    }
                    Source::Default(argument) if !call.is_null(*argument, row) => Some(call.$get(*argument, row)),
                    _ => None,
                });
            }
            out
        }};
    }
    match call.to {
        LogicalType::Boolean => {
            let found =
                typed!(boolean, "Boolean", |value| if let Json::Bool(value) = value { Some(*value) } else { None });
            Ok(call.vector(arrow::array::BooleanArray::from(found)))
        }
        LogicalType::Int => {
            let found = typed!(int, "Integer", |value| match value {
                Json::Int(value) => i32::try_from(*value).ok(),
                _ => None,
            });
            Ok(call.vector(Int32Array::from(found)))
        }
        LogicalType::Double => {
            let found =
                typed!(double, "Double", |value| if let Json::Double(value) = value { Some(*value) } else { None });
            Ok(call.vector(Float64Array::from(found)))
        }
        _ => call.texts_or_null(|row, out| match &sources[row] {
            Source::Value(value) => {
                out.push_str(&value.shown());
                Ok(Some(()))
            }
            Source::Default(argument) if !call.is_null(*argument, row) => {
                out.push_str(call.text(*argument, row));
                Ok(Some(()))
            }
            _ => Ok(None),
        }),
    }
}

fn class_of(value: &Json) -> &'static str {
    match value {
        Json::Int(value) if i32::try_from(*value).is_ok() => "Integer",
        Json::Int(_) => "Long",
        Json::Bool(_) => "Boolean",
        Json::Double(_) => "Double",
        Json::Big(_) => "BigInteger",
        _ => "String",
    }
}

/// Arguments: text, path, wrapper, ON EMPTY, ON ERROR.
fn query(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut finder = Finder { kept: None };
    let mut found = |row: usize| -> Result<Option<Json>, EvalError> {
        if call.is_null(0, row) || call.is_null(1, row) {
            return Ok(None);
        }
        let source = match finder.find(call, row) {
            Err(message) => behaviour(call, row, 4, || message)?,
            Ok(Found { value, lax }) => {
                let wrapped = value.map(|value| match (call.text(2, row), &value) {
                    ("UNCONDITIONAL", _) => Json::Array(vec![value]),
                    ("CONDITIONAL", Json::Array(_)) => value,
                    ("CONDITIONAL", _) => Json::Array(vec![value]),
                    _ => value,
                });
                match wrapped {
                    None => {
                        behaviour(call, row, 3, || "Empty result of JSON_QUERY function is not allowed".to_owned())?
                    }
                    Some(value) if value.is_scalar() => {
                        let message = || {
                            format!(
                                "Strict jsonpath mode requires array or object value, and the actual value is: '{}'",
                                value.shown()
                            )
                        };
                        behaviour(call, row, if lax { 3 } else { 4 }, message)?
                    }
                    Some(value) => Source::Value(value),
                }
            }
        };
        Ok(if let Source::Value(value) = source { Some(value) } else { None })
    };
    if call.to.element().is_some() {
        return query_array(call, found);
    }
    call.texts_or_null(|row, out| Ok(found(row)?.map(|value| value.write(out))))
}

/// RETURNING ARRAY<STRING>: what is no text is JSON.
fn query_array(
    call: &Call<'_>,
    mut found: impl FnMut(usize) -> Result<Option<Json>, EvalError>,
) -> Result<Vector, EvalError> {
    let mut out = ListBuilder::new(StringBuilder::new()).with_field(item_field(LogicalType::STRING));
    for row in 0..call.count {
        let Some(Json::Array(items)) = found(row)? else {
            out.append_null();
            continue;
        };
        for item in &items {
            out.values().append_option(if *item == Json::Null { None } else { Some(item.shown()) });
        }
        out.append(true);
    }
    Ok(call.vector(out.finish()))
}

/// Arguments: text, path, ON ERROR.
fn exists(call: &Call<'_>) -> Result<Vector, EvalError> {
    let mut finder = Finder { kept: None };
    call.booleans(|row| match finder.find(call, row) {
        Ok(found) => Ok(Some(found.value.is_some())),
        Err(message) => match call.text(2, row) {
            "TRUE" => Ok(Some(true)),
            "UNKNOWN" => Ok(None),
            "ERROR" => call.failed(row, || message),
            _ => Ok(Some(false)),
        },
    })
}

/// Arguments: text, kind. A NULL is no JSON.
fn is_json(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.booleans_or_null(|row| {
        if call.is_null(0, row) {
            return Ok(Some(false));
        }
        let Ok(value) = Json::parse(call.text(0, row)) else { return Ok(Some(false)) };
        Ok(Some(match call.text(1, row) {
            "SCALAR" => value.is_scalar(),
            "ARRAY" => matches!(value, Json::Array(_)),
            "OBJECT" => matches!(value, Json::Object(_)),
            _ => true,
        }))
    })
}

/// Arguments: how NULLs are written, which arguments are JSON already (`1` a position), then keys and values.
fn object(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.texts_or_null(|row, out| {
        let mut fields: Vec<(&str, String)> = Vec::new();
        for key in (2..call.len()).step_by(2) {
            if call.is_null(key, row) {
                return call.failed(row, || "the key of JSON_OBJECT is NULL".to_owned());
            }
            let mut value = String::new();
            if !node(call, row, key + 1, &mut value)? {
                continue;
            }
            match fields.iter_mut().find(|(name, _)| *name == call.text(key, row)) {
                Some(field) => field.1 = value,
                None => fields.push((call.text(key, row), value)),
            }
        }
        fields.sort_by(|(one, _), (other, _)| java_order(one, other));
        out.push('{');
        for (position, (name, value)) in fields.iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            write_text(out, name);
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
        Ok(Some(()))
    })
}

/// Arguments: how NULLs are written, which arguments are JSON already, then values.
fn array(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.texts_or_null(|row, out| {
        out.push('[');
        for argument in 2..call.len() {
            let before = out.len();
            if before > 1 {
                out.push(',');
            }
            if !node(call, row, argument, out)? {
                out.truncate(before);
            }
        }
        out.push(']');
        Ok(Some(()))
    })
}

/// Appends a value of an object or array; false if it is to be left out.
fn node(call: &Call<'_>, row: usize, argument: usize, out: &mut String) -> Result<bool, EvalError> {
    if call.is_null(argument, row) {
        out.push_str("null");
        return Ok(call.text(0, row) != "ABSENT");
    }
    if call.text(1, row).as_bytes().get(argument - 2) == Some(&b'1') {
        out.push_str(call.text(argument, row));
    } else if let Err(message) = write(out, &call.values[argument].array, call.at(argument, row), call.kind(argument)) {
        call.failed::<()>(row, || message)?;
    }
    Ok(true)
}

fn string(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.texts(|row, out| match write(out, &call.values[0].array, call.at(0, row), call.kind(0)) {
        Ok(()) => Ok(Some(())),
        Err(message) => call.failed(row, || message),
    })
}

/// Appends any value as JSON: DECIMALs without trailing zeros, times in ISO 8601, bytes in base64, names in order. A map
/// with a NULL for a key has no such form.
fn write(out: &mut String, array: &ArrayRef, row: usize, kind: LogicalType) -> Result<(), String> {
    if text::is_null(array, row, kind) {
        out.push_str("null");
        return Ok(());
    }
    match kind {
        LogicalType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        LogicalType::Decimal { scale, .. } => {
            write_decimal(out, array.as_primitive::<Decimal128Type>().value(row), scale)
        }
        LogicalType::Float => {
            let value = array.as_primitive::<Float32Type>().value(row);
            write_float(out, value.is_finite(), &FloatText::of_f32(value));
        }
        LogicalType::Double => write_double(out, array.as_primitive::<Float64Type>().value(row)),
        LogicalType::Binary(_) | LogicalType::VarBinary(_) => {
            out.push('"');
            base64::engine::general_purpose::STANDARD.encode_string(array.as_binary::<i32>().value(row), out);
            out.push('"');
        }
        LogicalType::Timestamp(p) | LogicalType::TimestampLtz(p) => {
            let moment = text::moment(array, row, p);
            out.push('"');
            time::write_timestamp(out, moment, 'T', time::needed_fraction(moment.nanos));
            if matches!(kind, LogicalType::TimestampLtz(_)) {
                out.push('Z');
            }
            out.push('"');
        }
        LogicalType::Date => {
            out.push('"');
            time::write_date(out, i64::from(array.as_primitive::<Date32Type>().value(row)));
            out.push('"');
        }
        LogicalType::Array(of) => {
            let items = array.as_list::<i32>().value(row);
            return sequence(out, ('[', ']'), 0..items.len(), |out, item| write(out, &items, item, of.kind));
        }
        LogicalType::Map(_) | LogicalType::Multiset(_) => return write_map(out, array, row, kind),
        LogicalType::Row(fields) => {
            let columns = array.as_struct().columns();
            let mut order: Vec<usize> = (0..fields.len()).collect();
            order.sort_by(|one, other| java_order(&fields[*one].name, &fields[*other].name));
            return sequence(out, ('{', '}'), order.into_iter(), |out, field| {
                write_text(out, &fields[field].name);
                out.push(':');
                write(out, &columns[field], row, fields[field].data_type.kind)
            });
        }
        _ if kind.is_text() => write_text(out, array.as_string::<i32>().value(row)),
        _ => text::write(out, array, row, kind),
    }
    Ok(())
}

fn write_map(out: &mut String, array: &ArrayRef, row: usize, kind: LogicalType) -> Result<(), String> {
    let Some(entry) = kind.entry() else { return Ok(()) };
    let items = array.as_list::<i32>().value(row);
    let items = items.as_struct();
    let mut order: Vec<(String, usize)> = Vec::with_capacity(items.len());
    for item in 0..items.len() {
        if text::is_null(items.column(0), item, entry.key.kind) {
            return Err(format!("Key at index {item} was null. This is not supported during conversion to JSON."));
        }
        let mut key = String::new();
        text::write(&mut key, items.column(0), item, entry.key.kind);
        order.push((key, item));
    }
    order.sort_by(|(one, _), (other, _)| java_order(one, other));
    sequence(out, ('{', '}'), order.into_iter(), |out, (key, item)| {
        write_text(out, &key);
        out.push(':');
        write(out, items.column(1), item, entry.value.kind)
    })
}

/// The order of Java's texts: by UTF-16 units.
fn java_order(one: &str, other: &str) -> std::cmp::Ordering {
    one.encode_utf16().cmp(other.encode_utf16())
}

fn sequence<T>(
    out: &mut String,
    (open, close): (char, char),
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut String, T) -> Result<(), String>,
) -> Result<(), String> {
    out.push(open);
    for (position, item) in items.enumerate() {
        if position > 0 {
            out.push(',');
        }
        write(out, item)?;
    }
    out.push(close);
    Ok(())
}

/// As Java's `BigDecimal` without trailing zeros prints itself: `1.5`, `1E+2`.
fn write_decimal(out: &mut String, value: i128, scale: u8) {
    let (mut digits, mut places) = (value, i32::from(scale));
    if digits == 0 {
        out.push('0');
        return;
    }
    while digits % 10 == 0 {
        digits /= 10;
        places -= 1;
    }
    if let Ok(places) = u8::try_from(places) {
        let exponent = i32::from(places) - i32::try_from(digits.unsigned_abs().ilog10()).unwrap_or(0);
        if exponent <= 6 {
            decimal::write_plain(out, digits, places);
            return;
        }
    }
    let text = digits.unsigned_abs().to_string();
    let exponent = i32::try_from(text.len()).unwrap_or(0) - 1 - places;
    if value < 0 {
        out.push('-');
    }
    out.push_str(&text[..1]);
    if text.len() > 1 {
        out.push('.');
        out.push_str(&text[1..]);
    }
    out.push_str(&format!("E{exponent:+}"));
}
