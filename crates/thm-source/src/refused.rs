//! Rows that cannot be decoded, for the dead letter queue: with `errors.tolerance=all` they do not stop the task.
//!
//! ```text
//!   row ──Encoder──▶ a value is not of its type ──▶ topic of dead letters: key, what can be read of the row, reason
//!                                                   the row's own topic: nothing
//! ```
//! Invariant: a row goes to one of the two, at its own position, so that after a restart it comes neither twice nor never. A
//! value that is masked or left out of records does not show here either.

use std::sync::Arc;

use thm_api::{Error, ErrorKind, Result, TopicSpec};
use thm_codec::debezium::write_base64;
use thm_codec::java_json::write_string;
use thm_codec::record_batch::HeaderBlock;

use crate::column::{Column, Image};
use crate::encoder::{Encoder, RowChange, RowOrigin};
use crate::notes::Note;
use crate::pgoutput::{Datum, Tuple};
use crate::table::Table;
use crate::types::Cell;

/// Where rows go that cannot be decoded.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    topic: Arc<TopicSpec>,
    /// Whose letters they are.
    connector: Arc<str>,
}

impl DeadLetters {
    /// A connector's, to that topic.
    #[must_use]
    pub fn new(connector: &str, topic: &str) -> Self {
        Self { topic: Arc::new(TopicSpec::new(topic)), connector: connector.into() }
    }

    /// Name of the topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic.name
    }

    /// Takes a change that the encoder failed at. `wanted` is false if the topic has it already.
    ///
    /// # Errors
    /// The failure itself, if it is not about a value, or if some of the change's records are written.
    pub fn take(
        &self,
        encoder: &mut Encoder,
        (relation, change): (u32, &RowChange<'_>),
        origin: &RowOrigin<'_>,
        wanted: bool,
        error: Error,
    ) -> Result<()> {
        let table = encoder.table(relation).map(Arc::clone);
        let Some(table) = table.filter(|_| error.kind() == ErrorKind::SourceDecode) else { return Err(error) };
        if !encoder.leave_out(relation, change, origin.position) {
            return Err(error);
        }
        tracing::warn!(object = error.object(), position = %origin.position, queue = self.topic.name, wanted,
            "row cannot be decoded and goes to the dead letter queue");
        if !wanted {
            return Ok(());
        }
        metrics::counter!("thm_source_dead_letter_rows").increment(1);
        let (key, value) = (key(&table, change), value(&table, change));
        let mut headers = HeaderBlock::default();
        let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        for (name, text) in [
            ("topic", table.topic.name.as_str()),
            ("connector.name", &self.connector),
            ("task.id", "0"),
            ("stage", "SOURCE_DECODE"),
            ("exception.class.name", error.kind().code()),
            ("exception.message", &format!("{}: {reason}", error.object())),
        ] {
            headers.push(&format!("__connect.errors.{name}"), Some(text.as_bytes()));
        }
        let note = Note { topic: &self.topic, key: &key, value: &value };
        encoder.push_note_with(note, &headers, origin.position, origin.now);
        Ok(())
    }
}

/// Old and new row of a change.
const fn rows<'a>(change: &RowChange<'a>) -> (Option<(Image, Tuple<'a>)>, Option<Tuple<'a>>) {
    match change {
        RowChange::Insert(_, new) => (None, Some(*new)),
        RowChange::Update(None, new) => (None, Some(*new)),
        RowChange::Update(Some((image, old)), new) => (Some((Image::of(*image), *old)), Some(*new)),
        RowChange::Delete(image, old) => (Some((Image::of(*image), *old)), None),
        RowChange::Truncate => (None, None),
    }
}

/// The row's key.
fn key(table: &Table, change: &RowChange<'_>) -> Vec<u8> {
    let (old, new) = rows(change);
    let mut out = vec![b'{'];
    if let Some(tuple) = new.or(old.map(|(_, tuple)| tuple)) {
        let columns = table.key.iter().filter_map(|index| Some((*index, table.columns.get(*index)?)));
        for (place, (index, column)) in columns.enumerate() {
            if place > 0 {
                out.push(b',');
            }
            write(column, tuple.values().nth(index).unwrap_or(Datum::Null), Image::Whole, &mut out);
        }
    }
    out.push(b'}');
    out
}

/// What can be read of the change: values that cannot are `{"undecodable":"<base64 of their bytes>"}`.
fn value(table: &Table, change: &RowChange<'_>) -> Vec<u8> {
    let (old, new) = rows(change);
    let mut out = b"{\"table\":".to_vec();
    write_string(&mut out, &table.full_name);
    out.extend_from_slice(b",\"op\":");
    let op = match change {
        RowChange::Insert(op, _) => op.as_str(),
        RowChange::Update(..) => "u",
        RowChange::Delete(..) => "d",
        RowChange::Truncate => "t",
    };
    write_string(&mut out, op);
    for (name, row) in [("before", old), ("after", new.map(|tuple| (Image::Whole, tuple)))] {
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        let Some((image, tuple)) = row else {
            out.extend_from_slice(b"null");
            continue;
        };
        out.push(b'{');
        let start = out.len();
        for (datum, column) in tuple.values().zip(&table.columns).filter(|(_, column)| column.in_rows) {
            if out.len() > start {
                out.push(b',');
            }
            write(column, datum, image, &mut out);
        }
        out.push(b'}');
    }
    out.push(b'}');
    out
}

/// Appends `"name":value`.
fn write(column: &Column, datum: Datum<'_>, image: Image, out: &mut Vec<u8>) {
    out.extend_from_slice(&column.field);
    let start = out.len();
    if column.write(datum, image, Cell { json: out, column: None }).is_ok() {
        return;
    }
    out.truncate(start);
    match datum {
        Datum::Text(bytes) | Datum::Binary(bytes) if column.is_plain() => {
            out.extend_from_slice(b"{\"undecodable\":\"");
            write_base64(out, bytes);
            out.extend_from_slice(b"\"}");
        }
        _ => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use thm_api::{ConnectorConfig, Op, Position};
    use thm_codec::debezium::{Change, ContextHeaders, EnvelopeVersion, EventTime};
    use thm_codec::record_batch::records;

    use super::*;
    use crate::encoder::Rules;
    use crate::options::Options;
    use crate::pgoutput::{Relation, RelationColumn};
    use crate::table::TableFacts;

    fn table(options: &[(&str, &str)]) -> Arc<Table> {
        let base =
            [("database.hostname", "h"), ("database.user", "u"), ("database.dbname", "d"), ("topic.prefix", "pg")];
        let values = base.iter().chain(options).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let options = Options::parse(&ConnectorConfig::new(values.collect())).unwrap();
        let column = |name: &str, type_oid| RelationColumn {
            identity: name == "id",
            name: name.to_owned(),
            type_oid,
            type_modifier: -1,
        };
        let columns = vec![column("id", 23), column("n", 20), column("t", 25)];
        let relation = Relation { oid: 1, schema: "public".to_owned(), name: "t".to_owned(), identity: b'd', columns };
        let facts = TableFacts { key: vec!["id".to_owned()], ..TableFacts::default() };
        Arc::new(Table::new(relation, &facts, &options).unwrap())
    }

    /// A row whose `n` is of three bytes or of eight.
    fn row(id: u8, n: &[u8], text: &[u8]) -> Vec<u8> {
        let mut out = vec![0, 3];
        for value in [&[0, 0, 0, id][..], n, text] {
            out.push(b'b');
            out.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
            out.extend_from_slice(value);
        }
        out
    }

    fn texts(bytes: &bytes::Bytes) -> Vec<(String, String)> {
        let text = |bytes: Option<bytes::Bytes>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
        records(bytes).unwrap().map(|record| record.unwrap()).map(|it| (text(it.key), text(it.value))).collect()
    }

    #[test]
    fn a_bad_row_leaves_the_others_alone() {
        let mut encoder =
            Encoder::new(ContextHeaders::new(EnvelopeVersion::V3_7, false, "pg", 0, "run"), Rules::default());
        encoder.set_table(table(&[])).unwrap();
        let letters = DeadLetters::new("c", "dlq.c");
        let good = [0, 0, 0, 0, 0, 0, 0, 5];
        for (ordinal, n, wanted) in
            [(1, &good[..], true), (2, &[1, 2, 3][..], true), (3, &good[..], true), (4, &[9][..], false)]
        {
            let row = row(ordinal, n, b"x");
            let position = Position::new(thm_api::Lsn(9), ordinal.into());
            let origin = RowOrigin { position, change: Change::default(), now: EventTime(0) };
            let change = RowChange::Insert(Op::Create, Tuple::parse(&row).unwrap());
            match encoder.push(1, change, &origin) {
                Ok(told) => assert!(told && n.len() == 8),
                Err(error) => letters.take(&mut encoder, (1, &change), &origin, wanted, error).unwrap(),
            }
        }
        let appends = encoder.cut().unwrap();
        let rows = texts(&appends[0].batch.bytes);
        assert_eq!(rows.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), [r#"{"id":1}"#, r#"{"id":3}"#]);
        // The columns would lack the first row.
        assert!(appends[0].batch.decoded.is_none());
        let value =
            r#"{"table":"public.t","op":"c","before":null,"after":{"id":2,"n":{"undecodable":"AQID"},"t":"x"}}"#;
        assert_eq!(appends[1].topic.name, "dlq.c");
        assert_eq!(texts(&appends[1].batch.bytes), [(r#"{"id":2}"#.to_owned(), value.to_owned())]);
        let first = records(&appends[1].batch.bytes).unwrap().next().unwrap().unwrap();
        let headers: Vec<_> = first.headers.iter().map(|(name, value)| (name, value.unwrap_or_default())).collect();
        assert_eq!((&headers[1].1[..], &headers[4].1[..]), (&b"c"[..], &b"THM-SRC-007"[..]));
        assert!(String::from_utf8_lossy(&headers[5].1).starts_with("public.t.n of {\"id\":2}: "), "{headers:?}");
    }

    #[test]
    fn what_is_masked_does_not_show() {
        let table = table(&[("column.mask.with.3.chars", "public.t.t")]);
        let row = row(1, &[1], b"\xFFsecret");
        let change = RowChange::Insert(Op::Create, Tuple::parse(&row).unwrap());
        let shown = String::from_utf8(value(&table, &change)).unwrap();
        assert!(shown.contains(r#""t":"***""#) || shown.contains(r#""t":null"#), "{shown}");
    }
}
