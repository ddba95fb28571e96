//! Values to JSON, as `JsonConverter` writes it.

use super::{Value, write_big_decimal};
use crate::debezium::{Schema, SchemaKind, write_base64, write_int};
use crate::java_json::{write_f32, write_f64, write_string};

/// What `JsonConverter` may be told of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonForm {
    /// NULL shows as the schema's default, if it has one (`replace.null.with.default`).
    pub defaults: bool,
    /// Decimals are numbers, and not base64 (`decimal.format=NUMERIC`).
    pub numeric: bool,
}

/// Appends a value.
pub fn write_value(out: &mut Vec<u8>, schema: Option<&Schema>, value: &Value, form: JsonForm) {
    match value {
        Value::Null => match schema.and_then(|schema| schema.default.as_ref()).filter(|_| form.defaults) {
            Some(default) if !form.numeric => out.extend_from_slice(default),
            Some(_) => {
                let default = schema.and_then(Schema::default_value).unwrap_or_default();
                write_value(out, schema, &default, JsonForm { defaults: false, ..form });
            }
            None => out.extend_from_slice(b"null"),
        },
        Value::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Int(value) => write_int(out, *value),
        Value::Float(value) => match schema.map(|schema| &schema.kind) {
            Some(SchemaKind::Plain("float")) => write_f32(out, *value as f32),
            _ => write_f64(out, *value),
        },
        Value::Number(text) => out.extend_from_slice(text.as_bytes()),
        Value::String(text) => write_string(out, text),
        Value::Bytes(bytes) => {
            if let Some(scale) = schema.filter(|_| form.numeric).and_then(Schema::decimal_scale) {
                return write_big_decimal(out, bytes, scale);
            }
            out.push(b'"');
            write_base64(out, bytes);
            out.push(b'"');
        }
        Value::Array(items) => {
            // An array in an array of one dimension is its further dimension.
            let element = schema.map(|schema| match &schema.kind {
                SchemaKind::Array(element) => &**element,
                _ => schema,
            });
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_value(out, element, item, form);
            }
            out.push(b']');
        }
        Value::Map(entries) => {
            let of = schema.and_then(|schema| match &schema.kind {
                SchemaKind::Map(_, values) => Some(&**values),
                _ => None,
            });
            let entries = entries.iter().map(|(name, value)| (name.as_str(), of, value));
            write_object(out, entries, form);
        }
        Value::Struct(values) => {
            let fields = schema.map(Schema::struct_fields).unwrap_or_default();
            let fields = fields.iter().zip(values).map(|((name, schema), value)| (name.as_str(), Some(schema), value));
            write_object(out, fields, form);
        }
    }
}

fn write_object<'a>(
    out: &mut Vec<u8>,
    entries: impl Iterator<Item = (&'a str, Option<&'a Schema>, &'a Value)>,
    form: JsonForm,
) {
    out.push(b'{');
    for (place, (name, schema, value)) in entries.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        write_value(out, schema, value, form);
    }
    out.push(b'}');
}

/// The schema with its defaults as `decimal.format=NUMERIC` writes them.
#[must_use]
pub fn numeric_defaults(schema: &Schema) -> Schema {
    let kind = match &schema.kind {
        SchemaKind::Plain(kind) => SchemaKind::Plain(kind),
        SchemaKind::Array(element) => SchemaKind::Array(Box::new(numeric_defaults(element))),
        SchemaKind::Map(keys, values) => {
            SchemaKind::Map(Box::new(numeric_defaults(keys)), Box::new(numeric_defaults(values)))
        }
        SchemaKind::Struct(fields) => {
            SchemaKind::Struct(fields.iter().map(|(name, field)| (name.clone(), numeric_defaults(field))).collect())
        }
    };
    let default = schema.default_value().map(|value| {
        let mut json = Vec::new();
        write_value(&mut json, Some(schema), &value, JsonForm { defaults: false, numeric: true });
        json
    });
    Schema { kind, default: default.or_else(|| schema.default.clone()), ..schema.clone() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::super::{SchemaReader, parse_plain};
    use super::*;

    const FRAMED: &str = concat!(
        r#"{"schema":{"type":"struct","fields":[{"type":"int64","optional":true,"default":7,"field":"a"},"#,
        r#"{"type":"float","optional":true,"field":"f"},{"type":"double","optional":true,"field":"d"},"#,
        r#"{"type":"array","items":{"type":"string","optional":true},"optional":true,"field":"s"},"#,
        r#"{"type":"map","keys":{"type":"string","optional":false},"values":{"type":"bytes","optional":true},"#,
        r#""optional":true,"field":"m"},{"type":"struct","fields":[{"type":"boolean","optional":false,"field":"x"}],"#,
        r#""optional":true,"name":"n","version":2,"doc":"d","parameters":{"p":"1"},"field":"t"}],"optional":false},"#,
        r#""payload":"#
    );

    fn again(framed: &str, defaults: bool) -> String {
        let mut reader = SchemaReader::default();
        let mut out = Vec::new();
        // The second time the schema is known.
        for _ in 0..2 {
            let part = reader.read(Some(framed.as_bytes())).unwrap();
            let schema = part.schema.unwrap();
            out = schema.prefix();
            write_value(&mut out, Some(&schema), &part.value, JsonForm { defaults, numeric: false });
            out.push(b'}');
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_nobody_changed_is_written_as_it_stood() {
        let payloads = [
            r#"{"a":-3,"f":1.1,"d":"NaN","s":["é",null,"\u0001\"\uD83D\uDE00"],"m":{"k":"AP8=","n":null},"t":{"x":true}}"#,
            r#"{"a":9223372036854775807,"f":"-Infinity","d":4.9E-324,"s":[],"m":{},"t":null}"#,
            r#"{"a":1,"f":0.5,"d":1.0,"s":[["a",null],["b","[c"]],"m":null,"t":null}"#,
            r#"{"a":null,"f":1.0E10,"d":0.1,"s":null,"m":null,"t":{"x":false}}"#,
        ];
        for payload in payloads {
            let framed = format!("{FRAMED}{payload}}}");
            assert_eq!(again(&framed, false), framed);
        }
        let framed = format!("{FRAMED}{}}}", payloads[3]);
        assert_eq!(again(&framed, true), framed.replace(r#""a":null"#, r#""a":7"#));
    }

    #[test]
    fn what_is_not_of_its_schema_is_an_error() {
        for payload in [r#"{"a":"x"}"#, r#"{"s":{}}"#, r#"{"m":{"k":"?"}}"#, "[]", r#"{"a":1"#] {
            let framed = format!("{FRAMED}{payload}}}");
            assert!(SchemaReader::default().read(Some(framed.as_bytes())).is_err(), "{payload}");
        }
        assert!(SchemaReader::default().read(Some(b"{\"payload\":1}")).is_err());
        assert!(SchemaReader::default().read(Some(br#"{"schema":{"type":"x"},"payload":1}"#)).is_err());
    }

    proptest! {
        #[test]
        fn doubles_and_floats_come_back(d in any::<f64>(), f in any::<f32>(), text in ".*") {
            let mut payload = b"{\"a\":1,\"f\":".to_vec();
            write_f32(&mut payload, f);
            payload.extend_from_slice(b",\"d\":");
            write_f64(&mut payload, d);
            payload.extend_from_slice(b",\"s\":[");
            write_string(&mut payload, &text);
            payload.extend_from_slice(b"],\"m\":null,\"t\":null}");
            let framed = format!("{FRAMED}{}}}", String::from_utf8(payload).unwrap());
            prop_assert_eq!(again(&framed, false), framed);
        }
    }

    #[test]
    fn decimals_as_numbers() {
        let schema = concat!(
            r#"{"type":"struct","fields":[{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","#,
            r#""version":1,"parameters":{"scale":"8"},"default":"AQ==","field":"d"},"#,
            r#"{"type":"bytes","optional":true,"field":"b"}],"optional":false}"#
        );
        let form = JsonForm { defaults: true, numeric: true };
        for (given, expected) in [("\"BfXhAA==\"", "1.00000000"), ("null", "1E-8")] {
            let framed = format!(r#"{{"schema":{schema},"payload":{{"d":{given},"b":"AQ=="}}}}"#);
            let part = SchemaReader::default().read(Some(framed.as_bytes())).unwrap();
            let mut out = Vec::new();
            write_value(&mut out, part.schema.as_deref(), &part.value, form);
            assert_eq!(String::from_utf8(out).unwrap(), format!(r#"{{"d":{expected},"b":"AQ=="}}"#));
            let prefix = numeric_defaults(&part.schema.unwrap()).prefix();
            assert!(String::from_utf8(prefix).unwrap().contains(r#""default":1E-8,"#));
        }
    }

    #[test]
    fn numbers_without_a_schema_keep_their_digits() {
        let json = r#"{"b":1.50,"a":12345678901234567890123,"n":{"x":[1,null]}}"#;
        let part = parse_plain(json).unwrap();
        let mut out = Vec::new();
        write_value(&mut out, None, &part.value, JsonForm { defaults: true, numeric: true });
        assert_eq!(String::from_utf8(out).unwrap(), json);
    }
}
