//! What Flink 1.20's `CsvRowDataSerializationSchema` and `CsvRowDataDeserializationSchema` gave for the same values.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::StringArray;
use proptest::prelude::*;

use super::*;
use crate::format::cells::Cells;
use crate::format::{Format, ValueFormat, check};
use crate::types::nested::RowField;
use LogicalType as T;

fn field(name: &str, kind: T) -> Field {
    Field { name: name.to_owned(), kind, needed: true, place: Place::Value }
}

fn columns_of(kinds: &[T]) -> Vec<PhysicalColumn> {
    let column = |(at, kind): (usize, &T)| PhysicalColumn { name: format!("f{at}"), data_type: kind.nullable(true) };
    kinds.iter().enumerate().map(column).collect()
}

/// A line that is read and written again.
fn again(kinds: &[T], line: &str, options: &CsvOptions) -> Result<String, ReadError> {
    let fields: Vec<Field> = kinds.iter().enumerate().map(|(at, kind)| field(&format!("f{at}"), *kind)).collect();
    let Some(cells) = read(line.as_bytes(), &fields, &Place::Value, options)? else { return Ok(String::new()) };
    let column = |(kind, cell): (&T, Option<Cell<'_>>)| {
        let mut cells = Cells::new(*kind, true, 1);
        cells.push(cell);
        cells.finish()
    };
    let columns: Vec<ArrayRef> = kinds.iter().zip(cells).map(column).collect();
    let physical = columns_of(kinds);
    let names: Vec<(usize, String)> = physical.iter().map(|column| column.name.clone()).enumerate().collect();
    let mut out = Vec::new();
    CsvWriter::new(&physical, &names, options.clone()).write(&mut out, &columns, 0).unwrap();
    Ok(String::from_utf8(out).unwrap())
}

fn written(text: &str, options: CsvOptions) -> String {
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec![text]))];
    let mut out = Vec::new();
    CsvWriter::new(&columns_of(&[T::STRING]), &[(0, "f0".to_owned())], options).write(&mut out, &columns, 0).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn texts_are_quoted_where_jackson_quotes_them() {
    let plain = CsvOptions::default;
    for text in ["", "a", "a:b", "a;b", "a@b", "é", "123456789012345678901234", "a-b", "a=b", "~"] {
        assert_eq!(written(text, plain()), text);
    }
    for text in ["a b", "a+b", "a'b", "a#b", "a\\b", "1234567890123456789012345", "a,b", "a\nb", " x"] {
        assert_eq!(written(text, plain()), format!("\"{text}\""));
    }
    assert_eq!(written("a\"b", plain()), "\"a\"\"b\"");
    let escape = |c| CsvOptions { escape: Some(c), ..plain() };
    assert_eq!(written("a\\b", escape('\\')), "\"a\\\\b\"");
    assert_eq!(written("a\\b", escape('/')), "a\\b");
    assert_eq!(written("a", CsvOptions { delimiter: '|', ..plain() }), "\"a\"");
    assert_eq!(written("}", CsvOptions { delimiter: '|', ..plain() }), "}");
    assert_eq!(written("a,b\"", CsvOptions { quote: None, ..plain() }), "a,b\"");
}

#[test]
fn numbers_times_and_nested_values_are_as_flink_writes_them() {
    let decimal = |precision, scale| T::Decimal { precision, scale };
    let numbers = T::array(T::Int.nullable(true));
    let texts = T::array(T::STRING.nullable(true));
    let row = |name: &str, kind: T| RowField { name: name.to_owned(), data_type: kind.nullable(true) };
    let pair = T::row(vec![row("a", T::Int), row("b", T::STRING)]);
    for (kinds, line, wanted) in [
        (vec![decimal(10, 2), T::Int], "100.00,1", "100,1"),
        (vec![decimal(10, 2), T::Int], "1.005,1", "1.01,1"),
        (vec![decimal(20, 10)], "0.0000000001", "0.0000000001"),
        (vec![T::Double, T::Float, T::Boolean], "1e10,1.5,TRUE", "1.0E10,1.5,true"),
        (vec![T::Timestamp(3)], "2020-01-01 00:00:00.120", "\"2020-01-01 00:00:00.12\""),
        (vec![T::TimestampLtz(3)], "1970-01-01 00:00:00Z", "\"1970-01-01 00:00:00Z\""),
        (vec![T::Time(3), T::Date], "01:02:03.004,1970-01-02", "01:02:03.004,1970-01-02"),
        (vec![T::VarBinary(5), T::Int], "AQL/,1", "AQL/,1"),
        (vec![numbers, T::Int], "1; 2,1", "1;2,1"),
        (vec![numbers, T::Int], ",1", ",1"),
        (vec![texts, T::Int], "\"a;b c;\",1", "\"a;b c;\",1"),
        (vec![pair, T::Int], "1;x;y,5", "1;x,5"),
    ] {
        assert_eq!(again(&kinds, line, &CsvOptions::default()).unwrap(), wanted, "{line}");
    }
    let options =
        CsvOptions { null_literal: Some("n/a x".to_owned()), array_delimiter: "|".to_owned(), ..CsvOptions::default() };
    assert_eq!(again(&[T::STRING, numbers], "n/a x,\"1|n/a x\"", &options).unwrap(), "n/a x,\"1|n/a x\"");
    let scientific = CsvOptions { scientific: true, ..CsvOptions::default() };
    assert_eq!(again(&[decimal(10, 2)], "100", &scientific).unwrap(), "\"1E+2\"");
}

#[test]
fn wrong_lines_are_refused_as_flink_refuses_them() {
    let kinds = [T::STRING, T::Int];
    for (line, said) in [
        ("a", "Row length mismatch. 2 fields expected but was 1."),
        ("a,1,2", "Too many entries: expected at most 2 (value #2 (1 chars) \"2\")"),
        ("a,x", "Fail to deserialize at field: f1."),
        ("a,", "Fail to deserialize at field: f1."),
        ("a,1.5", "Fail to deserialize at field: f1."),
        ("\"a,1", "Missing closing quote for value"),
        (
            "\"a\"b,1",
            "Unexpected character ('b' (code 98)): Expected column separator character (',' (code 44)) or end-of-line",
        ),
    ] {
        assert_eq!(again(&kinds, line, &CsvOptions::default()).unwrap_err().to_string(), said, "{line}");
    }
    assert_eq!(again(&kinds, "a,1\nb,2", &CsvOptions::default()).unwrap(), "a,1");
    assert_eq!(again(&kinds, "a\"b,+1", &CsvOptions::default()).unwrap(), "\"a\"\"b\",1");
    let csv = Format { kind: ValueFormat::Csv, ..Format::default() };
    let map = T::map(T::STRING.nullable(false), T::Int.nullable(true));
    assert!(check::types(&csv, &[("v", map)]).unwrap_err().starts_with("Unsupported type 'MAP<"));
    let deep = T::array(T::array(T::Int.nullable(true)).nullable(true));
    assert!(check::types(&csv, &[("v", deep)]).unwrap_err().contains("second level nesting"));
}

proptest! {
    #[test]
    fn no_line_panics(line in ".{0,80}", escape in any::<bool>(), ignore in any::<bool>()) {
        let options = CsvOptions { escape: escape.then_some('\\'), ignore_parse_errors: ignore, ..CsvOptions::default() };
        let _ = again(&[T::STRING, T::Int, T::array(T::Double.nullable(true))], &line, &options);
    }

    #[test]
    fn texts_are_read_as_they_were_written(
        text in "[^\u{0}\u{FEFF}]{0,40}", delimiter in prop::sample::select(vec![',', ';', '|', '\t']), escape in any::<bool>(),
    ) {
        let options = CsvOptions { delimiter, escape: escape.then_some('\\'), ..CsvOptions::default() };
        let line = format!("{}{delimiter}1", written(&text, options.clone()));
        let fields = [field("a", T::STRING), field("b", T::Int)];
        let cells = read(line.as_bytes(), &fields, &Place::Value, &options).unwrap().unwrap();
        prop_assert_eq!(&cells[0], &Some(Cell::Text(text.into())));
    }
}
