//! Java's text of a Connect struct (`Struct{id=1,name=x}`), made from its JSON.
//!
//! Fields that are null are left out, as `Struct.toString` does. A way for the few who want keys or values as plain text:
//! it parses the JSON again.

use serde_json::Value;

use crate::java_json;

/// Appends the text of the struct, array or value that `json` is; what is no JSON stays as it is.
pub fn write_struct(json: &[u8], out: &mut Vec<u8>) {
    match serde_json::from_slice::<Value>(json) {
        Ok(value) => write(&value, out),
        Err(_) => out.extend_from_slice(json),
    }
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => out.extend_from_slice(text.as_bytes()),
        Value::Object(fields) => {
            out.extend_from_slice(b"Struct{");
            for (place, (name, value)) in fields.iter().filter(|(_, value)| !value.is_null()).enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(name.as_bytes());
                out.push(b'=');
                write(value, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.extend_from_slice(b", ");
                }
                write(item, out);
            }
            out.push(b']');
        }
        // Whole numbers stay as they are, however long; what has a fraction or an exponent was a double.
        Value::Number(number)
            if !number.is_i64() && !number.is_u64() && number.as_f64().is_some_and(f64::is_finite) =>
        {
            java_json::write_f64(out, number.as_f64().unwrap_or_default());
        }
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
}

/// Appends a value as Connect's `SimpleHeaderConverter` writes it, made from its JSON: in texts only quotes and backslashes
/// are escaped. What is no JSON stays as it is.
pub fn write_header_value(json: &[u8], out: &mut Vec<u8>) {
    let mut rest = json;
    while let Some(start) = rest.iter().position(|byte| *byte == b'"') {
        let (before, text) = rest.split_at(start);
        out.extend_from_slice(before);
        let mut read = serde_json::Deserializer::from_slice(text).into_iter::<String>();
        let Some(Ok(plain)) = read.next() else { return out.extend_from_slice(text) };
        out.push(b'"');
        out.extend_from_slice(plain.replace('\\', "\\\\").replace('"', "\\\"").as_bytes());
        out.push(b'"');
        rest = &text[read.byte_offset()..];
    }
    out.extend_from_slice(rest);
}

/// Sorts entries into the order in which Java's `HashMap` gives them back; those of one bucket keep the order in which
/// they came.
pub fn sort_as_hash_map<T>(entries: &mut [T], key: impl Fn(&T) -> &str) {
    let mut buckets = 16_usize;
    while entries.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    entries.sort_by_key(|entry| {
        let units = key(entry).encode_utf16();
        let hash = units.fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_value_as_connect_prints_it() {
        let mut out = Vec::new();
        write_header_value(br#"{"id":"a\"b\\c\n\uD83D\uDE00/","x":[null,""],"n":1.5}"#, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "{\"id\":\"a\\\"b\\\\c\n😀/\",\"x\":[null,\"\"],\"n\":1.5}");
    }

    #[test]
    fn a_struct_as_java_prints_it() {
        let mut out = Vec::new();
        write_struct(br#"{"id":1,"n":null,"a":["x","y"],"s":{"d":1.0E10}}"#, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "Struct{id=1,a=[x, y],s=Struct{d=1.0E10}}");
    }
}
