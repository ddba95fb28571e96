//! One INSERT → the graph of its job.

use std::sync::Arc;

use sqlparser::tokenizer::Span;

use super::{CompileContext, Graph, LookupNode, SinkNode, SourceNode, StepNode};
use crate::analyzer::query::{self, Lookup, Origin, Query, Step};
use crate::catalog::{Catalog, Table};
use crate::connector::Connector;
use crate::connector::jdbc::JdbcTable;
use crate::connector::kafka::{KafkaTable, ValueFormat};
use crate::error::{SqlDiagnostic, SqlResult};
use crate::expr::{Expr, ExprKind};
use crate::format::{Field, JsonOptions, TimestampFormat};
use crate::parser::ast::Insert;
use crate::types::coerce;

/// As Debezium writes: nothing is skipped, times are ISO-8601.
const LOOKUP_OPTIONS: JsonOptions = JsonOptions {
    ignore_parse_errors: false,
    fail_on_missing_field: false,
    plain_decimals: false,
    ignore_null_fields: false,
    timestamps: TimestampFormat::Iso,
};

pub(super) fn graph(catalog: &Catalog, insert: &Insert, context: &CompileContext) -> SqlResult<Graph> {
    let table = catalog.get(&insert.table.value, insert.table.span)?;
    let query = query::query(catalog, &insert.query)?;
    let (source_table, kafka) = source_of(&query, insert)?;
    let mut sink = sink(&table, insert, &query)?;
    if kafka.format == ValueFormat::DebeziumJson && sink.key.is_empty() {
        let message = format!(
            "Table sink 'default_catalog.default_database.{}' doesn't support consuming update and delete changes which is produced by node \
             TableSourceScan(table=[[default_catalog, default_database, {}]])",
            table.name, source_table.name
        );
        return Err(SqlDiagnostic::new(insert.table.span, message)
            .with_hint("Write to an 'upsert-kafka' table with a PRIMARY KEY."));
    }
    let mut lookups = Vec::new();
    let mut steps = Vec::new();
    for step in &query.steps {
        steps.push(match step {
            Step::Filter(condition) => StepNode::Filter(condition.clone()),
            Step::Lookup(lookup) => {
                lookups.push(lookup_node(lookup, &kafka.topic, context)?);
                StepNode::Lookup(lookups.len() - 1)
            }
        });
    }
    sink.key_sources = key_sources(&sink, &source_table, insert)?;
    let startup = kafka.startup.ok_or_else(|| {
        SqlDiagnostic::new(insert.span, format!("table '{}' is read, but has no 'scan.startup.mode'", source_table.name))
            .with_hint("Add 'scan.startup.mode' = 'earliest-offset' or 'latest-offset' to its WITH clause; consumer groups do not say where a job starts here.")
    })?;
    let mut source = SourceNode {
        table: source_table.name.clone(),
        topic: kafka.topic.clone(),
        format: kafka.format,
        options: kafka.json,
        fields: fields(&source_table, |column| column.to_owned()),
        startup,
    };
    mark_needed(&mut source, &mut lookups, &steps, &sink);
    Ok(Graph { source, steps, lookups, sink })
}

/// The `kafka` table that the query reads.
fn source_of(query: &Query, insert: &Insert) -> SqlResult<(Arc<Table>, KafkaTable)> {
    let Origin::Scan(table) = &query.origin else {
        return Err(SqlDiagnostic::new(insert.span, "INSERT of constants is not supported yet")
            .with_hint("Select from a table of the connector 'kafka'."));
    };
    match &table.connector {
        Connector::Kafka(kafka) => Ok((Arc::clone(table), kafka.clone())),
        Connector::UpsertKafka(_) => {
            let message = format!("reading '{}': 'upsert-kafka' is not supported as a source yet", table.name);
            Err(SqlDiagnostic::new(insert.span, message).with_hint("Read it with the connector 'kafka'."))
        }
        Connector::Jdbc(_) => {
            let message = format!("reading '{}': 'jdbc' is supported in look-ups only", table.name);
            Err(SqlDiagnostic::new(insert.span, message)
                .with_hint("Read the topic of its changes with the connector 'kafka' and the format 'debezium-json'."))
        }
    }
}

fn fields(table: &Table, name: impl Fn(&str) -> String) -> Vec<Field> {
    let field = |column: &crate::catalog::PhysicalColumn| Field {
        name: name(&column.name),
        kind: column.data_type.kind,
        needed: false,
    };
    table.physical.iter().map(field).collect()
}

fn sink(table: &Table, insert: &Insert, query: &Query) -> SqlResult<SinkNode> {
    let values = values(table, insert, query)?;
    let (topic, key, key_options, value_options, except_key) = match &table.connector {
        Connector::UpsertKafka(upsert) => {
            (upsert.topic.clone(), table.primary_key.clone(), upsert.key, upsert.value, upsert.except_key)
        }
        Connector::Kafka(kafka) if kafka.format == ValueFormat::Json => {
            (kafka.topic.clone(), Vec::new(), kafka.json, kafka.json, false)
        }
        Connector::Kafka(_) => {
            return Err(SqlDiagnostic::new(
                insert.table.span,
                "writing the format 'debezium-json' is not supported yet",
            )
            .with_hint("Write to an 'upsert-kafka' table."));
        }
        Connector::Jdbc(_) => {
            return Err(SqlDiagnostic::new(insert.table.span, "writing to 'jdbc' is not supported")
                .with_hint("Write to an 'upsert-kafka' table, and let a sink connector bring it to the database."));
        }
    };
    let columns = table.physical.clone();
    let table = table.name.clone();
    Ok(SinkNode { table, topic, columns, values, key, key_options, value_options, except_key, key_sources: Vec::new() })
}

/// The query's columns in the order and types of the sink's.
fn values(table: &Table, insert: &Insert, query: &Query) -> SqlResult<Vec<Expr>> {
    let given: SqlResult<Vec<Expr>> = query
        .columns
        .iter()
        .map(|(name, value)| {
            value.clone().ok_or_else(|| {
                SqlDiagnostic::new(insert.span, format!("'{name}' is PROCTIME(), which differs with every run"))
                    .with_hint("Leave it out of the SELECT.")
            })
        })
        .collect();
    let given = given?;
    let targets: SqlResult<Vec<usize>> = if insert.columns.is_empty() {
        Ok((0..table.physical.len()).collect())
    } else {
        let find = |name: &sqlparser::ast::Ident| {
            table
                .physical
                .iter()
                .position(|column| column.name == name.value)
                .ok_or_else(|| SqlDiagnostic::new(name.span, format!("Unknown target column '{}'", name.value)))
        };
        insert.columns.iter().map(find).collect()
    };
    let targets = targets?;
    if targets.len() != given.len() {
        return Err(mismatch(table, insert, query, "Different number of columns."));
    }
    let mut values: Vec<Option<Expr>> = vec![None; table.physical.len()];
    for (position, (target, value)) in targets.iter().zip(given).enumerate() {
        let column = &table.physical[*target];
        if !coerce::implicit_cast(value.data_type.kind, column.data_type.kind) {
            let cause = format!("Incompatible types for sink column '{}' at position {position}.", column.name);
            return Err(mismatch(table, insert, query, &cause));
        }
        values[*target] = Some(value.cast(column.data_type.kind));
    }
    let filled = values.into_iter().zip(&table.physical);
    Ok(filled.map(|(value, column)| value.unwrap_or_else(|| Expr::null(column.data_type.kind))).collect())
}

fn mismatch(table: &Table, insert: &Insert, query: &Query, cause: &str) -> SqlDiagnostic {
    let shown = |value: &Option<Expr>| {
        value
            .as_ref()
            .map_or_else(|| "TIMESTAMP_LTZ(3) NOT NULL *PROCTIME*".to_owned(), |value| value.data_type.to_string())
    };
    let given: Vec<String> = query.columns.iter().map(|(name, value)| format!("{name}: {}", shown(value))).collect();
    let wanted: Vec<String> =
        table.physical.iter().map(|column| format!("{}: {}", column.name, column.data_type)).collect();
    let message = format!(
        "Column types of query result and sink for 'default_catalog.default_database.{}' do not match.\nCause: {cause}\n\nQuery schema: [{}]\nSink schema:  [{}]",
        table.name,
        given.join(", "),
        wanted.join(", ")
    );
    SqlDiagnostic::new(insert.span, message).with_hint("Select one value per column, and CAST where the types differ.")
}

fn lookup_node(lookup: &Lookup, stream_topic: &str, context: &CompileContext) -> SqlResult<LookupNode> {
    let Connector::Jdbc(jdbc) = &lookup.table.connector else {
        return Err(SqlDiagnostic::new(lookup.span, "only 'jdbc' tables can be looked up"));
    };
    let (captured, topic) = captured(jdbc, stream_topic, context, lookup.span)?;
    let mut fields = fields(&lookup.table, |column| column.to_owned());
    for (field, column) in fields.iter_mut().zip(&jdbc.columns) {
        field.name.clone_from(column);
    }
    Ok(LookupNode {
        table: lookup.table.name.clone(),
        captured,
        topic,
        fields,
        options: LOOKUP_OPTIONS,
        keys: lookup.keys.clone(),
        table_keys: lookup.table_keys.clone(),
        residual: lookup.residual.clone(),
        outer: lookup.outer,
    })
}

/// `schema.table` and topic of the captured table behind a look-up.
fn captured(jdbc: &JdbcTable, stream_topic: &str, context: &CompileContext, span: Span) -> SqlResult<(String, String)> {
    if context.captured.is_empty() {
        let mut parts = stream_topic.rsplitn(3, '.').skip(1);
        let (schema, prefix) = (parts.next(), parts.next());
        let (Some(stream_schema), Some(prefix)) = (schema, prefix) else {
            let message = format!(
                "topic '{stream_topic}' is not <prefix>.<schema>.<table>, so the topic of '{}' is not known",
                jdbc.table
            );
            return Err(
                SqlDiagnostic::new(span, message).with_hint("Let a source capture the table that is looked up.")
            );
        };
        let schema = jdbc.schema.as_deref().unwrap_or(stream_schema);
        return Ok((format!("{schema}.{}", jdbc.table), format!("{prefix}.{schema}.{}", jdbc.table)));
    }
    let named = |table: &&super::CapturedTable| {
        table.table == jdbc.table && jdbc.schema.as_ref().is_none_or(|schema| *schema == table.schema)
    };
    let mut found: Vec<_> = context.captured.iter().filter(named).collect();
    if found.len() > 1 {
        found.retain(|table| table.schema == "public");
    }
    match found.as_slice() {
        [only] => Ok((format!("{}.{}", only.schema, only.table), only.topic.clone())),
        _ => {
            Err(SqlDiagnostic::new(span, format!("table '{}' of the look-up is not captured by a source", jdbc.table))
                .with_hint(
                    "Add it to the source's table.include.list; look-ups that ask the database are not supported yet.",
                ))
        }
    }
}

/// Names of the source's columns that make the record's key. They must be plain columns, for of a deleted row only
/// the key is known.
fn key_sources(sink: &SinkNode, source: &Table, insert: &Insert) -> SqlResult<Vec<String>> {
    let mut out = Vec::new();
    for index in &sink.key {
        let mut value = &sink.values[*index];
        while let ExprKind::Cast { input, .. } = &value.kind {
            value = input;
        }
        match value.kind {
            ExprKind::Column(column) if column < source.physical.len() => {
                out.push(source.physical[column].name.clone());
            }
            _ => {
                let name = &sink.columns[*index].name;
                let message = format!("key column '{name}' is not a column of '{}'", source.name);
                return Err(SqlDiagnostic::new(insert.span, message).with_hint(
                    "Fill the PRIMARY KEY with columns of the stream: of a deleted row nothing else is known.",
                ));
            }
        }
    }
    Ok(out)
}

/// Marks the columns that anything reads, so that the others are not decoded.
fn mark_needed(source: &mut SourceNode, lookups: &mut [LookupNode], steps: &[StepNode], sink: &SinkNode) {
    let mut used = Vec::new();
    sink.values.iter().for_each(|value| value.columns(&mut used));
    for step in steps {
        match step {
            StepNode::Filter(condition) => condition.columns(&mut used),
            StepNode::Lookup(index) => {
                let lookup = &lookups[*index];
                lookup.keys.iter().for_each(|key| key.columns(&mut used));
                lookup.residual.iter().for_each(|residual| residual.columns(&mut used));
            }
        }
    }
    let mut fields: Vec<&mut Field> = source.fields.iter_mut().collect();
    for lookup in lookups {
        let mut own = Vec::new();
        lookup.table_keys.iter().for_each(|key| key.columns(&mut own));
        own.iter().for_each(|index| lookup.fields[*index].needed = true);
        fields.extend(lookup.fields.iter_mut());
    }
    for index in used {
        fields[index].needed = true;
    }
}
