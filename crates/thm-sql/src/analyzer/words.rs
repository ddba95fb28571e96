//! Flink's words for operators that do not take their arguments.
//!
//! Types stand there as Calcite names them, not as Flink prints them elsewhere: `INTEGER`, `VARCHAR(2147483647)`,
//! `TIMESTAMP_WITH_LOCAL_TIME_ZONE(3)`. Behind them stand the forms that the operator has.

use sqlparser::tokenizer::Span;

use crate::error::SqlDiagnostic;
use crate::expr::Expr;
use crate::types::LogicalType;

/// `Cannot apply 'sign' to arguments of type …`
pub(super) fn cannot_apply(sign: &str, arguments: &[&Expr], span: Span) -> SqlDiagnostic {
    let shown: Vec<String> =
        arguments.iter().map(|argument| format!("<{}>", calcite_name(argument.data_type.kind))).collect();
    let shown = match shown.as_slice() {
        _ if is_called(sign) => format!("{sign}({})", shown.join(", ")),
        [only] if sign == "NOT" => format!("NOT{only}"),
        [only] => format!("{sign} {only}"),
        [value, low, high] => format!("{value} {sign} {low} AND {high}"),
        all => all.join(&format!(" {sign} ")),
    };
    let mut message = format!("Cannot apply '{sign}' to arguments of type '{shown}'");
    if let Some(forms) = forms(sign) {
        message.push_str(&format!(". Supported form(s): {forms}"));
    }
    SqlDiagnostic::new(span, message)
}

/// Whether it stands before its arguments in brackets.
fn is_called(sign: &str) -> bool {
    let name = sign.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    name && !matches!(sign, "LIKE" | "AND" | "OR" | "NOT")
}

/// Functions whose number of arguments Flink checks by name: what it says it expects, and what it takes.
const COUNTS: &[(i32, &[usize], &str)] = &[
    (
        1,
        &[1],
        " ABS ACOS ASCII ASIN ATAN BIN CARDINALITY CHAR_LENGTH CHR COS COSH COT DEGREES ELEMENT EXP FROM_BASE64 HEX HOUR LN \
         LOG10 LOG2 LOWER MD5 MINUTE MONTH QUARTER RADIANS REVERSE SECOND SHA1 SHA224 SHA256 SHA384 SHA512 SIGN SIN SINH SQRT \
         TAN TANH TO_BASE64 UPPER WEEK YEAR DAYOFMONTH DAYOFWEEK DAYOFYEAR ",
    ),
    (2, &[2], " ATAN2 DATE_FORMAT DECODE ENCODE LEFT MOD NULLIF POWER REGEXP REPEAT RIGHT SHA2 TO_TIMESTAMP_LTZ "),
    (1, &[1, 2], " FROM_UNIXTIME LOG LTRIM ROUND RTRIM TO_DATE TO_TIMESTAMP TRUNCATE "),
    (3, &[3], " CONVERT_TZ LPAD REGEXP_REPLACE REPLACE RPAD SPLIT_INDEX "),
    (2, &[2, 3], " LOCATE PARSE_URL REGEXP_EXTRACT SUBSTRING "),
    (2, &[2, 3, 4], " INSTR "),
    (1, &[1, 3], " STR_TO_MAP "),
    (0, &[0], " E "),
];

/// Functions whose arguments Flink's own inference checks.
const INFERRED: &[&str] = &[
    "ARRAY_APPEND",
    "ARRAY_CONTAINS",
    "ARRAY_DISTINCT",
    "ARRAY_JOIN",
    "ARRAY_POSITION",
    "ARRAY_PREPEND",
    "ARRAY_REMOVE",
    "ARRAY_REVERSE",
    "ARRAY_SLICE",
    "ARRAY_SORT",
    "MAP_ENTRIES",
    "MAP_FROM_ARRAYS",
    "MAP_KEYS",
    "MAP_VALUES",
];

/// Functions that are operators to Flink's validator, whatever their number of arguments.
const OPERATORS: &[&str] =
    &["CEIL", "CONCAT", "CONCAT_WS", "FLOOR", "INITCAP", "LIKE", "POSITION", "SIMILAR TO", "TRIM"];

fn counts(name: &str) -> Option<(i32, &'static [usize])> {
    let word = format!(" {name} ");
    COUNTS.iter().find(|(.., names)| names.contains(&word)).map(|(said, taken, _)| (*said, *taken))
}

/// `Invalid number of arguments to function …`
pub(super) fn wrong_count(name: &str, count: usize) -> Option<String> {
    let (said, taken) = match (name, count) {
        ("CONCAT" | "CONCAT_WS", 0) => (1, &[][..]),
        _ => counts(name)?,
    };
    (!taken.contains(&count))
        .then(|| format!("Invalid number of arguments to function '{name}'. Was expecting {said} arguments"))
}

/// What is said of arguments whose number fits and whose types do not.
pub(super) fn wrong_types(name: &str, arguments: &[Expr]) -> Option<String> {
    if INFERRED.contains(&name) && arguments.len() > 1 - usize::from(name.starts_with("MAP_")) {
        return Some("Invalid input arguments.".to_owned());
    }
    if !OPERATORS.contains(&name) {
        counts(name)?;
    }
    let arguments: Vec<&Expr> = arguments.iter().collect();
    Some(cannot_apply(name, &arguments, Span::empty()).message().to_owned())
}

fn forms(sign: &str) -> Option<String> {
    Some(match sign {
        "=" | "<>" | "<" | "<=" | ">" | ">=" | "IS NOT DISTINCT FROM" | "IS DISTINCT FROM" => {
            format!("'<COMPARABLE_TYPE> {sign} <COMPARABLE_TYPE>'")
        }
        "BETWEEN ASYMMETRIC" => "'<COMPARABLE_TYPE> BETWEEN <COMPARABLE_TYPE> AND <COMPARABLE_TYPE>'".to_owned(),
        "+" => "'<NUMERIC> + <NUMERIC>' '<DATETIME_INTERVAL> + <DATETIME_INTERVAL>' \
                '<DATETIME> + <DATETIME_INTERVAL>' '<DATETIME_INTERVAL> + <DATETIME>'"
            .to_owned(),
        "-" => "'<NUMERIC> - <NUMERIC>' '<DATETIME_INTERVAL> - <DATETIME_INTERVAL>' \
                '<DATETIME> - <DATETIME_INTERVAL>'"
            .to_owned(),
        "*" => "'<NUMERIC> * <NUMERIC>' '<DATETIME_INTERVAL> * <NUMERIC>' '<NUMERIC> * <DATETIME_INTERVAL>'".to_owned(),
        "/" => "'<NUMERIC> / <NUMERIC>' '<DATETIME_INTERVAL> / <NUMERIC>'".to_owned(),
        "%" => "'<EXACT_NUMERIC> % <EXACT_NUMERIC>'".to_owned(),
        "NOT" => "'NOT<BOOLEAN>'".to_owned(),
        "AND" | "OR" => format!("'<BOOLEAN> {sign} <BOOLEAN>'"),
        "||" => "'<STRING> || <STRING>' '<EQUIVALENT_TYPE> || <EQUIVALENT_TYPE>'".to_owned(),
        _ => return None,
    })
}

/// A type's name in these messages.
pub(super) fn calcite_name(kind: LogicalType) -> String {
    use LogicalType as T;
    match kind {
        T::Int => "INTEGER".to_owned(),
        T::VarChar(length) => format!("VARCHAR({length})"),
        T::VarBinary(length) => format!("VARBINARY({length})"),
        T::TimestampLtz(precision) => format!("TIMESTAMP_WITH_LOCAL_TIME_ZONE({precision})"),
        T::IntervalSecond => "INTERVAL DAY TO SECOND".to_owned(),
        T::IntervalMonth => "INTERVAL YEAR TO MONTH".to_owned(),
        T::Array(of) => format!("{} ARRAY", calcite_name(of.kind)),
        T::Multiset(of) => format!("{} MULTISET", calcite_name(of.kind)),
        T::Map(entry) => format!("({}, {}) MAP", calcite_name(entry.key.kind), calcite_name(entry.value.kind)),
        T::Row(fields) => {
            let shown: Vec<String> =
                fields.iter().map(|field| format!("{} {}", calcite_name(field.data_type.kind), field.name)).collect();
            format!("RECORDTYPE:PEEK_NO_EXPAND({})", shown.join(", "))
        }
        other => other.to_string(),
    }
}

/// A type's name without its length: what a conversion is refused with.
pub(super) fn root_name(kind: LogicalType) -> String {
    let name = calcite_name(kind);
    name.split_once('(').filter(|(root, _)| !root.is_empty()).map_or_else(|| name.clone(), |(root, _)| root.to_owned())
}
