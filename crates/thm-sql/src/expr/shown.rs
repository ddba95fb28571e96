//! An expression as text: for people, who are told what could not be evaluated, and for checkpoints, which know by it
//! whether keys and look-ups still mean the same.
//!
//! Invariant: the form of checkpoints depends on what the expression does and on nothing else: not on names inside this
//! program, nor on how it is compiled. A change of it needs a new number in [`crate::planner`]'s form of plans.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray};

use super::{Expr, ExprKind, text};
use crate::types::{LogicalType, zone::Zone};

/// How columns are named, and whether every part says its type.
struct Form<'a> {
    column: &'a dyn Fn(usize) -> String,
    typed: bool,
}

impl Expr {
    /// As SQL, with columns of these names.
    #[must_use]
    pub fn sql(&self, names: &[String]) -> String {
        let column = |index: usize| names.get(index).cloned().unwrap_or_else(|| format!("${index}"));
        let mut out = String::new();
        Form { column: &column, typed: false }.write(&mut out, self);
        out
    }

    /// The form for checkpoints: columns by number, every part with its type.
    #[must_use]
    pub fn form(&self) -> String {
        let mut out = String::new();
        Form { column: &|index| format!("${index}"), typed: true }.write(&mut out, self);
        out
    }
}

impl Form<'_> {
    fn write(&self, out: &mut String, expr: &Expr) {
        match &expr.kind {
            ExprKind::Column(index) => out.push_str(&(self.column)(*index)),
            ExprKind::Literal(array) => literal(out, array, expr.data_type.kind),
            ExprKind::Cast { input, lenient } => {
                out.push_str(if *lenient { "TRY_CAST(" } else { "CAST(" });
                self.write(out, input);
                // Writing to a String never fails.
                let _ = write!(out, " AS {})", expr.data_type.kind);
            }
            ExprKind::Arithmetic { op, left, right } => self.between(out, left, op.sign(), right),
            ExprKind::Compare { op, left, right } => self.between(out, left, op.sign(), right),
            ExprKind::And(left, right) => self.between(out, left, "AND", right),
            ExprKind::Or(left, right) => self.between(out, left, "OR", right),
            ExprKind::Not(inner) => self.call(out, "NOT", &[inner]),
            ExprKind::IsNull(inner) => self.behind(out, inner, "IS NULL"),
            ExprKind::Is(inner, wanted) => self.behind(out, inner, if *wanted { "IS TRUE" } else { "IS FALSE" }),
            ExprKind::Case { branches, otherwise } => self.case(out, branches, otherwise),
            ExprKind::InZone(inner, zone) => {
                self.write(out, inner);
                if self.typed {
                    let _ = write!(out, "@{}", zone_name(*zone));
                }
            }
            ExprKind::Sequenced(inner, _) => self.write(out, inner),
            ExprKind::Call { function, arguments } => {
                self.call(out, function.name, &arguments.iter().collect::<Vec<_>>());
            }
        }
        if self.typed {
            let _ = write!(out, ":{}", expr.data_type);
        }
    }

    fn between(&self, out: &mut String, left: &Expr, op: &str, right: &Expr) {
        out.push('(');
        self.write(out, left);
        let _ = write!(out, " {op} ");
        self.write(out, right);
        out.push(')');
    }

    fn behind(&self, out: &mut String, inner: &Expr, what: &str) {
        out.push('(');
        self.write(out, inner);
        let _ = write!(out, " {what})");
    }

    fn call(&self, out: &mut String, name: &str, arguments: &[&Expr]) {
        out.push_str(name);
        out.push('(');
        for (at, argument) in arguments.iter().enumerate() {
            out.push_str(if at > 0 { ", " } else { "" });
            self.write(out, argument);
        }
        out.push(')');
    }

    fn case(&self, out: &mut String, branches: &[(Expr, Expr)], otherwise: &Expr) {
        out.push_str("CASE");
        for (condition, result) in branches {
            out.push_str(" WHEN ");
            self.write(out, condition);
            out.push_str(" THEN ");
            self.write(out, result);
        }
        out.push_str(" ELSE ");
        self.write(out, otherwise);
        out.push_str(" END");
    }
}

fn zone_name(zone: Zone) -> String {
    match zone {
        Zone::Utc => "UTC".to_owned(),
        Zone::Fixed(seconds) => format!("{seconds:+}s"),
        Zone::Named(zone) => zone.name().to_owned(),
    }
}

fn literal(out: &mut String, array: &ArrayRef, kind: LogicalType) {
    if text::is_null(array, 0, kind) || array.is_empty() {
        out.push_str("NULL");
        return;
    }
    if kind.is_binary() {
        out.push_str("x'");
        array.as_binary::<i32>().value(0).iter().for_each(|byte| {
            let _ = write!(out, "{byte:02x}");
        });
        out.push('\'');
        return;
    }
    let mut shown = String::new();
    text::write(&mut shown, array, 0, kind);
    if kind.is_numeric() || kind == LogicalType::Boolean {
        out.push_str(&shown);
    } else {
        let _ = write!(out, "'{}'", shown.replace('\'', "''"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::CompileContext;

    const TABLES: &str = "CREATE TABLE e (id BIGINT, name STRING, ts TIMESTAMP(3)) WITH ('connector' = 'datagen');
        CREATE TABLE o (v STRING) WITH ('connector' = 'blackhole');";

    fn value(of: &str) -> crate::expr::Expr {
        let text = format!("{TABLES} SET 'table.local-time-zone' = 'Asia/Riyadh'; INSERT INTO o SELECT {of} FROM e;");
        crate::compile("test", &text, &CompileContext::default()).unwrap().jobs[0].graph.branches[0].values[0].clone()
    }

    #[test]
    fn people_read_sql() {
        let names = ["id".to_owned(), "name".to_owned(), "ts".to_owned()];
        let written = "CASE WHEN NOT (id > 3 AND name IS NOT NULL) THEN UPPER(name) || 'it''s' ELSE TRY_CAST(id / 2 AS STRING) END";
        assert_eq!(
            value(written).sql(&names),
            "CASE WHEN NOT(((id > CAST(3 AS BIGINT)) AND NOT((name IS NULL)))) THEN ||(UPPER(name), 'it''s') ELSE \
             TRY_CAST((id / CAST(2 AS BIGINT)) AS STRING) END"
        );
    }

    /// What is stored in users' checkpoints: a change here makes them start anew.
    #[test]
    fn the_form_of_checkpoints_stays() {
        for (written, form) in [
            ("name", "$1:STRING"),
            ("CAST(id AS STRING)", "CAST($0:BIGINT AS STRING):STRING@Asia/Riyadh:STRING"),
            ("SUBSTRING(name, 2)", "SUBSTRING($1:STRING, 2:INT NOT NULL):STRING@Asia/Riyadh:STRING"),
            (
                "CAST(x'01ff' AS STRING)",
                "CAST(x'01ff':BINARY(2) NOT NULL AS STRING):STRING NOT NULL@Asia/Riyadh:STRING NOT NULL",
            ),
        ] {
            assert_eq!(value(written).form(), form, "{written}");
        }
    }
}
