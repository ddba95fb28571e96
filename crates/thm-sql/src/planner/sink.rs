//! The table that INSERT writes → the sink of a job, and whether it takes what the sources give.

use sqlparser::tokenizer::Span;

use super::graph::{Graph, SinkKind, SinkNode, SourceKind, StepNode, TopicSink};
use crate::analyzer::query::Query;
use crate::catalog::{PhysicalColumn, Table};
use crate::connector::Connector;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::format::ValueFormat;
use crate::parser::ast::Insert;

pub(super) fn node(table: &Table, insert: &Insert) -> SqlResult<SinkNode> {
    let mut columns = table.physical.clone();
    let written = |column: &&crate::catalog::MetadataColumn| !column.is_virtual;
    let metadata: Vec<_> = table.metadata.iter().filter(written).collect();
    let place = |key: &str| metadata.iter().position(|column| column.key == key).map(|at| table.physical.len() + at);
    // Values are cast to what the connector takes.
    columns
        .extend(metadata.iter().map(|column| PhysicalColumn { name: column.name.clone(), data_type: column.natural }));
    let all = |except: &[usize]| -> Vec<(usize, String)> {
        let names = table.physical.iter().map(|column| column.name.clone()).enumerate();
        names.filter(|(index, _)| !except.contains(index)).collect()
    };
    let (kind, key) = match &table.connector {
        Connector::UpsertKafka(upsert) => {
            let key = key_fields(table, &table.primary_key, &upsert.prefix);
            let fields = all(if upsert.except_key { &table.primary_key } else { &[] });
            let topic = TopicSink {
                topics: upsert.topics.clone(),
                topic: place("topic"),
                key: Some((upsert.key.clone(), key)),
                value: upsert.value.clone(),
                fields,
                upsert: true,
                partitioner: crate::connector::kafka::Partitioner::Default,
                timestamp: place("timestamp"),
                headers: place("headers"),
            };
            (SinkKind::Topic(Box::new(topic)), table.primary_key.clone())
        }
        Connector::Kafka(kafka) => {
            let key = kafka.key.as_ref().map(|key| (key.format.clone(), key_fields(table, &key.fields, &key.prefix)));
            let left_out = kafka.key.as_ref().filter(|_| kafka.except_key).map_or(&[][..], |key| &key.fields);
            let topic = TopicSink {
                topics: kafka.topics.clone(),
                topic: place("topic"),
                key,
                value: kafka.value.clone(),
                fields: all(left_out),
                upsert: false,
                partitioner: kafka.partitioner,
                timestamp: place("timestamp"),
                headers: place("headers"),
            };
            (SinkKind::Topic(Box::new(topic)), Vec::new())
        }
        Connector::Filesystem(files) => {
            (SinkKind::Files { path: files.path.clone(), format: files.format.clone() }, Vec::new())
        }
        Connector::Print { identifier, standard_error } => {
            let kind = SinkKind::Print { identifier: identifier.clone(), standard_error: *standard_error };
            (kind, table.primary_key.clone())
        }
        Connector::Blackhole => (SinkKind::Blackhole, table.primary_key.clone()),
        Connector::Jdbc(_) => {
            return Err(SqlDiagnostic::new(insert.table.span, "writing to 'jdbc' is not supported")
                .with_hint("Write to an 'upsert-kafka' table, and let a sink connector bring it to the database."));
        }
        Connector::Datagen(_) => {
            return Err(SqlDiagnostic::new(
                insert.table.span,
                format!("'{}' can only be used as a source", table.name),
            )
            .with_hint("Write to another table."));
        }
    };
    let (table_name, path) = (table.name.clone(), table.path.to_string());
    let order = order(table);
    Ok(SinkNode { table: table_name, path, kind, columns, order, key, drop_nulls: false })
}

/// The key's columns under the names that they have in it; one that is named twice gets Flink's name the second time.
fn key_fields(table: &Table, indices: &[usize], prefix: &str) -> Vec<(usize, String)> {
    let mut fields: Vec<(usize, String)> = Vec::with_capacity(indices.len());
    let mut repeated = 0;
    for index in indices {
        let full = &table.physical[*index].name;
        let own = full.strip_prefix(prefix).unwrap_or(full);
        let mut name = own.to_owned();
        while fields.iter().any(|(_, known)| *known == name) {
            name = format!("{own}_${repeated}");
            repeated += 1;
        }
        fields.push((*index, name));
    }
    fields
}

/// For the n-th column that INSERT fills: its index among physical and written metadata columns.
fn order(table: &Table) -> Vec<usize> {
    let physical = table.physical.len();
    let written: Vec<usize> = (0..table.metadata.len()).filter(|at| !table.metadata[*at].is_virtual).collect();
    let place = |(index, _): (usize, PhysicalColumn)| match index.checked_sub(physical) {
        None => index,
        Some(metadata) => physical + written.iter().position(|at| *at == metadata).unwrap_or(0),
    };
    table.sink_columns().into_iter().map(place).collect()
}

/// Where the n-th column that INSERT fills is among the sink's columns.
pub(super) fn place_of(sink: &SinkNode, target: usize) -> usize {
    sink.order.get(target).copied().unwrap_or(target)
}

/// A sink that takes inserts alone, or needs old rows, and sources with updates and deletes.
pub(super) fn check_changes(graph: &mut Graph, span: Span) -> SqlResult<()> {
    let Graph { branches, sink, .. } = graph;
    let (takes_changes, needs_old) = match &sink.kind {
        SinkKind::Topic(topic) if topic.upsert => (true, false),
        SinkKind::Topic(topic) => (topic.value.kind == ValueFormat::DebeziumJson, true),
        SinkKind::Files { .. } => (false, false),
        SinkKind::Print { .. } | SinkKind::Blackhole | SinkKind::Collect(_) => (true, true),
    };
    for branch in branches.iter_mut().filter(|branch| branch.source.changes()) {
        let fields: Vec<&str> = branch.source.fields.iter().map(|field| field.name.as_str()).collect();
        if !takes_changes {
            let upsert = matches!(&branch.source.kind, SourceKind::Topics(topics) if topics.upsert);
            let node = if upsert {
                let key = branch.source.fields.iter().filter(|field| field.place == crate::format::Place::Key);
                let key: Vec<&str> = key.map(|field| field.name.as_str()).collect();
                format!("ChangelogNormalize(key=[{}])", key.join(", "))
            } else {
                format!(
                    "TableSourceScan(table=[[default_catalog, default_database, {}]], fields=[{}])",
                    branch.source.table,
                    fields.join(", ")
                )
            };
            let message = format!(
                "Table sink '{}' doesn't support consuming update and delete changes which is produced by node {node}",
                sink.path
            );
            return Err(
                SqlDiagnostic::new(span, message).with_hint("Write to an 'upsert-kafka' table with a PRIMARY KEY.")
            );
        }
        // Files give old rows in any case.
        let SourceKind::Topics(topics) = &mut branch.source.kind else { continue };
        // Without the key's columns in the source's key, changes are followed by the old row; and what a row was unnested
        // to can only be taken back from it.
        let unnests = branch.steps.iter().any(|step| matches!(step, StepNode::Unnest { .. }));
        let in_key = |name: &String| {
            branch.source.fields.iter().any(|field| field.place == crate::format::Place::Key && field.name == *name)
        };
        // A tombstone of another key does not say which row of the sink's it ends.
        let foreign = topics.upsert && !branch.key_sources.iter().all(in_key);
        topics.retract = needs_old || unnests || foreign || branch.key_sources.is_empty();
    }
    Ok(())
}

/// Flink's words for a query that does not fit its sink.
pub(super) fn mismatch(table: &Table, insert: &Insert, query: &Query, cause: &str) -> SqlDiagnostic {
    let shown = |(name, value): &(String, Option<crate::expr::Expr>)| match value {
        Some(value) => format!("{name}: {}", value.data_type),
        None => format!("{name}: TIMESTAMP_LTZ(3) NOT NULL *PROCTIME*"),
    };
    let mut query = query.clone();
    query.unique_names();
    let given: Vec<String> = query.columns.iter().map(shown).collect();
    let wanted: Vec<String> =
        table.sink_columns().iter().map(|(_, column)| format!("{}: {}", column.name, column.data_type)).collect();
    let message = format!(
        "Column types of query result and sink for '{}' do not match.\nCause: {cause}\n\nQuery schema: [{}]\nSink schema:  [{}]",
        table.path,
        given.join(", "),
        wanted.join(", ")
    );
    SqlDiagnostic::new(insert.span, message).with_hint("Select one value per column, and CAST where the types differ.")
}
