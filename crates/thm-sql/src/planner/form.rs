//! What checkpoints keep of a plan, to know later whether their state still fits: a text of our own, then its hash.
//!
//! ```text
//!   key     1 topic, or several or their pattern; of each branch, the columns of the key and of the topic: name, type, expression
//!   lookup  1 topic; fields: name, type, whether it is read, where it is; the table's side of the condition
//!   branch  source; how columns are made up, if they are; fields: name, type; of each step and each column of the sink, the expression
//! ```
//! Invariant: the text says what the state means and nothing of how this program is written; a test holds it. A text of
//! another kind gets another number, and then a checkpoint of before says so by its hash's beginning.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::graph::{Branch, Graph, LookupNode, SinkKind, SourceKind, SourceNode, StepNode};
use crate::connector::datagen::Generator;
use crate::format::Place;

/// Number of the form of these texts.
const VERSION: u32 = 1;

/// Of a text, with the form's number before it.
pub(super) fn hash(text: &str) -> String {
    format!("{VERSION}:{}", hex::encode(&Sha256::digest(text)[..16]))
}

/// Whether a hash is of this form.
pub(crate) fn is_current(hash: &str) -> bool {
    hash.split_once(':').is_some_and(|(version, _)| version == VERSION.to_string())
}

/// What the sink's keys mean.
pub(super) fn key(graph: &Graph) -> String {
    let sink = &graph.sink;
    let mut key: Vec<usize> = sink.key.clone();
    if let SinkKind::Topic(topic) = &sink.kind {
        let written = topic.key.iter().flat_map(|(_, fields)| fields.iter().map(|(index, _)| *index));
        written.chain(topic.topic).for_each(|index| {
            if !key.contains(&index) {
                key.push(index)
            }
        });
    }
    let of_branch = |branch: &Branch| {
        let mut out = "\nbranch".to_owned();
        for index in &key {
            let column = &sink.columns[*index];
            // Writing to a String never fails.
            let _ = write!(out, "\n{} {} = {}", quoted(&column.name), column.data_type, branch.values[*index].form());
        }
        out
    };
    // In whatever order the file has them.
    let mut branches: Vec<String> = graph.branches.iter().map(of_branch).collect();
    branches.sort_unstable();
    sink.place() + &branches.concat()
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// What a look-up's state is.
pub(super) fn lookup(node: &LookupNode) -> String {
    lookup_fed_by(node.topic(), node)
}

/// The same if its database were asked.
pub(super) fn lookup_asked(node: &LookupNode) -> String {
    lookup_fed_by(None, node)
}

fn lookup_fed_by(topic: Option<&str>, node: &LookupNode) -> String {
    let mut out = topic.unwrap_or("(asked)").to_owned();
    for field in &node.fields {
        let place = match &field.place {
            Place::Value => "value".to_owned(),
            Place::Key => "key".to_owned(),
            Place::Metadata(key) => format!("metadata {key}"),
        };
        let read = if field.needed { "read" } else { "unread" };
        let _ = write!(out, "\n{} {} {read} {place}", quoted(&field.name), field.kind);
    }
    for key in &node.table_keys {
        let _ = write!(out, "\nby {}", key.form());
    }
    out
}

/// The rows of a source of constants, as one word.
pub(crate) fn constants(source: &SourceNode) -> String {
    let SourceKind::Values { types, rows } = &source.kind else { return String::new() };
    let mut out = String::new();
    for data_type in types {
        // Writing to a String never fails.
        let _ = write!(out, "\n{data_type}");
    }
    for row in rows {
        out.push_str("\nrow");
        for value in row {
            let _ = write!(out, "\n{}", value.form());
        }
    }
    hex::encode(&Sha256::digest(out)[..8])
}

/// How a column is made up.
fn generator(how: &Generator) -> String {
    match how {
        Generator::Sequence { start, end } => format!("sequence {start} {end}"),
        Generator::Random { min, max, length, varies, null_rate, max_past_ms } => {
            format!("random {min:?} {max:?} {length} {varies} {null_rate} {max_past_ms}")
        }
        Generator::List { element, length, null_rate } => format!("list {length} {null_rate} ({})", generator(element)),
        Generator::Entries { key, value, length, null_rate } => {
            let value = value.as_ref().map_or_else(String::new, |value| generator(value));
            format!("entries {length} {null_rate} ({}) ({value})", generator(key))
        }
        Generator::Row { fields, null_rate } => {
            let fields: Vec<String> = fields.iter().map(generator).collect();
            format!("row {null_rate} ({})", fields.join(") ("))
        }
    }
}

/// Which rows a branch gives.
pub(super) fn branch(branch: &Branch) -> String {
    let mut out = branch.source.place();
    if let SourceKind::Datagen(table) = &branch.source.kind {
        table.fields.iter().for_each(|how| {
            out.push('\n');
            out.push_str(&generator(how));
        });
    }
    for field in &branch.source.fields {
        let _ = write!(out, "\n{} {}", quoted(&field.name), field.kind);
    }
    for step in &branch.steps {
        let _ = match step {
            StepNode::Filter(condition) => write!(out, "\nwhere {}", condition.form()),
            StepNode::Lookup(index) => write!(out, "\nlookup {index}"),
            StepNode::Unnest { collection, .. } => write!(out, "\nunnest {}", collection.form()),
        };
    }
    for value in &branch.values {
        let _ = write!(out, "\n= {}", value.form());
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::CompileContext;

    /// These hashes are in users' checkpoints: another one makes their jobs ask where to start.
    #[test]
    fn the_forms_of_the_enrichment_stay() {
        let text = include_str!("../../../../flink/sql/01_enrich.sql");
        let script = crate::compile("test", text, &CompileContext::default()).unwrap();
        let plan = &script.jobs[0];
        assert_eq!(key(&plan.graph), "thm.enriched.events\nbranch\n`id` BIGINT NOT NULL = $0:BIGINT");
        assert_eq!(
            lookup(&plan.graph.lookups[0]),
            "pg.public.content\n`id` STRING read value\n`slug` STRING unread value\n`title` STRING unread value\n\
             `content_type` STRING read value\n`length_seconds` INT read value\nby $0:STRING NOT NULL"
        );
        assert_eq!(
            (plan.key_hash(), plan.lookup_hash(0)),
            (hash(&key(&plan.graph)), hash(&lookup(&plan.graph.lookups[0])))
        );
        assert!(is_current(&plan.key_hash()) && !is_current("0123456789abcdef0123456789abcdef"));
    }
}
