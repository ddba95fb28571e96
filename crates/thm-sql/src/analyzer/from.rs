//! FROM: tables, views, subqueries, UNNEST, and joins of them.

use sqlparser::ast::{
    Expr as Ast, Function, FunctionArg, FunctionArgExpr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, Select,
    Spanned as _, TableAlias, TableFactor, TableVersion,
};
use sqlparser::tokenizer::Span;

use super::compare::compare;
use super::expr::Typer;
use super::logic::{self, Junction};
use super::query::{Binder, Blocking, Origin, Query, Step, Unnest};
use super::scope::{Named, Scope, ScopeColumn};
use super::{lookup, lookup_hint};
use crate::catalog::Object;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::{CompareOp, Expr, ExprKind};
use crate::options::Usage;
use crate::parser::ast::Name;
use crate::parser::reserved;
use crate::parser::statement::name_of;
use crate::types::{DataType, LogicalType};

/// A query in FROM with the names of its columns.
type Bound = (Query, Scope);

/// What kind of join.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    left_outer: bool,
    right_outer: bool,
}

impl Binder<'_> {
    /// FROM of a SELECT; without one it is one row without columns.
    pub(super) fn from(&mut self, ast: &Select) -> SqlResult<Bound> {
        let mut out: Option<Bound> = None;
        for table in &ast.from {
            let mut bound = match out.take() {
                None => self.relation(&table.relation)?,
                Some(left) => self.cross(left, &table.relation)?,
            };
            for join in &table.joins {
                bound = self.join(bound, join)?;
            }
            out = Some(bound);
        }
        Ok(out.unwrap_or_else(|| {
            let origin = Origin::Values { types: Vec::new(), rows: vec![Vec::new()] };
            (Query { origin, steps: Vec::new(), columns: Vec::new(), width: 0 }, Scope::default())
        }))
    }

    fn relation(&mut self, factor: &TableFactor) -> SqlResult<Bound> {
        match factor {
            TableFactor::Table { version: Some(_), name, .. } => {
                let message = format!("{name} FOR SYSTEM_TIME AS OF must be joined to a stream");
                Err(SqlDiagnostic::new(factor.span(), message)
                    .with_hint("Write FROM events AS e JOIN t FOR SYSTEM_TIME AS OF e.proc_time ON …."))
            }
            TableFactor::Table { name, alias, args: None, sample: None, with_hints, .. } if with_hints.is_empty() => {
                self.named(&name_of(name)?, alias.as_ref())
            }
            TableFactor::Derived { subquery, alias, sample: None, .. } => {
                let inner = self.query(subquery)?;
                aliased(inner, alias.as_ref(), None, factor.span())
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                let mut bound = self.relation(&table_with_joins.relation)?;
                for join in &table_with_joins.joins {
                    bound = self.join(bound, join)?;
                }
                Ok(bound)
            }
            _ => {
                let one_row = Origin::Values { types: Vec::new(), rows: vec![Vec::new()] };
                let none = Query { origin: one_row, steps: Vec::new(), columns: Vec::new(), width: 0 };
                self.unnest((none, Scope::default()), factor, false)
            }
        }
    }

    /// A table, a view or a name of WITH.
    fn named(&mut self, name: &Name, alias: Option<&TableAlias>) -> SqlResult<Bound> {
        let hints = self.hints.options(name.span);
        let with = self.with.iter().rev().find(|(known, _)| name.parts.len() == 1 && *known == name.parts[0]);
        if let Some((_, query)) = with {
            return aliased(query.clone(), alias, Some(name.last()), name.span);
        }
        match self.catalog.object(name)? {
            (path, Object::View(view)) => {
                if !hints.is_empty() {
                    let message = format!(
                        "View '{path}' cannot be enriched with new options. Hints can only be applied to tables."
                    );
                    return Err(SqlDiagnostic::new(name.span, message).with_hint("Put the hint into the view's query."));
                }
                let mut inner =
                    Binder { catalog: self.catalog, hints: &view.hints, with: Vec::new(), depth: self.depth };
                let mut query = inner.query(&view.query)?;
                query.columns.iter_mut().zip(&view.schema).for_each(|((old, _), (new, _))| old.clone_from(new));
                aliased(query, alias, Some(name.last()), name.span)
            }
            (_, Object::Table(_)) => {
                let table = self.catalog.table(name, Usage::Source, &hints)?;
                let shown = alias.map_or(name.last(), |alias| alias.name.value.as_str());
                let mut scope = Scope { columns: table.scope(shown) };
                if let Some(alias) = alias {
                    rename(&mut scope, alias)?;
                }
                let width = table.width();
                Ok((Query { origin: Origin::Scan(table), steps: Vec::new(), columns: Vec::new(), width }, scope))
            }
        }
    }

    fn cross(&mut self, left: Bound, factor: &TableFactor) -> SqlResult<Bound> {
        if is_collection(factor) {
            return self.unnest(left, factor, false);
        }
        let right = self.relation(factor)?;
        not_the_same(&left, &right, factor.span())?;
        Ok(joined(left, right, Kind { left_outer: false, right_outer: false }, None, factor.span()))
    }

    fn join(&mut self, left: Bound, join: &Join) -> SqlResult<Bound> {
        let (left_outer, right_outer, constraint) = match &join.join_operator {
            JoinOperator::Join(on) | JoinOperator::Inner(on) => (false, false, on),
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (true, false, on),
            JoinOperator::Right(on) | JoinOperator::RightOuter(on) => (false, true, on),
            JoinOperator::FullOuter(on) => (true, true, on),
            JoinOperator::CrossJoin(JoinConstraint::None) => return self.cross(left, &join.relation),
            JoinOperator::CrossJoin(_) => {
                let message = "Cannot specify condition (NATURAL keyword, or ON or USING clause) following CROSS JOIN";
                return Err(SqlDiagnostic::new(join.relation.span(), message).with_hint("Write JOIN … ON."));
            }
            other => {
                let shown = format!("{other:?}");
                let kind = shown.split('(').next().unwrap_or("this").to_owned();
                return Err(SqlDiagnostic::new(join.relation.span(), format!("join type {kind} is not supported"))
                    .with_hint("Write JOIN, LEFT JOIN or CROSS JOIN."));
            }
        };
        let kind = Kind { left_outer, right_outer };
        let span = join.relation.span();
        if let TableFactor::Table { version: Some(version), .. } = &join.relation {
            if right_outer {
                return Err(SqlDiagnostic::new(span, "Unknown join type RIGHT")
                    .with_hint("A look-up join is JOIN or LEFT JOIN."));
            }
            return self.lookup(left, &join.relation, version, left_outer, constraint);
        }
        if is_collection(&join.relation) {
            return self.join_collection(left, join, (left_outer, right_outer), constraint);
        }
        let right = self.relation(&join.relation)?;
        not_the_same(&left, &right, span)?;
        match constraint {
            JoinConstraint::On(condition) => {
                let (mut query, scope) = joined(left, right, kind, None, span);
                let over = unjoined(&query, &scope);
                let condition = Typer::new(&over).condition(condition, "ON clause")?;
                set_condition(&mut query, condition);
                Ok((query, scope))
            }
            JoinConstraint::Using(names) => {
                let names: SqlResult<Vec<Ident>> = names.iter().map(one_part).collect();
                using(left, right, kind, &names?, span)
            }
            JoinConstraint::Natural => {
                let alone = |column: &ScopeColumn| column.named != Named::WithTable;
                let shared = |column: &&ScopeColumn| {
                    alone(column) && right.1.columns.iter().any(|other| alone(other) && other.name == column.name)
                };
                let names: Vec<Ident> =
                    left.1.columns.iter().filter(shared).map(|column| Ident::new(column.name.clone())).collect();
                using(left, right, kind, &names, span)
            }
            JoinConstraint::None => {
                let message =
                    "INNER, LEFT, RIGHT or FULL join requires a condition (NATURAL keyword or ON or USING clause)";
                Err(SqlDiagnostic::new(span, message).with_hint("Write ON a.x = b.y."))
            }
        }
    }

    /// `JOIN UNNEST(…) ON condition`.
    fn join_collection(
        &mut self,
        left: Bound,
        join: &Join,
        (left_outer, right_outer): (bool, bool),
        constraint: &JoinConstraint,
    ) -> SqlResult<Bound> {
        let always = matches!(constraint, JoinConstraint::On(Ast::Value(value)) if value.to_string().eq_ignore_ascii_case("true"));
        match constraint {
            _ if always && !right_outer => self.unnest(left, &join.relation, left_outer),
            JoinConstraint::On(condition) if !left_outer && !right_outer => {
                let (mut query, scope) = self.unnest(left, &join.relation, false)?;
                query.steps.push(Step::Filter(Typer::new(&scope).condition(condition, "ON clause")?));
                Ok((query, scope))
            }
            _ => Err(SqlDiagnostic::new(join.relation.span(), "UNNEST is left joined ON TRUE only")
                .with_hint("Write LEFT JOIN UNNEST(…) ON TRUE, and the condition into WHERE.")),
        }
    }

    fn lookup(
        &mut self,
        (mut query, mut scope): Bound,
        factor: &TableFactor,
        version: &TableVersion,
        outer: bool,
        constraint: &JoinConstraint,
    ) -> SqlResult<Bound> {
        let span = factor.span();
        let TableFactor::Table { name, alias, args: None, sample: None, .. } = factor else {
            return Err(SqlDiagnostic::new(span, "this cannot be looked up").with_hint("Look a jdbc table up."));
        };
        let JoinConstraint::On(condition) = constraint else {
            return Err(SqlDiagnostic::new(span, "a look-up join needs ON").with_hint("Write ON a.x = b.y."));
        };
        let TableVersion::ForSystemTimeAsOf(time) = version else {
            return Err(SqlDiagnostic::new(span, format!("{version} is not supported"))
                .with_hint("Write FOR SYSTEM_TIME AS OF e.proc_time."));
        };
        proc_time(&scope, time)?;
        let name = name_of(name)?;
        let hints = self.hints.options(name.span);
        let table = self.catalog.table(&name, Usage::Lookup, &hints)?;
        let alias = alias.as_ref().map_or(name.last(), |alias| alias.name.value.as_str());
        let mut lookup = lookup::bind(&table, alias, outer, condition, (&mut scope, query.width), span)?;
        lookup.hint = lookup_hint::of(self.hints, [alias, name.last()])?;
        query.steps.push(Step::Lookup(lookup));
        query.width += table.physical.len();
        Ok((query, scope))
    }

    /// `UNNEST(collection)` over the columns to its left.
    fn unnest(&mut self, (mut query, mut scope): Bound, factor: &TableFactor, outer: bool) -> SqlResult<Bound> {
        let span = factor.span();
        let (collection, alias, ordinality) = match factor {
            TableFactor::UNNEST { array_exprs, alias, with_ordinality, with_offset: false, .. } => {
                match array_exprs.as_slice() {
                    [only] => (only, alias, *with_ordinality),
                    _ => {
                        return Err(SqlDiagnostic::new(span, "UNNEST of several collections is not supported")
                            .with_hint("Join one UNNEST after the other."));
                    }
                }
            }
            other => return Err(table_function(other, span)),
        };
        let collection = Typer::new(&scope).value(collection)?;
        let kind = collection.data_type.kind;
        let mut added = elements(kind).ok_or_else(|| {
            SqlDiagnostic::new(span, format!("Cannot apply 'UNNEST' to arguments of type 'UNNEST(<{kind}>)'"))
                .with_hint("UNNEST takes an ARRAY, a MAP or a MULTISET.")
        })?;
        if ordinality {
            added.push(("ORDINALITY".to_owned(), LogicalType::Int.nullable(false)));
        }
        if outer {
            added.iter_mut().for_each(|(_, data_type)| data_type.nullable = true);
        }
        let types: Vec<DataType> = added.iter().map(|(_, data_type)| *data_type).collect();
        let column = |(index, (name, data_type)): (usize, (String, DataType))| {
            (name, Some(Expr::column(query.width + index, data_type)))
        };
        let columns: Vec<_> = added.into_iter().enumerate().map(column).collect();
        let named = Query { columns, origin: query.origin.clone(), steps: Vec::new(), width: 0 };
        let (_, own) = aliased(named, alias.as_ref(), None, span)?;
        scope.columns.extend(own.columns);
        query.width += types.len();
        query.steps.push(Step::Unnest(Unnest { collection, types, ordinality, outer }));
        Ok((query, scope))
    }
}

/// Whether a factor takes its rows from a value of the left side.
fn is_collection(factor: &TableFactor) -> bool {
    matches!(factor, TableFactor::UNNEST { .. } | TableFactor::Function { .. } | TableFactor::TableFunction { .. })
        || matches!(factor, TableFactor::Table { args: Some(_), .. })
}

/// Names and types of the columns that a collection's elements make.
fn elements(kind: LogicalType) -> Option<Vec<(String, DataType)>> {
    let of = match kind {
        LogicalType::Array(of) | LogicalType::Multiset(of) => *of,
        LogicalType::Map(entry) => {
            return Some(vec![("KEY".to_owned(), entry.key), ("VALUE".to_owned(), entry.value)]);
        }
        _ => return None,
    };
    if let LogicalType::Row(fields) = of.kind {
        let field = |field: &crate::types::nested::RowField| {
            (field.name.clone(), field.data_type.with_nullable(field.data_type.nullable || of.nullable))
        };
        return Some(fields.iter().map(field).collect());
    }
    Some(vec![("EXPR$0".to_owned(), of)])
}

/// What to say of `LATERAL TABLE(f(x))`: there are no table functions but UNNEST.
fn table_function(factor: &TableFactor, span: Span) -> SqlDiagnostic {
    let of_call = |call: &Function| call.name.to_string();
    let first = |args: &[FunctionArg]| match args {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(Ast::Function(call)))] => Some(of_call(call)),
        _ => None,
    };
    let name = match factor {
        TableFactor::TableFunction { expr: Ast::Function(call), .. } => Some(of_call(call)),
        TableFactor::Function { name, args, .. } => {
            let name = name.to_string();
            if name.eq_ignore_ascii_case("TABLE") { first(args) } else { Some(name) }
        }
        TableFactor::Table { name, args: Some(args), .. } => {
            let name = name.to_string();
            if name.eq_ignore_ascii_case("TABLE") { first(&args.args) } else { Some(name) }
        }
        _ => None,
    };
    match name {
        Some(name) => {
            let message = format!("No match found for function signature {}", name.to_ascii_uppercase());
            SqlDiagnostic::new(span, message).with_hint("UNNEST is the only table function there is.")
        }
        None => SqlDiagnostic::new(span, "this kind of table is not supported")
            .with_hint("FROM takes a table, a view, a subquery or UNNEST."),
    }
}

/// `FOR SYSTEM_TIME AS OF` takes a column that is `PROCTIME()`.
fn proc_time(scope: &Scope, time: &Ast) -> SqlResult<()> {
    let refused = |message: String| {
        SqlDiagnostic::new(time.span(), message)
            .with_hint("Declare `proc_time AS PROCTIME()` in the left table and name it here.")
    };
    let column = match time {
        Ast::Identifier(name) => scope.find(std::slice::from_ref(name), time.span())?,
        Ast::CompoundIdentifier(parts) => scope.find(parts, time.span())?,
        other => {
            let message = format!(
                "Unsupported time travel expression: {other} for the expression can not be reduced to a constant by Flink."
            );
            return Err(refused(message));
        }
    };
    let Some(value) = &column.value else { return Ok(()) };
    if !value.data_type.kind.is_timestamp() {
        let message = format!(
            "The system time period specification expects Timestamp type but is '{}'",
            family(value.data_type.kind)
        );
        return Err(refused(message));
    }
    let message = "Temporal table join currently only supports 'FOR SYSTEM_TIME AS OF' left table's proctime field";
    Err(refused(message.to_owned()))
}

/// A type as Calcite names it, without its length.
fn family(kind: LogicalType) -> String {
    match kind {
        LogicalType::VarChar(_) => "VARCHAR".to_owned(),
        LogicalType::VarBinary(_) => "VARBINARY".to_owned(),
        LogicalType::Int => "INTEGER".to_owned(),
        other => other.to_string().split('(').next().unwrap_or_default().to_owned(),
    }
}

/// An alias whose columns have names of their own.
fn check_alias(alias: &TableAlias) -> SqlResult<()> {
    reserved::check_name(&alias.name)?;
    for (position, column) in alias.columns.iter().enumerate() {
        reserved::check_name(&column.name)?;
        if alias.columns[..position].iter().any(|earlier| earlier.name.value == column.name.value) {
            let message = format!("Duplicate name '{}' in column alias list", column.name.value);
            return Err(SqlDiagnostic::new(column.name.span, message).with_hint("Give every column its own name."));
        }
    }
    Ok(())
}

fn rename(scope: &mut Scope, alias: &TableAlias) -> SqlResult<()> {
    check_alias(alias)?;
    if alias.columns.is_empty() {
        return Ok(());
    }
    if alias.columns.len() != scope.columns.len() {
        let message = format!(
            "List of column aliases must have same degree as table; table has {} columns, whereas alias list has {} columns",
            scope.columns.len(),
            alias.columns.len()
        );
        return Err(SqlDiagnostic::new(alias.name.span, message).with_hint("Name every column, or none."));
    }
    scope.columns.iter_mut().zip(&alias.columns).for_each(|(column, alias)| column.name.clone_from(&alias.name.value));
    Ok(())
}

/// A subquery's columns under its alias.
fn aliased(mut query: Query, alias: Option<&TableAlias>, name: Option<&str>, span: Span) -> SqlResult<Bound> {
    if let Some(alias) = alias {
        check_alias(alias)?;
        let names: Vec<String> = alias.columns.iter().map(|column| column.name.value.clone()).collect();
        query.rename(&names, span)?;
    }
    let table = alias.map(|alias| alias.name.value.as_str()).or(name);
    let scope = query.scope(table);
    query.columns.clear();
    Ok((query, scope))
}

/// Two relations of FROM have two names.
fn not_the_same(left: &Bound, right: &Bound, span: Span) -> SqlResult<()> {
    let names = |bound: &'_ Bound| -> Vec<String> {
        bound.1.columns.iter().filter_map(|column| column.table.clone()).collect()
    };
    let known = names(left);
    match names(right).into_iter().find(|name| known.contains(name)) {
        None => Ok(()),
        Some(name) => Err(SqlDiagnostic::new(span, format!("Duplicate relation name '{name}' in FROM clause"))
            .with_hint("Give one of them an alias.")),
    }
}

fn one_part(name: &ObjectName) -> SqlResult<Ident> {
    let name = name_of(name)?;
    Ok(Ident { span: name.span, ..Ident::new(name.last()) })
}

/// A side of a join as a query of its own, and where its columns are among its output.
fn sealed((mut query, scope): Bound) -> (Query, Vec<(ScopeColumn, Option<usize>)>) {
    let mut places = Vec::with_capacity(scope.columns.len());
    query.columns.clear();
    for column in scope.columns {
        let place = column.value.as_ref().map(|value| {
            query.columns.push((column.name.clone(), Some(value.clone())));
            query.columns.len() - 1
        });
        places.push((column, place));
    }
    (query, places)
}

/// Both sides side by side; the condition is set later.
fn joined(left: Bound, right: Bound, kind: Kind, condition: Option<Expr>, span: Span) -> Bound {
    let (left, left_places) = sealed(left);
    let (right, right_places) = sealed(right);
    let (left_width, width) = (left.columns.len(), left.columns.len() + right.columns.len());
    let shifted = |places: Vec<(ScopeColumn, Option<usize>)>, by: usize, nullable: bool| {
        places.into_iter().map(move |(mut column, place)| {
            column.value = column.value.take().zip(place).map(|(value, place)| {
                let data_type = value.data_type;
                Expr::column(by + place, data_type.with_nullable(data_type.nullable || nullable))
            });
            column
        })
    };
    let mut columns: Vec<ScopeColumn> = shifted(left_places, 0, kind.right_outer).collect();
    columns.extend(shifted(right_places, left_width, kind.left_outer));
    let Kind { left_outer, right_outer } = kind;
    let join = Blocking::Join { left, right, condition, left_outer, right_outer };
    let origin = Origin::Blocking(Box::new(join), span);
    (Query { origin, steps: Vec::new(), columns: Vec::new(), width }, Scope { columns })
}

/// The scope of a join's condition: columns as they are before an outer join adds NULLs.
fn unjoined(query: &Query, scope: &Scope) -> Scope {
    let Origin::Blocking(join, _) = &query.origin else { return scope.clone() };
    let Blocking::Join { left, right, .. } = &**join else { return scope.clone() };
    let types: Vec<DataType> =
        left.schema().into_iter().chain(right.schema()).map(|(_, data_type)| data_type).collect();
    let mut scope = scope.clone();
    for column in &mut scope.columns {
        if let Some(Expr { kind: ExprKind::Column(index), data_type }) = &mut column.value {
            *data_type = types[*index];
        }
    }
    scope
}

fn set_condition(query: &mut Query, condition: Expr) {
    if let Origin::Blocking(join, _) = &mut query.origin
        && let Blocking::Join { condition: place, .. } = &mut **join
    {
        *place = Some(condition);
    }
}

/// `USING (names)` and NATURAL: the shared columns come first, once.
fn using(left: Bound, right: Bound, kind: Kind, names: &[Ident], span: Span) -> SqlResult<Bound> {
    let left_count = left.1.columns.len();
    let (mut query, scope) = joined(left, right, kind, None, span);
    let plain = unjoined(&query, &scope);
    let (mut shared, mut equal_columns) = (Vec::new(), Vec::new());
    for name in names {
        let find = |columns: &[ScopeColumn]| {
            columns.iter().position(|column| column.name == name.value && column.named != Named::WithTable)
        };
        let (a, b) = (find(&plain.columns[..left_count]), find(&plain.columns[left_count..]));
        let missing = || {
            SqlDiagnostic::new(span, format!("Column '{}' not found in any table", name.value))
                .with_hint("USING names columns of both sides.")
        };
        let (a, b) = (a.ok_or_else(missing)?, b.ok_or_else(missing)? + left_count);
        let value = |at: usize| plain.columns[at].value.clone().ok_or_else(missing);
        let equal = compare(CompareOp::Equal, value(a)?, value(b)?, span)?;
        equal_columns.push(equal);
        shared.push((a, b));
    }
    if let Some(condition) = logic::joined(Junction::And, equal_columns) {
        set_condition(&mut query, condition);
    }
    let mut columns = Vec::with_capacity(scope.columns.len() + shared.len());
    for (a, b) in &shared {
        let (mut first, second) = (scope.columns[*a].clone(), &scope.columns[*b]);
        first.value = match (kind.left_outer, kind.right_outer) {
            (_, false) => first.value,
            (false, true) => second.value.clone(),
            (true, true) => match (first.value, second.value.clone()) {
                (Some(x), Some(y)) => Some(super::expr::first_present(x, y, span)?),
                _ => None,
            },
        };
        columns.push(ScopeColumn { named: Named::Alone, ..first });
    }
    let of_both = |at: usize| shared.iter().any(|(a, b)| *a == at || *b == at);
    columns.extend(scope.columns.into_iter().enumerate().filter_map(|(at, column)| match column.named {
        _ if !of_both(at) => Some(column),
        // What was one of both sides before goes into the new one.
        Named::Alone => None,
        _ => Some(ScopeColumn { named: Named::WithTable, ..column }),
    }));
    Ok((query, Scope { columns }))
}
