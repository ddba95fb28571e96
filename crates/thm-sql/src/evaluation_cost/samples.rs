//! An expression for each scalar function and operator, and batches of columns to evaluate them on.
//!
//! The measurement of their speed and the library's test share them. Columns are named after their types.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int32Array, Int64Array, StringArray, TimestampMillisecondArray, new_null_array,
};
use sqlparser::ast::{SelectItem, SetExpr};

use crate::analyzer::expr::Typer;
use crate::analyzer::scope::{Named, Scope, ScopeColumn};
use crate::expr::{Expr, Input};
use crate::parser::parse_query;
use crate::types::LogicalType;

/// Operators and casts, which must be quick.
pub const OPERATORS: &[&str] = &[
    "i + 1",
    "l * l",
    "d / 3",
    "n + n",
    "n * n",
    "n / 3",
    "i > 5",
    "l = 7",
    "d < 0.5",
    "n <> 1.5",
    "s = 'abc'",
    "s > 'b'",
    "b AND i > 3",
    "i IN (1, 2, 3)",
    "i BETWEEN 1 AND 9",
    "CASE WHEN i > 3 THEN 'x' ELSE 'y' END",
    "COALESCE(s, 'z')",
    "NULLIF(i, 3)",
    "IF(b, i, 0)",
    "i IS NULL",
    "CAST(i AS BIGINT)",
    "CAST(l AS INT)",
    "CAST(i AS DOUBLE)",
    "CAST(d AS INT)",
    "CAST(i AS DECIMAL(18, 2))",
    "CAST(n AS DOUBLE)",
    "CAST(n AS DECIMAL(18, 4))",
    "CAST(i AS STRING)",
    "CAST(n AS STRING)",
    "CAST(d AS STRING)",
    "CAST(t AS STRING)",
    "CAST(digits AS INT)",
    "CAST(digits AS DECIMAL(10, 2))",
    "CAST(digits AS DOUBLE)",
    "CAST(ts AS TIMESTAMP(3))",
    "CAST(t AS DATE)",
    "CAST(t AS TIMESTAMP_LTZ(3))",
    "t > ts2",
    "TRY_CAST(s AS INT)",
    "t + INTERVAL '1' DAY",
    "a = a",
];

/// One call at least of every function of the library.
pub const CALLS: &[&str] = &[
    "ROUND(n, 1)",
    "ROUND(d, 1)",
    "TRUNCATE(n, 1)",
    "ABS(i)",
    "SIGN(n)",
    "CEIL(n)",
    "FLOOR(d)",
    "SQRT(d)",
    "EXP(d)",
    "LN(d)",
    "LOG10(d)",
    "LOG2(d)",
    "SIN(d)",
    "SINH(d)",
    "COS(d)",
    "COSH(d)",
    "TAN(d)",
    "TANH(d)",
    "COT(d)",
    "ASIN(d)",
    "ACOS(d)",
    "ATAN(d)",
    "DEGREES(d)",
    "RADIANS(d)",
    "POWER(d, 2)",
    "ATAN2(d, 2)",
    "LOG(2, d)",
    "d * PI()",
    "d * E()",
    "RAND(5)",
    "RAND_INTEGER(5, 10)",
    "GREATEST(i, 5)",
    "LEAST(s, 'm')",
    "UPPER(s)",
    "LOWER(s)",
    "INITCAP(s)",
    "TRIM(s)",
    "LTRIM(s, 'a')",
    "RTRIM(s)",
    "CONCAT(s, 'x')",
    "s || 'x'",
    "CONCAT_WS('-', s, 'x')",
    "SUBSTRING(s, 2, 3)",
    "LEFT(s, 2)",
    "RIGHT(s, 2)",
    "REVERSE(s)",
    "REPEAT(s, 2)",
    "LPAD(s, 8, '*')",
    "RPAD(s, 8, '*')",
    "REPLACE(s, 'a', 'b')",
    "OVERLAY(s PLACING 'xx' FROM 2)",
    "CHAR_LENGTH(s)",
    "POSITION('b' IN s)",
    "LOCATE('b', s)",
    "INSTR(s, 'b', 1, 1)",
    "SPLIT_INDEX(csv, ',', 1)",
    "SPLIT(csv, ',')",
    "STR_TO_MAP(csv, ',', '=')",
    "ASCII(s)",
    "CHR(l)",
    "IS_ALPHA(s)",
    "IS_DIGIT(digits)",
    "IS_DECIMAL(digits)",
    "s LIKE 'a%b_'",
    "s SIMILAR TO '(a|b)%'",
    "REGEXP(s, '[a-c]+')",
    "REGEXP_REPLACE(s, '[0-9]+', '#')",
    "REGEXP_EXTRACT(s, '([a-z]+)([0-9]*)', 2)",
    "MD5(s)",
    "SHA1(s)",
    "SHA224(s)",
    "SHA256(s)",
    "SHA384(s)",
    "SHA512(s)",
    "SHA2(s, 256)",
    "ENCODE(s, 'UTF-8')",
    "SUBSTR(s, 2, 3)",
    "CHARACTER_LENGTH(s)",
    "CEILING(d)",
    "IFNULL(i, 0)",
    "MOD(i, 7)",
    "TYPEOF(i)",
    "CURRENT_DATABASE()",
    "YEAR(t)",
    "QUARTER(t)",
    "MONTH(t)",
    "WEEK(t)",
    "DAYOFYEAR(t)",
    "DAYOFMONTH(t)",
    "DAYOFWEEK(t)",
    "HOUR(t)",
    "MINUTE(t)",
    "SECOND(t)",
    "DECODE(y, 'UTF-8')",
    "TO_BASE64(s)",
    "FROM_BASE64(base64)",
    "HEX(i)",
    "BIN(i)",
    "UUID()",
    "PARSE_URL(url, 'HOST')",
    "DATE_FORMAT(t, 'yyyy-MM-dd HH:mm')",
    "TO_TIMESTAMP(ts)",
    "TO_TIMESTAMP(ts, 'yyyy-MM-dd HH:mm:ss')",
    "TO_DATE(ts)",
    "TO_TIMESTAMP_LTZ(l, 3)",
    "UNIX_TIMESTAMP(ts)",
    "UNIX_TIMESTAMP()",
    "FROM_UNIXTIME(l)",
    "CONVERT_TZ(ts, 'UTC', 'Asia/Riyadh')",
    "CURRENT_TIMESTAMP",
    "NOW()",
    "CURRENT_ROW_TIMESTAMP()",
    "PROCTIME()",
    "LOCALTIMESTAMP",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "LOCALTIME",
    "EXTRACT(HOUR FROM t)",
    "FLOOR(t TO HOUR)",
    "CEIL(t TO MONTH)",
    "TIMESTAMPDIFF(SECOND, t, ts2)",
    "TIMESTAMPDIFF(NANOSECOND, t, ts2)",
    "TIMESTAMPADD(MONTH, 1, t)",
    "(ts2 - t) DAY",
    "(ts2 - t) MONTH",
    "ARRAY[i, 2]",
    "MAP[s, i]",
    "ROW(i, s)",
    "a[2]",
    "m['k']",
    "CAST(ROW(i, s) AS ROW<x INT, y STRING>).y",
    "CARDINALITY(a)",
    "ELEMENT(ARRAY[i])",
    "ARRAY_CONTAINS(a, 3)",
    "ARRAY_POSITION(a, 3)",
    "ARRAY_DISTINCT(a)",
    "ARRAY_REVERSE(a)",
    "ARRAY_REMOVE(a, 3)",
    "ARRAY_APPEND(a, 3)",
    "ARRAY_PREPEND(a, 3)",
    "ARRAY_CONCAT(a, a)",
    "ARRAY_UNION(a, ARRAY[9])",
    "ARRAY_EXCEPT(a, ARRAY[3])",
    "ARRAY_INTERSECT(a, ARRAY[3])",
    "ARRAY_SLICE(a, 2, 3)",
    "ARRAY_MAX(a)",
    "ARRAY_MIN(a)",
    "ARRAY_SORT(a)",
    "ARRAY_JOIN(SPLIT(csv, ','), '-')",
    "MAP_KEYS(m)",
    "MAP_VALUES(m)",
    "MAP_ENTRIES(m)",
    "MAP_FROM_ARRAYS(a, a)",
    "MAP_UNION(m, m)",
    "JSON_VALUE(j, '$.a.b')",
    "JSON_QUERY(j, '$.a')",
    "JSON_EXISTS(j, '$.x')",
    "j IS JSON",
    "JSON_OBJECT('k' VALUE i)",
    "JSON_ARRAY(i, s)",
    "JSON_STRING(n)",
];

/// Name and type of each column.
fn columns() -> Vec<(&'static str, LogicalType)> {
    let decimal = LogicalType::Decimal { precision: 10, scale: 2 };
    let int = LogicalType::Int.nullable(true);
    vec![
        ("b", LogicalType::Boolean),
        ("i", LogicalType::Int),
        ("l", LogicalType::BigInt),
        ("f", LogicalType::Float),
        ("d", LogicalType::Double),
        ("n", decimal),
        ("s", LogicalType::STRING),
        ("digits", LogicalType::STRING),
        ("csv", LogicalType::STRING),
        ("base64", LogicalType::STRING),
        ("url", LogicalType::STRING),
        ("ts", LogicalType::STRING),
        ("j", LogicalType::STRING),
        ("y", LogicalType::BYTES),
        ("day", LogicalType::Date),
        ("t", LogicalType::Timestamp(3)),
        ("ts2", LogicalType::Timestamp(3)),
        ("tiny", LogicalType::TinyInt),
        ("a", LogicalType::array(int)),
        ("m", LogicalType::map(LogicalType::STRING.nullable(false), int)),
    ]
}

/// The names that expressions may use; NULL may be anywhere.
#[must_use]
pub fn scope() -> Scope {
    Scope { columns: columns().into_iter().enumerate().map(scope_column).collect() }
}

fn scope_column((index, (name, kind)): (usize, (&str, LogicalType))) -> ScopeColumn {
    ScopeColumn {
        table: Some("t".to_owned()),
        name: name.to_owned(),
        value: Some(Expr::column(index, kind.nullable(true))),
        named: Named::Both,
    }
}

/// The typed expression of a text.
///
/// # Panics
/// When the text, which stands in this file or in a test, is no expression over these columns.
#[must_use]
pub fn typed(scope: &Scope, text: &str) -> Expr {
    let query = parse_query(&format!("SELECT {text}")).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let SetExpr::Select(select) = *query.body else { panic!("{text} is no expression") };
    let Some(SelectItem::UnnamedExpr(expr)) = select.projection.first() else { panic!("{text} has a name") };
    Typer::new(scope).value(expr).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// Columns of so many rows; `present` says whether a row's values are not NULL.
#[must_use]
pub fn batch(rows: usize, present: impl Fn(usize) -> bool) -> Vec<ArrayRef> {
    macro_rules! made {
        ($array:ty, $value:expr) => {{
            let value = $value;
            Arc::new((0..rows).map(|row| present(row).then(|| value(row))).collect::<$array>()) as ArrayRef
        }};
    }
    let small = |row: usize| (row % 97) as i64;
    columns()
        .into_iter()
        .map(|(name, kind)| match name {
            "b" => made!(BooleanArray, |row: usize| row.is_multiple_of(3)),
            "i" => made!(Int32Array, |row: usize| small(row) as i32),
            "l" => made!(Int64Array, |row: usize| 1_582_981_445 + row as i64),
            "f" => made!(Float32Array, |row: usize| small(row) as f32 / 7.0),
            "d" => made!(Float64Array, |row: usize| small(row) as f64 / 97.0),
            "n" => {
                let array: Decimal128Array =
                    (0..rows).map(|row| present(row).then(|| i128::from(small(row)) * 37)).collect();
                Arc::new(array.with_data_type(kind.to_arrow()))
            }
            "s" => made!(StringArray, |row: usize| format!("ab{}c", small(row))),
            "digits" => made!(StringArray, |row: usize| format!("{}", small(row))),
            "csv" => made!(StringArray, |row: usize| format!("a=1,b={},c", small(row))),
            "base64" => made!(StringArray, |_: usize| "aGVsbG8="),
            "url" => made!(StringArray, |row: usize| format!("http://h{}.com/p?q=1", small(row))),
            "ts" => made!(StringArray, |row: usize| format!("2020-02-29 12:{:02}:56", row % 60)),
            "j" => made!(StringArray, |row: usize| format!(r#"{{"x":[1,2],"a":{{"b":{}}}}}"#, small(row))),
            "y" => {
                let values: Vec<Option<Vec<u8>>> =
                    (0..rows).map(|row| present(row).then(|| format!("y{row}").into_bytes())).collect();
                Arc::new(BinaryArray::from_iter(values))
            }
            "day" => made!(Date32Array, |row: usize| 18_000 + (row % 3_000) as i32),
            "t" | "ts2" => {
                made!(TimestampMillisecondArray, |row: usize| 1_582_981_445_678 + 61_001 * (row % 5_000) as i64)
            }
            "tiny" => made!(Int8Array, |row: usize| (row % 100) as i8),
            "a" => evaluated("ARRAY[i, 3, i, CAST(NULL AS INT)]", rows, &present, kind),
            _ => evaluated("MAP['k', i, 'x', 1]", rows, &present, kind),
        })
        .collect()
}

/// Nested columns are made by the library itself.
fn evaluated(text: &str, rows: usize, present: &impl Fn(usize) -> bool, kind: LogicalType) -> ArrayRef {
    let index: Int32Array = (0..rows).map(|row| Some((row % 97) as i32)).collect();
    let scope = Scope { columns: vec![scope_column((0, ("i", LogicalType::Int)))] };
    let columns: Vec<ArrayRef> = vec![Arc::new(index)];
    let made = typed(&scope, text)
        .cast(kind)
        .evaluate(&Input::new(&columns, rows))
        .expect("ARRAY and MAP of these have a value for every row");
    let keep: BooleanArray = (0..rows).map(|row| Some(!present(row))).collect();
    let nothing = new_null_array(made.data_type(), rows);
    arrow::compute::kernels::zip::zip(&keep, &nothing, &made).expect("both have the same type")
}
