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
        _ if CALLED.contains(&sign) => format!("{sign}({})", shown.join(", ")),
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

/// What is called, and does not stand between its arguments.
const CALLED: &[&str] = &["IF", "TIMESTAMPADD", "TIMESTAMPDIFF", "FLOOR", "CEIL"];

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
        "||" => "'<STRING> || <STRING>' '<EQUIVALENT_TYPE> || <EQUIVALENT_TYPE>'".to_owned(),
        _ => return None,
    })
}

/// A type's name in these messages.
fn calcite_name(kind: LogicalType) -> String {
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
