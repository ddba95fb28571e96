//! Values to text, as `StringConverter` writes them: what Java's `toString` gives of Connect's objects.
//!
//! | value | text |
//! |---|---|
//! | struct | `Struct{id=1,name=x}`, without the fields that are null |
//! | array, map | `[a, null]`, `{k=v, n=null}` |
//! | decimal | `2.00`, `1E-9` |
//! | Connect's own date, time, timestamp | `Thu Jan 01 00:00:00 UTC 1970` |
//! | bytes | their base64: Java shows the object that holds them, and not what it holds |

use chrono::{DateTime, Datelike};

use super::{Value, write_big_decimal};
use crate::debezium::{Schema, SchemaKind, write_base64, write_int};
use crate::java_json::{write_f32, write_f64};

/// Appends the text of a value.
pub fn write_text(out: &mut Vec<u8>, schema: Option<&Schema>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Int(number) => {
            let millis = schema.and_then(|schema| schema.java_millis(*number));
            match millis.and_then(DateTime::from_timestamp_millis) {
                Some(time) => {
                    let (year, time) = (time.year_ce().1, time.format("%a %b %d %H:%M:%S"));
                    out.extend_from_slice(format!("{time} UTC {year}").as_bytes());
                }
                None => write_int(out, *number),
            }
        }
        Value::Float(number) => write_float(out, schema, *number),
        Value::Number(text) => out.extend_from_slice(text.as_bytes()),
        Value::String(text) => out.extend_from_slice(text.as_bytes()),
        Value::Bytes(bytes) => match schema.and_then(Schema::decimal_scale) {
            Some(scale) => write_big_decimal(out, bytes, scale),
            None => write_base64(out, bytes),
        },
        Value::Array(items) => {
            // An array in an array of one dimension is its further dimension.
            let element = schema.map(|schema| match &schema.kind {
                SchemaKind::Array(element) => &**element,
                _ => schema,
            });
            out.push(b'[');
            separated(out, items.iter(), b", ", |out, item| write_text(out, element, item));
            out.push(b']');
        }
        Value::Map(entries) => {
            let of = schema.and_then(|schema| match &schema.kind {
                SchemaKind::Map(_, values) => Some(&**values),
                _ => None,
            });
            out.push(b'{');
            separated(out, entries.iter(), b", ", |out, (name, value)| {
                out.extend_from_slice(name.as_bytes());
                out.push(b'=');
                write_text(out, of, value);
            });
            out.push(b'}');
        }
        Value::Struct(values) => {
            let fields = schema.map(Schema::struct_fields).unwrap_or_default().iter().zip(values);
            out.extend_from_slice(b"Struct{");
            separated(out, fields.filter(|(_, value)| !value.is_null()), b",", |out, ((name, field), value)| {
                out.extend_from_slice(name.as_bytes());
                out.push(b'=');
                write_text(out, Some(field), value);
            });
            out.push(b'}');
        }
    }
}

/// Appends a number of the schema's width, as Java prints it.
fn write_float(out: &mut Vec<u8>, schema: Option<&Schema>, number: f64) {
    let start = out.len();
    match schema.map(Schema::type_name) {
        Some("float") => write_f32(out, number as f32),
        _ => write_f64(out, number),
    }
    // What is no number stands in quotes in JSON alone.
    if out.get(start) == Some(&b'"') {
        out.pop();
        out.remove(start);
    }
}

fn separated<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, separator: &[u8], write: impl Fn(&mut Vec<u8>, T)) {
    for (place, item) in items.enumerate() {
        if place > 0 {
            out.extend_from_slice(separator);
        }
        write(out, item);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::SchemaReader;
    use super::*;

    fn text(schema: &str, payload: &str) -> String {
        let framed = format!(r#"{{"schema":{schema},"payload":{payload}}}"#);
        let part = SchemaReader::default().read(Some(framed.as_bytes())).unwrap();
        let mut out = Vec::new();
        write_text(&mut out, part.schema.as_deref(), &part.value);
        String::from_utf8(out).unwrap()
    }

    /// A field of a struct, by type and name of the type.
    fn field(name: &str, kind: &str, of: &str) -> String {
        let of = if of.is_empty() { String::new() } else { format!(r#","name":"org.apache.kafka.connect.data.{of}""#) };
        let items = match kind {
            "array" => r#","items":{"type":"float","optional":true}"#,
            "map" => r#","keys":{"type":"string"},"values":{"type":"string","optional":true}"#,
            _ => "",
        };
        format!(r#"{{"type":"{kind}","optional":true{of}{items},"parameters":{{"scale":"9"}},"field":"{name}"}}"#)
    }

    #[test]
    fn values_as_java_prints_them() {
        let fields = [
            field("id", "int64", ""),
            field("gone", "string", ""),
            field("f", "double", ""),
            field("a", "array", ""),
            field("m", "map", ""),
            field("d", "bytes", "Decimal"),
            field("b", "bytes", ""),
            field("day", "int32", "Date"),
            field("time", "int32", "Time"),
            field("at", "int64", "Timestamp"),
        ];
        let schema = format!(r#"{{"type":"struct","fields":[{}],"optional":false}}"#, fields.join(","));
        let payload = concat!(
            r#"{"id":-1,"gone":null,"f":1.0E10,"a":[1.1,null,"NaN"],"m":{"k":"a b","n":null},"d":"AQ==","b":"/w==","#,
            r#""day":1,"time":1500,"at":1709212455678}"#
        );
        let expected = concat!(
            "Struct{id=-1,f=1.0E10,a=[1.1, null, NaN],m={k=a b, n=null},d=1E-9,b=/w==,",
            "day=Fri Jan 02 00:00:00 UTC 1970,time=Thu Jan 01 00:00:01 UTC 1970,at=Thu Feb 29 13:14:15 UTC 2024}"
        );
        assert_eq!(text(&schema, payload), expected);
        assert_eq!(text(r#"{"type":"string"}"#, r#""a\nb""#), "a\nb");
        assert_eq!(text(r#"{"type":"boolean"}"#, "true"), "true");
    }
}
