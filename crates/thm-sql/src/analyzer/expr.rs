//! sqlparser's expressions → typed [`Expr`]: names resolved, operands coerced, everything else refused.

use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, CeilFloorKind, Expr as Ast, FunctionArguments, ObjectNamePart, Spanned,
    UnaryOperator, ValueWithSpan,
};
use sqlparser::tokenizer::Span;

use super::logic::{self, Junction};
use super::scope::Scope;
use super::subquery::{self, Subqueries};
use super::words::cannot_apply;
use super::{access, call, compare, extent, fold, interval, literal, units, words};
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::{ArithmeticOp, CompareOp, Expr, ExprKind};
use crate::functions;
use crate::parser::reserved;
use crate::types::{DataType, LogicalType, coerce, decimal, read};

/// Deepest text: chains of AND and OR aside.
const MAX_DEPTH: usize = 200;

/// Longest CHAR and BINARY of a CAST: every value is padded to it, and a text that one call makes ends at 16 MiB.
const DEFAULT_MAX_PADDED_LENGTH: u32 = 16 * 1024 * 1024;

/// Turns expressions of one scope into typed ones.
pub struct Typer<'a> {
    scope: &'a Scope,
    depth: usize,
    /// Takes the subqueries, where there may be any.
    subqueries: Option<&'a mut (dyn Subqueries + 'a)>,
}

impl<'a> Typer<'a> {
    /// For the columns of a scope.
    #[must_use]
    pub const fn new(scope: &'a Scope) -> Self {
        Self { scope, depth: 0, subqueries: None }
    }

    /// For the columns of a scope, and subqueries.
    pub(super) fn with_subqueries(scope: &'a Scope, subqueries: &'a mut (dyn Subqueries + 'a)) -> Self {
        Self { scope, depth: 0, subqueries: Some(subqueries) }
    }

    /// Types an expression.
    pub fn expr(&mut self, ast: &Ast) -> SqlResult<Expr> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SqlDiagnostic::new(Span::empty(), "the expression is nested too deeply")
                .with_hint("Split it with a subquery."));
        }
        let out = self.node(ast);
        self.depth -= 1;
        let out = out?;
        extent::check(&out, || ast.span())?;
        if self.depth == 0 { fold::folded(out, ast.span()) } else { Ok(out) }
    }

    /// Types an expression and refuses a bare NULL.
    pub fn value(&mut self, ast: &Ast) -> SqlResult<Expr> {
        let out = self.expr(ast)?;
        no_bare_null(&out, ast.span())?;
        Ok(out)
    }

    /// Types a condition.
    pub fn condition(&mut self, ast: &Ast, place: &str) -> SqlResult<Expr> {
        let out = self.expr(ast)?;
        match out.data_type.kind {
            LogicalType::Boolean => Ok(out),
            LogicalType::Null => Ok(out.cast(LogicalType::Boolean)),
            other => {
                Err(SqlDiagnostic::new(ast.span(), format!("{place} must be a condition, but is of type {other}"))
                    .with_hint("Compare it with something."))
            }
        }
    }

    fn node(&mut self, ast: &Ast) -> SqlResult<Expr> {
        let span = ast.span();
        match ast {
            Ast::Identifier(name) => self.column(std::slice::from_ref(name), span),
            Ast::CompoundIdentifier(parts) => self.column(parts, span),
            Ast::Nested(inner) => self.expr(inner),
            Ast::Value(ValueWithSpan { value, span }) => literal::literal(value, false, *span),
            Ast::TypedString(written) => literal::typed(written, span),
            Ast::UnaryOp { op, expr } => self.unary(*op, expr, span),
            Ast::BinaryOp { left, op, right } => self.binary(left, op, right, span),
            Ast::IsNull(inner) => Ok(is_null(self.expr(inner)?)),
            Ast::IsNotNull(inner) => Ok(not(is_null(self.expr(inner)?))),
            Ast::IsUnknown(inner) => Ok(is_null(self.truth(inner, "IS UNKNOWN")?)),
            Ast::IsNotUnknown(inner) => Ok(not(is_null(self.truth(inner, "IS NOT UNKNOWN")?))),
            Ast::IsTrue(inner) => self.is(inner, true, false),
            Ast::IsFalse(inner) => self.is(inner, false, false),
            Ast::IsNotTrue(inner) => self.is(inner, true, true),
            Ast::IsNotFalse(inner) => self.is(inner, false, true),
            Ast::IsDistinctFrom(a, b) => Ok(not(compare::same(self, a, b, span)?)),
            Ast::IsNotDistinctFrom(a, b) => compare::same(self, a, b, span),
            Ast::Between { expr, negated, low, high } => {
                let out = compare::between(self, expr, low, high, span)?;
                Ok(if *negated { not(out) } else { out })
            }
            Ast::InList { expr, list, negated } => {
                let out = compare::in_list(self, expr, list, span)?;
                Ok(if *negated { not(out) } else { out })
            }
            Ast::Subquery(query) => self.subqueries(ast)?.value(query),
            Ast::Exists { subquery, negated } => {
                let out = self.subqueries(ast)?.exists(subquery)?;
                Ok(if *negated { not(out) } else { out })
            }
            Ast::InSubquery { expr, subquery, negated } => {
                let values = subquery::values(self, expr)?;
                let out = self.subqueries(ast)?.contains(values, subquery)?;
                Ok(if *negated { not(out) } else { out })
            }
            Ast::AnyOp { left, compare_op, right, .. } => match compare::operator(compare_op) {
                Some(op) => compare::quantified(self, (left, op, right), false, span),
                None => Err(refused(ast, span, "Write a comparison before ANY.")),
            },
            Ast::AllOp { left, compare_op, right } => match compare::operator(compare_op) {
                Some(op) => compare::quantified(self, (left, op, right), true, span),
                None => Err(refused(ast, span, "Write a comparison before ALL.")),
            },
            Ast::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref(), span)
            }
            Ast::Cast { kind, expr, data_type, format: None, array: false } => {
                let to = read::any_type(data_type, span)?;
                let lenient = match kind {
                    CastKind::Cast => false,
                    CastKind::TryCast => true,
                    _ => return Err(refused(ast, span, "Write CAST(x AS type).")),
                };
                let input = self.expr(expr)?;
                let input = units::counted(input, (expr, data_type), (to, lenient), span)?;
                cast(input, to, lenient, span)
            }
            Ast::Function(function) => match self.session_word(function) {
                Some(name) => self.column(std::slice::from_ref(name), span),
                None => call::function(self, function, span),
            },
            Ast::Substring { expr, substring_from, substring_for, .. } => {
                let arguments = [Some(expr), substring_from.as_ref(), substring_for.as_ref()];
                let arguments: SqlResult<Vec<_>> =
                    arguments.into_iter().flatten().map(|argument| self.expr(argument)).collect();
                call::bind("SUBSTRING", arguments?, span)
            }
            Ast::Trim { expr, trim_where, trim_what, trim_characters: None } => {
                use sqlparser::ast::TrimWhereField as Side;
                let name = match trim_where {
                    None | Some(Side::Both) => "TRIM",
                    Some(Side::Leading) => "LTRIM",
                    Some(Side::Trailing) => "RTRIM",
                };
                let mut arguments = vec![self.expr(expr)?];
                if let Some(what) = trim_what {
                    arguments.push(self.expr(what)?);
                }
                call::bind(name, arguments, span)
            }
            Ast::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let mut arguments = vec![self.expr(expr)?, self.expr(overlay_what)?, self.expr(overlay_from)?];
                if let Some(length) = overlay_for {
                    arguments.push(self.expr(length)?);
                }
                call::bind("OVERLAY", arguments, span)
            }
            Ast::Like { negated, any: false, expr, pattern, escape_char } => {
                self.pattern("LIKE", (expr, pattern, escape_char.as_ref()), *negated, span)
            }
            Ast::SimilarTo { negated, expr, pattern, escape_char } => {
                self.pattern("SIMILAR TO", (expr, pattern, escape_char.as_ref()), *negated, span)
            }
            Ast::Extract { field, expr, .. } => {
                let unit = field.to_string().to_ascii_uppercase();
                let value = self.value(expr)?;
                interval::extract(&unit, value, span)
            }
            Ast::Array(array) => {
                let values: SqlResult<Vec<_>> = array.elem.iter().map(|value| self.expr(value)).collect();
                call::bind("ARRAY", values?, span)
            }
            Ast::CompoundFieldAccess { root, access_chain } => access::chain(self, root, access_chain, span),
            Ast::Tuple(values) => {
                let values: SqlResult<Vec<_>> = values.iter().map(|value| self.expr(value)).collect();
                call::bind("ROW", values?, span)
            }
            Ast::Ceil { expr, field: CeilFloorKind::DateTimeField(field) }
                if *field != sqlparser::ast::DateTimeField::NoDateTime =>
            {
                let value = self.value(expr)?;
                interval::to_unit("CEIL TO", &field.to_string().to_ascii_uppercase(), value, span)
            }
            Ast::Floor { expr, field: CeilFloorKind::DateTimeField(field) }
                if *field != sqlparser::ast::DateTimeField::NoDateTime =>
            {
                let value = self.value(expr)?;
                interval::to_unit("FLOOR TO", &field.to_string().to_ascii_uppercase(), value, span)
            }
            Ast::Ceil { expr, field: CeilFloorKind::DateTimeField(sqlparser::ast::DateTimeField::NoDateTime) } => {
                let argument = self.expr(expr)?;
                call::bind("CEIL", vec![argument], span)
            }
            Ast::Floor { expr, field: CeilFloorKind::DateTimeField(sqlparser::ast::DateTimeField::NoDateTime) } => {
                let argument = self.expr(expr)?;
                call::bind("FLOOR", vec![argument], span)
            }
            Ast::Ceil { .. } | Ast::Floor { .. } => Err(SqlDiagnostic::new(span, "Encountered \",\"")
                .with_hint("Write ROUND(number, digits), or FLOOR(time TO HOUR).")),
            Ast::Collate { .. } => Err(SqlDiagnostic::new(span, "Incorrect syntax near the keyword 'COLLATE'")
                .with_hint("Texts compare by their characters; leave COLLATE out.")),
            Ast::AtTimeZone { .. } => Err(SqlDiagnostic::new(span, "Incorrect syntax near the keyword 'AT'")
                .with_hint("Write CONVERT_TZ, or SET 'table.local-time-zone'.")),
            _ => Err(refused(
                ast,
                span,
                "Use comparisons, arithmetic, CASE, CAST and the functions that are listed in the manual.",
            )),
        }
    }

    pub(super) fn subqueries(&mut self, ast: &Ast) -> SqlResult<&mut (dyn Subqueries + 'a)> {
        let hint = "A subquery may stand in WHERE and behind SELECT.";
        self.subqueries.as_deref_mut().ok_or_else(|| {
            SqlDiagnostic::new(ast.span(), "Query expression encountered in illegal context").with_hint(hint)
        })
    }

    /// LIKE and SIMILAR TO.
    fn pattern(
        &mut self,
        name: &str,
        (value, pattern, escape): (&Ast, &Ast, Option<&ValueWithSpan>),
        negated: bool,
        span: Span,
    ) -> SqlResult<Expr> {
        let mut arguments = vec![self.expr(value)?, self.expr(pattern)?];
        if let Some(escape) = escape {
            arguments.push(literal::literal(&escape.value, false, escape.span)?);
        }
        if arguments.iter().any(|argument| argument.data_type.kind == LogicalType::Null) {
            let arguments: Vec<&Expr> = arguments.iter().collect();
            return Err(cannot_apply(name, &arguments, span).with_hint("Give it a type: CAST(NULL AS STRING)."));
        }
        let out = if name == "LIKE" && fold::is_empty_text(&arguments[1]) {
            compare::not_null(arguments.swap_remove(0))
        } else {
            call::bind(name, arguments, span)?
        };
        Ok(if negated { not(out) } else { out })
    }

    fn column(&self, parts: &[sqlparser::ast::Ident], span: Span) -> SqlResult<Expr> {
        reserved::check_reference(parts)?;
        // `table.row.field`, `row.field`: the longest name that is a column, then fields.
        for known in (1..parts.len()).rev() {
            if self.scope.find(parts, span).is_ok() {
                break;
            }
            // Without its table before it only a table's own column is a row of that name; a row that a query makes is not.
            let (front, fields) = parts.split_at(known);
            let Ok(column) = self.scope.find(front, span) else { continue };
            let Some(value) = column.value.clone().filter(|value| matches!(value.data_type.kind, LogicalType::Row(_)))
            else {
                continue;
            };
            if front.len() < 2 && column.table.is_some() && !matches!(value.kind, ExprKind::Column(_)) {
                continue;
            }
            return fields.iter().try_fold(value, access::field);
        }
        Ok(call::now_where_none(self.scope.find(parts, span)?.value.clone()))
    }

    /// The word of a call such as `USER`, which has no parentheses and is no function here: the name of a column.
    fn session_word<'f>(&self, call: &'f sqlparser::ast::Function) -> Option<&'f sqlparser::ast::Ident> {
        let ([ObjectNamePart::Identifier(name)], FunctionArguments::None) = (call.name.0.as_slice(), &call.args) else {
            return None;
        };
        functions::find(&name.value.to_ascii_uppercase()).is_none().then_some(name)
    }

    fn unary(&mut self, op: UnaryOperator, inner: &Ast, span: Span) -> SqlResult<Expr> {
        match (op, inner) {
            (
                UnaryOperator::Minus,
                Ast::Value(ValueWithSpan { value: value @ sqlparser::ast::Value::Number(..), .. }),
            ) => literal::literal(value, true, span),
            (UnaryOperator::Minus, _) => {
                let value = self.value(inner)?;
                let kind = value.data_type.kind;
                if kind.is_approximate() {
                    // 0 - 0 would lose the sign of a zero.
                    let minus = literal::int_literal(-1).cast(kind);
                    let data_type = value.data_type;
                    let kind = ExprKind::Arithmetic {
                        op: ArithmeticOp::Multiply,
                        left: Box::new(value),
                        right: Box::new(minus),
                    };
                    return Ok(Expr { kind, data_type });
                }
                if !kind.is_numeric() && !kind.is_interval() {
                    return Err(cannot_apply("-", &[&value], span));
                }
                // 0 - x has x's type when its zero has: DECIMALs would widen.
                let zero = if kind.is_interval() { interval::zero(kind) } else { literal::int_literal(0).cast(kind) };
                let data_type = value.data_type;
                let parts = (Box::new(zero), Box::new(value));
                let kind = ExprKind::Arithmetic { op: ArithmeticOp::Subtract, left: parts.0, right: parts.1 };
                Ok(Expr { kind, data_type })
            }
            (UnaryOperator::Plus, _) => {
                let value = self.value(inner)?;
                let kind = value.data_type.kind;
                if kind.is_numeric() || kind.is_interval() {
                    Ok(value)
                } else {
                    Err(cannot_apply("+", &[&value], span))
                }
            }
            (UnaryOperator::Not, _) => {
                let value = self.value(inner)?;
                if value.data_type.kind != LogicalType::Boolean {
                    return Err(cannot_apply("NOT", &[&value], span));
                }
                Ok(not(value))
            }
            _ => Err(SqlDiagnostic::new(span, format!("operator {op} is not known"))
                .with_hint("Flink has +, - and NOT before a value.")),
        }
    }

    fn binary(&mut self, left: &Ast, op: &BinaryOperator, right: &Ast, span: Span) -> SqlResult<Expr> {
        let arithmetic_op = match op {
            BinaryOperator::Plus => Some(ArithmeticOp::Add),
            BinaryOperator::Minus => Some(ArithmeticOp::Subtract),
            BinaryOperator::Multiply => Some(ArithmeticOp::Multiply),
            BinaryOperator::Divide => Some(ArithmeticOp::Divide),
            BinaryOperator::Modulo => Some(ArithmeticOp::Remainder),
            _ => None,
        };
        if let Some(op) = arithmetic_op {
            let (a, b) = (self.expr(left)?, self.expr(right)?);
            let untyped = |side: &Expr| side.data_type.kind == LogicalType::Null;
            if untyped(&a) || untyped(&b) {
                let known = if untyped(&a) { &b } else { &a };
                return Err(untyped_operand(op, (&a, &b), known.data_type.kind, span));
            }
            return arithmetic(op, a, b, span);
        }
        if let Some(op) = compare::operator(op) {
            return compare::of(op, self.expr(left)?, self.expr(right)?, span);
        }
        match op {
            BinaryOperator::Overlaps => interval::overlaps(self, left, right, span),
            BinaryOperator::And => logic::chain(self, (left, op, right), Junction::And),
            BinaryOperator::Or => logic::chain(self, (left, op, right), Junction::Or),
            BinaryOperator::StringConcat => {
                let arguments = vec![self.value(left)?, self.value(right)?];
                call::bind("||", arguments, span)
            }
            _ => Err(SqlDiagnostic::new(span, format!("operator {op} is not supported"))
                .with_hint("Flink has + - * / % = <> < <= > >= AND OR and ||.")),
        }
    }

    /// The BOOLEAN before IS TRUE and its like.
    fn truth(&mut self, inner: &Ast, test: &str) -> SqlResult<Expr> {
        let value = self.value(inner)?;
        let kind = value.data_type.kind;
        if kind == LogicalType::Boolean {
            return Ok(value);
        }
        let message = format!("Cannot apply '{test}' to arguments of type '<{}> {test}'", words::calcite_name(kind));
        Err(SqlDiagnostic::new(inner.span(), format!("{message}. Supported form(s): '<BOOLEAN> {test}'"))
            .with_hint("Compare it with something."))
    }

    fn is(&mut self, inner: &Ast, wanted: bool, negated: bool) -> SqlResult<Expr> {
        let test = format!("IS {}{}", if negated { "NOT " } else { "" }, if wanted { "TRUE" } else { "FALSE" });
        let condition = self.truth(inner, &test)?;
        let kind = ExprKind::Is(Box::new(condition), wanted);
        let out = Expr { kind, data_type: LogicalType::Boolean.nullable(false) };
        Ok(if negated { not(out) } else { out })
    }

    fn case(
        &mut self,
        operand: Option<&Ast>,
        conditions: &[CaseWhen],
        otherwise: Option<&Ast>,
        span: Span,
    ) -> SqlResult<Expr> {
        let operand = operand.map(|operand| self.expr(operand)).transpose()?;
        let mut branches = Vec::with_capacity(conditions.len());
        for CaseWhen { condition, result } in conditions {
            let test = match &operand {
                Some(operand) => {
                    let value = self.expr(condition)?;
                    compare::compare(CompareOp::Equal, operand.clone(), value, condition.span())?
                }
                None => {
                    let test = self.expr(condition)?;
                    match test.data_type.kind {
                        LogicalType::Boolean => test,
                        LogicalType::Null => test.cast(LogicalType::Boolean),
                        _ => {
                            return Err(SqlDiagnostic::new(condition.span(), "Expected a boolean type")
                                .with_hint("Write a condition behind WHEN."));
                        }
                    }
                }
            };
            branches.push((test, self.expr(result)?));
        }
        let otherwise = match otherwise {
            Some(otherwise) => self.expr(otherwise)?,
            None => Expr::null(LogicalType::Null),
        };
        searched_case(branches, otherwise, span)
    }
}

/// Refuses a NULL without a type.
pub(super) fn no_bare_null(value: &Expr, span: Span) -> SqlResult<()> {
    if value.data_type.kind == LogicalType::Null {
        return Err(
            SqlDiagnostic::new(span, "Illegal use of 'NULL'").with_hint("Give it a type: CAST(NULL AS STRING).")
        );
    }
    Ok(())
}

/// A CASE whose results get their common type.
pub(super) fn searched_case(branches: Vec<(Expr, Expr)>, otherwise: Expr, span: Span) -> SqlResult<Expr> {
    let results = || branches.iter().map(|(_, result)| result).chain(std::iter::once(&otherwise));
    let array = |value: &Expr| matches!(value.data_type.kind, LogicalType::Array(_));
    let null_first = results().next().is_some_and(|first| first.data_type.kind == LogicalType::Null);
    if null_first && results().any(array) {
        return Err(SqlDiagnostic::new(span, "Illegal mixing of types in CASE or COALESCE statement")
            .with_hint("Give the NULL the array's type: CAST(NULL AS ARRAY<INT>)."));
    }
    let mut types: Vec<DataType> = branches.iter().map(|(_, result)| result.data_type).collect();
    types.push(otherwise.data_type);
    let common = coerce::common_type(&types).ok_or_else(|| {
        SqlDiagnostic::new(span, coerce::mixing_refusal(&types)).with_hint("Cast all results to one type.")
    })?;
    if common.kind == LogicalType::Null {
        return Err(SqlDiagnostic::new(span, "ELSE clause or at least one THEN clause must be non-NULL")
            .with_hint("Give one result a type: CAST(NULL AS STRING)."));
    }
    let branches = branches.into_iter().map(|(test, result)| (test, result.cast(common.kind))).collect();
    let otherwise = Box::new(otherwise.cast(common.kind));
    Ok(Expr { kind: ExprKind::Case { branches, otherwise }, data_type: common })
}

/// A cast that is allowed, or Flink's refusal.
pub(super) fn cast(input: Expr, to: LogicalType, lenient: bool, span: Span) -> SqlResult<Expr> {
    let from = input.data_type.kind;
    if !coerce::explicit_cast(from, to) {
        let (message, hint) = coerce::cast_refusal(from, to);
        return Err(SqlDiagnostic::new(span, message).with_hint(hint));
    }
    if let LogicalType::Char(length) | LogicalType::Binary(length) = to
        && length > DEFAULT_MAX_PADDED_LENGTH
    {
        let message = format!("Required length exceeds implementation limit: {to}");
        return Err(SqlDiagnostic::new(span, message).with_hint("Write VARCHAR or VARBINARY, which are not padded."));
    }
    // A TIME keeps no fraction in a CAST, whatever precision was written.
    let to = if matches!(to, LogicalType::Time(_)) { LogicalType::Time(0) } else { to };
    let input = fold::without_lossless(input, to);
    let from = input.data_type.kind;
    let nullable = lenient || input.data_type.nullable;
    if from == to || from == LogicalType::Null {
        let data_type = to.nullable(nullable);
        return Ok(Expr { data_type, ..input.cast(to) });
    }
    let reads = to == LogicalType::Float && from.is_text() && matches!(input.kind, ExprKind::Literal(_));
    let kind = ExprKind::Cast { input: Box::new(input), lenient };
    let out = Expr { kind, data_type: to.nullable(nullable) };
    Ok(if reads { fold::computed_float(out) } else { out })
}

/// What is said of a bare NULL beside `+` and its like.
fn untyped_operand(op: ArithmeticOp, (a, b): (&Expr, &Expr), known: LogicalType, span: Span) -> SqlDiagnostic {
    let counts = known == LogicalType::Null || known.is_numeric() || known.is_interval() || interval::is_time(known);
    if !counts {
        return cannot_apply(op.sign(), &[a, b], span);
    }
    SqlDiagnostic::new(span, "Illegal use of 'NULL'").with_hint("Give it a type: CAST(NULL AS STRING).")
}

/// Arithmetic with Flink's result type.
pub(super) fn arithmetic(op: ArithmeticOp, a: Expr, b: Expr, span: Span) -> SqlResult<Expr> {
    let (ka, kb) = (a.data_type.kind, b.data_type.kind);
    if ka.is_interval() || kb.is_interval() {
        return interval::arithmetic(op, a, b, span);
    }
    let sign = op.sign();
    if !ka.is_numeric() || !kb.is_numeric() {
        return Err(cannot_apply(sign, &[&a, &b], span).with_hint("Cast texts to a number first."));
    }
    let nullable = a.data_type.nullable || b.data_type.nullable;
    let exact = ka.as_decimal().zip(kb.as_decimal());
    if op == ArithmeticOp::Remainder && exact.is_none() {
        return Err(cannot_apply(sign, &[&a, &b], span).with_hint("Cast both sides to an integer or a DECIMAL."));
    }
    let (kind, a, b) = match exact {
        Some((x, y)) if !(ka.is_integer() && kb.is_integer()) => {
            let kind = match op {
                ArithmeticOp::Add | ArithmeticOp::Subtract => decimal::sum_type(x, y),
                ArithmeticOp::Multiply => decimal::product_type(x, y),
                ArithmeticOp::Divide => decimal::quotient_type(x, y),
                ArithmeticOp::Remainder => decimal::remainder_type(x, y),
            };
            let side = |side: Expr, (precision, scale)| side.cast(LogicalType::Decimal { precision, scale });
            (kind, side(a, x), side(b, y))
        }
        // The remainder of integers has the divisor's type, which it always fits.
        Some(_) if op == ArithmeticOp::Remainder => {
            let wide = coerce::comparison_type(a.data_type, b.data_type).unwrap_or(LogicalType::BigInt);
            let kind = ExprKind::Arithmetic { op, left: Box::new(a.cast(wide)), right: Box::new(b.cast(wide)) };
            return Ok(Expr { kind, data_type: wide.nullable(nullable) }.cast(kb));
        }
        _ => {
            let common = coerce::comparison_type(a.data_type, b.data_type).unwrap_or(LogicalType::Double);
            (common, a.cast(common), b.cast(common))
        }
    };
    let arithmetic = ExprKind::Arithmetic { op, left: Box::new(a), right: Box::new(b) };
    let out = Expr { kind: arithmetic, data_type: kind.nullable(nullable) };
    // The remainder of a DECIMAL without a fraction by an integer is one.
    let whole = op == ArithmeticOp::Remainder && kb.is_integer() && exact.is_some_and(|((_, scale), _)| scale == 0);
    Ok(if whole { out.cast(kb) } else { out })
}

/// NOT.
pub(super) fn not(inner: Expr) -> Expr {
    let data_type = inner.data_type;
    Expr { kind: ExprKind::Not(Box::new(inner)), data_type }
}

/// The first of two that is not NULL.
pub(super) fn first_present(a: Expr, b: Expr, span: Span) -> SqlResult<Expr> {
    let nullable = a.data_type.nullable && b.data_type.nullable;
    let out = searched_case(vec![(not(is_null(a.clone())), a)], b, span)?;
    Ok(Expr { data_type: out.data_type.with_nullable(nullable), ..out })
}

/// IS NULL.
pub(super) fn is_null(inner: Expr) -> Expr {
    Expr { kind: ExprKind::IsNull(Box::new(inner)), data_type: LogicalType::Boolean.nullable(false) }
}

fn refused(ast: &Ast, span: Span, hint: &str) -> SqlDiagnostic {
    let shown: String = ast.to_string().chars().take(60).collect();
    SqlDiagnostic::new(span, format!("expression `{shown}` is not supported yet")).with_hint(hint)
}
