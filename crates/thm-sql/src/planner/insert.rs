//! One INSERT → the graph of its job.

use sqlparser::tokenizer::Span;

use super::flatten::{self, Leaf, Line};
use super::graph::{
    Branch, Collected, ErrorPolicy, Feed, Graph, LookupNode, SinkKind, SinkNode, SourceKind, SourceNode, StepNode,
    TopicSource,
};
use super::{CompileContext, sink};
use crate::analyzer::call;
use crate::analyzer::query::{Binder, Lookup, Query, Step};
use crate::catalog::{Catalog, PhysicalColumn, Table};
use crate::connector::Connector;
use crate::connector::jdbc::JdbcTable;
use crate::connector::kafka::Startup;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::{Expr, ExprKind};
use crate::format::{Field, JsonOptions, Place, TimestampFormat, ValueFormat};
use crate::parser::ast::Insert;
use crate::parser::hints::Hints;
use crate::types::{LogicalType, coerce};

/// As Debezium writes: nothing is skipped, times are ISO-8601.
fn lookup_options() -> JsonOptions {
    JsonOptions { timestamps: TimestampFormat::Iso, ..JsonOptions::default() }
}

/// What the session's options say about jobs.
pub(super) struct JobOptions {
    pub errors: ErrorPolicy,
    pub drop_nulls: bool,
}

pub(super) fn graph(
    catalog: &Catalog,
    hints: &Hints,
    insert: &Insert,
    context: &CompileContext,
    options: JobOptions,
) -> SqlResult<Graph> {
    let table = catalog.sink(&insert.table, &hints.options(insert.table.span))?;
    if let Some((column, _)) = insert.partition.first() {
        let message =
            format!("Table '{}' is not partitioned: column '{column}' cannot be a static partition", table.path);
        return Err(SqlDiagnostic::new(column.span, message)
            .with_hint("Leave PARTITION out and select the constant as a column."));
    }
    let query = Binder::new(catalog, hints).query(&insert.query)?;
    let targets = targets(&table, insert, &query)?;
    let mut sink = sink::node(&table, insert)?;
    sink.drop_nulls = options.drop_nulls;
    let mut graph = Graph { branches: Vec::new(), lookups: Vec::new(), sink, errors: options.errors };
    for line in flatten::lines(query)? {
        let values = values(&graph.sink, &targets, &line);
        add_branch(&mut graph, line, values, insert.span, context)?;
    }
    sink::check_changes(&mut graph, insert.table.span)?;
    mark_needed(&mut graph);
    Ok(graph)
}

/// A query whose rows are collected.
pub(super) fn select(query: Query, collected: Collected, context: &CompileContext) -> SqlResult<Graph> {
    let columns: Vec<PhysicalColumn> =
        query.schema().into_iter().map(|(name, data_type)| PhysicalColumn { name, data_type }).collect();
    let targets: Vec<usize> = (0..columns.len()).collect();
    let sink = SinkNode {
        table: "client".to_owned(),
        path: "client".to_owned(),
        kind: SinkKind::Collect(collected),
        columns,
        order: targets.clone(),
        key: Vec::new(),
        drop_nulls: false,
    };
    let mut graph = Graph { branches: Vec::new(), lookups: Vec::new(), sink, errors: ErrorPolicy::default() };
    for line in flatten::lines(query)? {
        let values = values(&graph.sink, &targets, &line);
        add_branch(&mut graph, line, values, Span::empty(), context)?;
    }
    sink::check_changes(&mut graph, Span::empty())?;
    mark_needed(&mut graph);
    Ok(graph)
}

/// For each column of the query, the sink's column that takes it.
fn targets(table: &Table, insert: &Insert, query: &Query) -> SqlResult<Vec<usize>> {
    let columns = table.sink_columns();
    let targets: SqlResult<Vec<usize>> = if insert.columns.is_empty() {
        Ok((0..columns.len()).collect())
    } else {
        let find = |name: &sqlparser::ast::Ident| {
            columns.iter().position(|(_, column)| column.name == name.value).ok_or_else(|| {
                SqlDiagnostic::new(name.span, format!("Unknown target column '{}'", name.value))
                    .with_hint("Name columns of the table that are not computed.")
            })
        };
        insert.columns.iter().map(find).collect()
    };
    let targets = targets?;
    if let Some((at, column)) = insert.columns.iter().enumerate().find(|(at, _)| targets[..*at].contains(&targets[*at]))
    {
        let message = format!("Target column '{}' is assigned more than once", insert.columns[at].value);
        return Err(SqlDiagnostic::new(column.span, message));
    }
    if targets.len() != query.columns.len() {
        return Err(sink::mismatch(table, insert, query, "Different number of columns."));
    }
    let mut left_out =
        columns.iter().enumerate().filter(|(at, _)| !targets.contains(at)).map(|(_, (_, column))| column);
    if let Some(column) = left_out.find(|column| !column.data_type.nullable) {
        let span = insert.columns.first().map_or(Span::empty(), |name| name.span);
        let message = format!("Column '{}' has no default value and does not allow NULLs", column.name);
        return Err(SqlDiagnostic::new(span, message).with_hint("Name it in the list of columns, and give it a value."));
    }
    for (position, (target, (_, data_type))) in targets.iter().zip(query.schema()).enumerate() {
        let (_, column) = &columns[*target];
        if !coerce::implicit_cast(data_type.kind, column.data_type.kind) {
            let cause = format!("Incompatible types for sink column '{}' at position {position}.", column.name);
            return Err(sink::mismatch(table, insert, query, &cause));
        }
    }
    Ok(targets)
}

/// A branch's columns in the order and types of the sink's.
fn values(sink: &SinkNode, targets: &[usize], line: &Line) -> Vec<Expr> {
    let mut values: Vec<Option<Expr>> = vec![None; sink.columns.len()];
    for (target, (_, value)) in targets.iter().zip(&line.columns) {
        let value = call::now_where_none(value.clone());
        let place = sink::place_of(sink, *target);
        values[place] = Some(value.cast(sink.columns[place].data_type.kind));
    }
    let filled = values.into_iter().zip(&sink.columns);
    filled.map(|(value, column)| value.unwrap_or_else(|| Expr::null(column.data_type.kind))).collect()
}

fn add_branch(graph: &mut Graph, line: Line, values: Vec<Expr>, span: Span, context: &CompileContext) -> SqlResult<()> {
    let source = source(&line.leaf, span)?;
    let mut steps = Vec::with_capacity(line.steps.len());
    for step in line.steps {
        steps.push(match step {
            Step::Filter(condition) => StepNode::Filter(condition),
            Step::Lookup(lookup) => {
                graph.lookups.push(lookup_node(&lookup, &source, context)?);
                StepNode::Lookup(graph.lookups.len() - 1)
            }
            Step::Subquery(subquery) => return Err(subquery.refused()),
            Step::Unnest(unnest) => StepNode::Unnest {
                collection: unnest.collection,
                types: unnest.types,
                ordinality: unnest.ordinality,
                outer: unnest.outer,
            },
        });
    }
    let key_sources = if source.changes() { key_sources(&graph.sink, &values, &line.leaf) } else { Vec::new() };
    graph.branches.push(Branch { source, steps, values, key_sources });
    Ok(())
}

fn source(leaf: &Leaf, span: Span) -> SqlResult<SourceNode> {
    let table = match leaf {
        Leaf::Values { types, rows } => {
            let kind = SourceKind::Values { types: types.clone(), rows: rows.clone() };
            let field = |data_type: &crate::types::DataType| Field {
                name: String::new(),
                kind: data_type.kind,
                needed: true,
                place: Place::Value,
            };
            let fields = types.iter().map(field).collect();
            return Ok(SourceNode { table: "values".to_owned(), kind, fields });
        }
        Leaf::Scan(table) => table,
    };
    let mut fields = fields(table);
    let kind = match &table.connector {
        Connector::Kafka(kafka) => {
            if let Some(key) = &kafka.key {
                for index in &key.fields {
                    // A column in both is the value's, as in Flink.
                    if kafka.except_key {
                        fields[*index].place = Place::Key;
                        fields[*index].name = strip(&fields[*index].name, &key.prefix);
                    }
                }
            }
            SourceKind::Topics(Box::new(TopicSource {
                topics: kafka.topics.clone(),
                value: kafka.value.clone(),
                key: kafka.key.as_ref().map(|key| key.format.clone()),
                key_fields: kafka.key.as_ref().map_or_else(Vec::new, |key| key.fields.clone()),
                startup: kafka.startup.clone(),
                stop: kafka.stop.clone(),
                upsert: false,
                key_in_value: false,
                retract: false,
            }))
        }
        Connector::UpsertKafka(upsert) => {
            for index in &table.primary_key {
                fields[*index].place = Place::Key;
                fields[*index].name = strip(&fields[*index].name, &upsert.prefix);
            }
            SourceKind::Topics(Box::new(TopicSource {
                topics: upsert.topics.clone(),
                value: upsert.value.clone(),
                key: Some(upsert.key.clone()),
                key_fields: table.primary_key.clone(),
                startup: Startup::Earliest,
                stop: upsert.stop.clone(),
                upsert: true,
                key_in_value: !upsert.except_key,
                retract: false,
            }))
        }
        Connector::Filesystem(files) => SourceKind::Files { path: files.path.clone(), format: files.format.clone() },
        Connector::Datagen(datagen) => SourceKind::Datagen(datagen.clone()),
        Connector::Jdbc(_) => {
            let message = format!("reading '{}': 'jdbc' is supported in look-ups only", table.name);
            return Err(SqlDiagnostic::new(span, message).with_hint(
                "Read the topic of its changes with the connector 'kafka' and the format 'debezium-json'.",
            ));
        }
        Connector::Print { .. } | Connector::Blackhole => {
            return Err(SqlDiagnostic::new(span, format!("'{}' can only be used as a sink", table.name)));
        }
    };
    Ok(SourceNode { table: table.name.clone(), kind, fields })
}

fn strip(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}

fn fields(table: &Table) -> Vec<Field> {
    let physical = table.physical.iter().map(|column| Field {
        name: column.name.clone(),
        kind: column.data_type.kind,
        needed: false,
        place: Place::Value,
    });
    let metadata = table.metadata.iter().map(|column| Field {
        name: column.name.clone(),
        kind: column.natural.kind,
        needed: false,
        place: Place::Metadata(column.key.clone()),
    });
    physical.chain(metadata).collect()
}

fn lookup_node(lookup: &Lookup, source: &SourceNode, context: &CompileContext) -> SqlResult<LookupNode> {
    let Connector::Jdbc(jdbc) = &lookup.table.connector else {
        return Err(SqlDiagnostic::new(lookup.span, "only 'jdbc' tables can be looked up"));
    };
    let mut fields = fields(&lookup.table);
    for (field, column) in fields.iter_mut().zip(&jdbc.columns) {
        field.name.clone_from(column);
    }
    let feed = match captured(jdbc, source, context, lookup.span)? {
        Some((captured, topic)) => Feed::Topic { captured, topic, options: lookup_options() },
        None => database(lookup, jdbc)?,
    };
    Ok(LookupNode {
        table: lookup.table.name.clone(),
        feed,
        fields,
        keys: lookup.keys.clone(),
        table_keys: lookup.table_keys.clone(),
        residual: lookup.residual.clone(),
        outer: lookup.outer,
    })
}

/// A look-up that asks the database for plain columns.
fn database(lookup: &Lookup, jdbc: &JdbcTable) -> SqlResult<Feed> {
    let mut keys = Vec::with_capacity(lookup.table_keys.len());
    for key in &lookup.table_keys {
        let mut plain = key;
        while let ExprKind::Cast { input, .. } = &plain.kind {
            plain = input;
        }
        let same =
            |a: LogicalType, b: LogicalType| a == b || a.is_text() && b.is_text() || a.is_numeric() && b.is_numeric();
        let comparable = same(plain.data_type.kind, key.data_type.kind) || plain.data_type.kind.is_timestamp();
        match plain.kind {
            ExprKind::Column(index) if comparable && !key.data_type.kind.is_binary() => {
                keys.push((index, key.data_type.kind));
            }
            _ => {
                let message = format!(
                    "Temporal table join requires an equality condition on fields of table [{}].",
                    lookup.table.path
                );
                return Err(SqlDiagnostic::new(lookup.span, message).with_hint(
                    "The database is asked for a column by its own value: declare both columns with one type, and compare \
                     the column itself.",
                ));
            }
        }
    }
    let unreadable = |kind: LogicalType| match kind {
        LogicalType::Array(element) => element.kind.is_nested(),
        kind => kind.is_nested(),
    };
    if let Some(column) = lookup.table.physical.iter().find(|column| unreadable(column.data_type.kind)) {
        let message = format!("column '{}' of type {} cannot be read by a look-up", column.name, column.data_type.kind);
        return Err(SqlDiagnostic::new(lookup.span, message).with_hint("Declare it as STRING, or leave it out."));
    }
    Ok(Feed::Database { jdbc: Box::new(jdbc.clone()), hint: lookup.hint.clone(), keys })
}

/// `schema.table` and topic of the captured table behind a look-up; none where the database has to be asked.
fn captured(
    jdbc: &JdbcTable,
    source: &SourceNode,
    context: &CompileContext,
    span: Span,
) -> SqlResult<Option<(String, String)>> {
    let Some(table) = &jdbc.table else { return Ok(None) };
    if !context.sources.is_empty() {
        let schema = jdbc.schema.as_ref().or(jdbc.address.schema.as_ref()).map_or("public", String::as_str);
        let mut sources = context.sources.iter().filter(|source| source.database == jdbc.address.database);
        let topic = sources.find_map(|source| (source.topic)(schema, table));
        return Ok(topic.map(|topic| (format!("{schema}.{table}"), topic)));
    }
    if context.captured.is_empty() {
        let stream = match (&source.kind, source.topics()) {
            (SourceKind::Topics(topics), [only]) if topics.value.kind == ValueFormat::DebeziumJson => only.as_str(),
            _ => return Ok(None),
        };
        let mut parts = stream.rsplitn(3, '.').skip(1);
        let (stream_schema, prefix) = (parts.next(), parts.next());
        let (Some(stream_schema), Some(prefix)) = (stream_schema, prefix) else { return Ok(None) };
        let schema = jdbc.schema.as_deref().unwrap_or(stream_schema);
        return Ok(Some((format!("{schema}.{table}"), format!("{prefix}.{schema}.{table}"))));
    }
    let named = |known: &&super::CapturedTable| {
        known.table == *table && jdbc.schema.as_ref().is_none_or(|schema| *schema == known.schema)
    };
    let mut found: Vec<_> = context.captured.iter().filter(named).collect();
    if found.len() > 1 {
        found.retain(|known| known.schema == "public");
    }
    match found.as_slice() {
        [only] => Ok(Some((format!("{}.{}", only.schema, only.table), only.topic.clone()))),
        [] => Ok(None),
        _ => Err(SqlDiagnostic::new(span, format!("table '{table}' of the look-up is captured in several schemas"))
            .with_hint("Write the schema before it in 'table-name'.")),
    }
}

/// Names of the source's columns that the sink's key and topic are made of, if they are made of plain columns alone.
fn key_sources(sink: &SinkNode, values: &[Expr], leaf: &Leaf) -> Vec<String> {
    let Leaf::Scan(source) = leaf else { return Vec::new() };
    let column = |index: &usize| {
        let mut value = &values[*index];
        while let ExprKind::Cast { input, .. } = &value.kind {
            value = input;
        }
        match value.kind {
            ExprKind::Column(column) => source.physical.get(column).map(|column| column.name.clone()),
            _ => None,
        }
    };
    let read = |index: &usize| {
        let mut columns = Vec::new();
        values[*index].columns(&mut columns);
        sink.key.contains(index) || !columns.is_empty()
    };
    let found: Option<Vec<String>> = sink.identity().filter(read).map(|index| column(&index)).collect();
    found.unwrap_or_default()
}

/// Marks the columns that anything reads, so that the others are not decoded.
fn mark_needed(graph: &mut Graph) {
    let Graph { branches, lookups, .. } = graph;
    for branch in branches {
        let mut used = Vec::new();
        branch.values.iter().for_each(|value| value.columns(&mut used));
        for step in &branch.steps {
            match step {
                StepNode::Filter(condition) => condition.columns(&mut used),
                StepNode::Lookup(index) => {
                    let lookup = &lookups[*index];
                    lookup.keys.iter().for_each(|key| key.columns(&mut used));
                    lookup.residual.iter().for_each(|residual| residual.columns(&mut used));
                }
                StepNode::Unnest { collection, .. } => collection.columns(&mut used),
            }
        }
        mark(branch, lookups, &used);
    }
    for lookup in lookups {
        let mut own = Vec::new();
        lookup.table_keys.iter().for_each(|key| key.columns(&mut own));
        own.into_iter().for_each(|index| lookup.fields[index].needed = true);
    }
}

/// Marks columns of a branch by their index behind its last step.
fn mark(branch: &mut Branch, lookups: &mut [LookupNode], used: &[usize]) {
    for index in used {
        let mut at = *index;
        if let Some(field) = branch.source.fields.get_mut(at) {
            field.needed = true;
            continue;
        }
        at -= branch.source.fields.len();
        for step in &branch.steps {
            let width = match step {
                StepNode::Filter(_) => 0,
                StepNode::Lookup(lookup) => lookups[*lookup].fields.len(),
                StepNode::Unnest { types, .. } => types.len(),
            };
            if at < width {
                if let StepNode::Lookup(lookup) = step {
                    lookups[*lookup].fields[at].needed = true;
                }
                break;
            }
            at -= width;
        }
    }
}
