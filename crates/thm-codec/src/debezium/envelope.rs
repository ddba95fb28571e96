//! The envelope around a row: everything but the row itself.

use thm_api::Op;

use super::schema::{Schema, SchemaKind};
use super::value::{write_int, write_sequence_number};
use crate::java_json::write_string;

/// Whose envelope is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EnvelopeVersion {
    /// Debezium 3.7: `source.origin`, `source.origin_lsn`, context headers.
    #[default]
    V3_7,
    /// Debezium 2.7: without them.
    V2_7,
}

impl EnvelopeVersion {
    /// From the value of the option `thm.envelope`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "3.7" => Some(Self::V3_7),
            "2.7" => Some(Self::V2_7),
            _ => None,
        }
    }

    /// The value of `source.version`: the envelope we write, and us.
    #[must_use]
    pub const fn source_version(self) -> &'static str {
        match self {
            Self::V3_7 => "3.7.0.thm",
            Self::V2_7 => "2.7.3.thm",
        }
    }

    /// What `source.snapshot` may say.
    const fn snapshot_markers(self) -> &'static str {
        match self {
            Self::V3_7 => "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental",
            Self::V2_7 => "true,last,false,incremental",
        }
    }

    /// Whether records carry the `__debezium.context.*` headers.
    #[must_use]
    pub const fn has_context_headers(self) -> bool {
        matches!(self, Self::V3_7)
    }
}

/// The value of `source.snapshot`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnapshotMarker {
    /// The first row of all.
    First,
    /// The first row of a table.
    FirstInDataCollection,
    /// A row in the middle.
    True,
    /// The last row of a table.
    LastInDataCollection,
    /// The last row of all.
    Last,
    /// A streamed row.
    #[default]
    False,
}

impl SnapshotMarker {
    /// As it stands in the envelope.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::FirstInDataCollection => "first_in_data_collection",
            Self::True => "true",
            Self::LastInDataCollection => "last_in_data_collection",
            Self::Last => "last",
            Self::False => "false",
        }
    }
}

/// What `source` says of one change.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change<'a> {
    /// Commit time, or the snapshot's: microseconds since 1970, UTC.
    pub commit_us: i64,
    /// Place in a snapshot.
    pub snapshot: SnapshotMarker,
    /// End LSN of the last commit seen before this change; `None` until there is one.
    pub last_commit: Option<u64>,
    /// LSN of the change itself; for a snapshot its consistent point.
    pub lsn: u64,
    /// Transaction id; 0 for none.
    pub tx_id: u64,
    /// Place in the transaction, and among the changes of the same table in it, where these are told.
    pub order: Option<(u64, u64)>,
    /// Replication origin and the LSN there.
    pub origin: Option<(&'a str, u64)>,
}

/// When an event is made, nanoseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventTime(pub i64);

/// The parts of a table's envelopes that are always the same.
#[derive(Clone, Debug)]
pub struct Envelope {
    version: EnvelopeVersion,
    null_markers: bool,
    /// From `,"source":{` to `"ts_ms":`.
    to_source_time: Vec<u8>,
    /// From `,"db":` to `"sequence":"[`.
    to_sequence: Vec<u8>,
    /// From `,"schema":` to `"txId":`.
    to_tx_id: Vec<u8>,
}

impl Envelope {
    /// `name` is the connector's `topic.prefix`.
    #[must_use]
    pub fn new(version: EnvelopeVersion, name: &str, database: &str, schema: &str, table: &str) -> Self {
        let mut to_source_time = b",\"source\":{\"version\":".to_vec();
        write_string(&mut to_source_time, version.source_version());
        to_source_time.extend_from_slice(b",\"connector\":\"postgresql\",\"name\":");
        write_string(&mut to_source_time, name);
        to_source_time.extend_from_slice(b",\"ts_ms\":");
        let mut to_sequence = b",\"db\":".to_vec();
        write_string(&mut to_sequence, database);
        to_sequence.extend_from_slice(b",\"sequence\":\"[");
        let mut to_tx_id = b",\"schema\":".to_vec();
        write_string(&mut to_tx_id, schema);
        to_tx_id.extend_from_slice(b",\"table\":");
        write_string(&mut to_tx_id, table);
        to_tx_id.extend_from_slice(b",\"txId\":");
        Self { version, null_markers: false, to_source_time, to_sequence, to_tx_id }
    }

    /// Whether `source.snapshot` of a streamed row is null, as it is behind its default `false`.
    #[must_use]
    pub fn with_null_markers(mut self, null_markers: bool) -> Self {
        self.null_markers = null_markers;
        self
    }

    /// Writes up to where the `before` row (or `null`) belongs.
    pub fn open(out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"before\":");
    }

    /// Writes up to where the `after` row (or `null`) belongs.
    pub fn after(out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"after\":");
    }

    /// Writes up to where the `after` row belongs, of a change that shows no row before.
    pub fn open_after(out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"before\":null,\"after\":");
    }

    /// Writes all that follows the `after` row.
    pub fn close(&self, out: &mut Vec<u8>, change: &Change<'_>, op: Op, now: EventTime) {
        self.end(out, change, op.as_str(), now);
    }

    /// Writes the whole envelope of a TRUNCATE: it shows no row.
    pub fn truncate(&self, out: &mut Vec<u8>, change: &Change<'_>, now: EventTime) {
        Self::open(out);
        out.extend_from_slice(b"null");
        Self::after(out);
        out.extend_from_slice(b"null");
        self.end(out, change, "t", now);
    }

    fn end(&self, out: &mut Vec<u8>, change: &Change<'_>, letter: &str, now: EventTime) {
        self.write_source(out, change);
        out.extend_from_slice(b",\"transaction\":");
        write_transaction(out, change);
        out.extend_from_slice(TO_OP);
        write_event(out, letter, now);
    }

    /// As [`Self::close`], faster for changes that follow each other in a transaction or a snapshot: only the LSN is written
    /// anew, into the text of the change before that `tail` keeps.
    pub fn close_like(&self, out: &mut Vec<u8>, tail: &mut EnvelopeTail, change: &Change<'_>, op: Op, now: EventTime) {
        if change.order.is_some() || change.origin.is_some() {
            return self.close(out, change, op, now);
        }
        let of = TailOf { change: (change.commit_us, change.snapshot, change.last_commit, change.tx_id), op, now };
        if tail.of != Some(of) || !tail.name_lsn(change.lsn) {
            tail.write(self, change, of);
        }
        out.extend_from_slice(&tail.text);
    }

    /// Writes `,"source":{…}`.
    pub fn write_source(&self, out: &mut Vec<u8>, change: &Change<'_>) {
        self.source_to_lsn(out, change);
        write_int(out, change.lsn);
        self.source_to_second_lsn(out, change);
        write_int(out, change.lsn);
        self.source_from_second_lsn(out, change);
    }

    fn source_to_lsn(&self, out: &mut Vec<u8>, change: &Change<'_>) {
        out.extend_from_slice(&self.to_source_time);
        write_int(out, change.commit_us.div_euclid(1_000));
        match change.snapshot {
            SnapshotMarker::False if self.null_markers => out.extend_from_slice(b",\"snapshot\":null"),
            marker => {
                out.extend_from_slice(b",\"snapshot\":\"");
                out.extend_from_slice(marker.as_str().as_bytes());
                out.push(b'"');
            }
        }
        out.extend_from_slice(&self.to_sequence);
        write_sequence_number(out, change.last_commit);
        out.extend_from_slice(b",\\\"");
    }

    fn source_to_second_lsn(&self, out: &mut Vec<u8>, change: &Change<'_>) {
        out.extend_from_slice(b"\\\"]\",\"ts_us\":");
        write_int(out, change.commit_us);
        out.extend_from_slice(b",\"ts_ns\":");
        write_int(out, i128::from(change.commit_us) * 1_000);
        out.extend_from_slice(&self.to_tx_id);
        match change.tx_id {
            0 => out.extend_from_slice(b"null"),
            id => write_int(out, id),
        }
        out.extend_from_slice(b",\"lsn\":");
    }

    fn source_from_second_lsn(&self, out: &mut Vec<u8>, change: &Change<'_>) {
        out.extend_from_slice(b",\"xmin\":null");
        if self.version == EnvelopeVersion::V3_7 {
            write_origin(out, change.origin);
        }
        out.push(b'}');
    }
}

/// What stands between the transaction and the operation's letter.
const TO_OP: &[u8] = b",\"op\":\"";

/// What follows the rows of one table's envelopes, kept from one change to the next. Of one [`Envelope`] only.
#[derive(Clone, Debug, Default)]
pub struct EnvelopeTail {
    of: Option<TailOf>,
    /// As it was last written, LSNs included.
    text: Vec<u8>,
    /// The LSN in it, where it stands, and how many digits it has.
    lsn: u64,
    lsn_at: [usize; 2],
    lsn_digits: usize,
}

/// What a tail was written for, all but the LSN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TailOf {
    /// Commit time, snapshot marker, last commit and transaction.
    change: (i64, SnapshotMarker, Option<u64>, u64),
    op: Op,
    now: EventTime,
}

impl EnvelopeTail {
    /// Puts another LSN into the text; false if it has more or fewer digits.
    fn name_lsn(&mut self, lsn: u64) -> bool {
        if self.lsn == lsn {
            return true;
        }
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(lsn).as_bytes();
        if digits.len() != self.lsn_digits {
            return false;
        }
        for at in self.lsn_at {
            self.text[at..at + digits.len()].copy_from_slice(digits);
        }
        self.lsn = lsn;
        true
    }

    fn write(&mut self, envelope: &Envelope, change: &Change<'_>, of: TailOf) {
        let text = &mut self.text;
        text.clear();
        envelope.source_to_lsn(text, change);
        let first = text.len();
        write_int(text, change.lsn);
        self.lsn_digits = text.len() - first;
        envelope.source_to_second_lsn(text, change);
        self.lsn_at = [first, text.len()];
        write_int(text, change.lsn);
        envelope.source_from_second_lsn(text, change);
        text.extend_from_slice(b",\"transaction\":null");
        text.extend_from_slice(TO_OP);
        write_event(text, of.op.as_str(), of.now);
        (self.of, self.lsn) = (Some(of), change.lsn);
    }
}

/// Writes the operation and when the event was made, to the envelope's end.
fn write_event(out: &mut Vec<u8>, letter: &str, now: EventTime) {
    let EventTime(nanos) = now;
    out.extend_from_slice(letter.as_bytes());
    out.extend_from_slice(b"\",\"ts_ms\":");
    let mut digits = itoa::Buffer::new();
    let ns = digits.format(nanos).as_bytes();
    match ns {
        // Since 2001: all three begin with the same digits.
        [ms @ .., _, _, _, _, _, _] if nanos >= 1_000_000_000_000_000_000 => {
            out.extend_from_slice(ms);
            out.extend_from_slice(b",\"ts_us\":");
            out.extend_from_slice(&ns[..ns.len() - 3]);
        }
        _ => {
            write_int(out, nanos.div_euclid(1_000_000));
            out.extend_from_slice(b",\"ts_us\":");
            write_int(out, nanos.div_euclid(1_000));
        }
    }
    out.extend_from_slice(b",\"ts_ns\":");
    out.extend_from_slice(ns);
    out.push(b'}');
}

/// `{"id":"<transaction>:<lsn>","total_order":1,"data_collection_order":1}`, or null.
pub fn write_transaction(out: &mut Vec<u8>, change: &Change<'_>) {
    let Some((total, of_table)) = change.order else { return out.extend_from_slice(b"null") };
    out.extend_from_slice(b"{\"id\":\"");
    write_int(out, change.tx_id);
    out.push(b':');
    write_int(out, change.lsn);
    out.extend_from_slice(b"\",\"total_order\":");
    write_int(out, total);
    out.extend_from_slice(b",\"data_collection_order\":");
    write_int(out, of_table);
    out.push(b'}');
}

fn write_origin(out: &mut Vec<u8>, origin: Option<(&str, u64)>) {
    let Some((name, lsn)) = origin else {
        out.extend_from_slice(b",\"origin\":null,\"origin_lsn\":null");
        return;
    };
    out.extend_from_slice(b",\"origin\":");
    write_string(out, name);
    out.extend_from_slice(b",\"origin_lsn\":");
    write_int(out, lsn);
}

/// The schema of `source`.
#[must_use]
pub fn source_schema(version: EnvelopeVersion) -> Schema {
    let text = || Schema::plain("string");
    let number = || Schema::plain("int64");
    let mut snapshot = text().named("io.debezium.data.Enum", 1).or_null().with("allowed", version.snapshot_markers());
    snapshot.default = Some(b"\"false\"".to_vec());
    let mut fields = vec![
        ("version", text()),
        ("connector", text()),
        ("name", text()),
        ("ts_ms", number()),
        ("snapshot", snapshot),
        ("db", text()),
        ("sequence", text().or_null()),
        ("ts_us", number().or_null()),
        ("ts_ns", number().or_null()),
        ("schema", text()),
        ("table", text()),
        ("txId", number().or_null()),
        ("lsn", number().or_null()),
        ("xmin", number().or_null()),
    ];
    if version == EnvelopeVersion::V3_7 {
        fields.extend([("origin", text().or_null()), ("origin_lsn", number().or_null())]);
    }
    let fields = fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let mut schema = Schema::of(SchemaKind::Struct(fields));
    schema.name = Some("io.debezium.connector.postgresql.Source".to_owned());
    schema.version = version.has_context_headers().then_some(1);
    schema
}

/// The schema of `transaction`.
#[must_use]
pub fn transaction_schema() -> Schema {
    let number = || Schema::plain("int64");
    let fields = [("id", Schema::plain("string")), ("total_order", number()), ("data_collection_order", number())];
    Schema::fields(fields).named("event.block", 1).or_null()
}

/// The schema of a whole envelope around rows of schema `row`.
#[must_use]
pub fn envelope_schema(version: EnvelopeVersion, row: Schema, name: String) -> Schema {
    let time = || Schema::plain("int64").or_null();
    let fields = [
        ("before", row.clone()),
        ("after", row),
        ("source", source_schema(version)),
        ("transaction", transaction_schema()),
        ("op", Schema::plain("string")),
        ("ts_ms", time()),
        ("ts_us", time()),
        ("ts_ns", time()),
    ];
    Schema::fields(fields).named(name, 2)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever came before: transactions of several changes, other markers, origins, orders.
        #[test]
        fn a_kept_tail_gives_the_same_bytes(
            changes in prop::collection::vec(
                (
                    (0_i64..2, any::<bool>(), prop::option::of(0_u64..2), 0_u64..2),
                    prop::sample::select(&[0, 7, 9, 10, 118_792_744, 118_792_848, u64::MAX][..]),
                    0_u8..24,
                    prop::sample::select(&[1_795_344_344_914_071_099, 0][..]),
                ),
                1..40,
            ),
            older: bool,
        ) {
            let version = if older { EnvelopeVersion::V2_7 } else { EnvelopeVersion::V3_7 };
            let envelope = Envelope::new(version, "pg", "thm", "public", "t");
            let mut tail = EnvelopeTail::default();
            for ((commit_us, streamed, last_commit, tx_id), lsn, odd, now) in changes {
                let change = Change {
                    commit_us: commit_us * 1_795_344_344_890_370 - 7,
                    snapshot: if streamed { SnapshotMarker::False } else { SnapshotMarker::True },
                    last_commit,
                    lsn,
                    tx_id,
                    order: (odd == 0).then_some((2, 1)),
                    origin: (odd == 1).then_some(("there", 9)),
                };
                let op = if odd < 4 { Op::Update } else { Op::Create };
                let (mut plain, mut kept) = (Vec::new(), Vec::new());
                envelope.close(&mut plain, &change, op, EventTime(now));
                envelope.close_like(&mut kept, &mut tail, &change, op, EventTime(now));
                prop_assert_eq!(String::from_utf8(kept).unwrap(), String::from_utf8(plain).unwrap());
            }
        }
    }

    #[test]
    fn times_of_any_year_are_whole_parts_of_each_other() {
        for nanos in [0, -1, 999_999, 999_999_999_999_999_999, 1_000_000_000_000_000_000, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write_event(&mut out, "r", EventTime(nanos));
            let (ms, us) = (nanos.div_euclid(1_000_000), nanos.div_euclid(1_000));
            let expected = format!(r#"r","ts_ms":{ms},"ts_us":{us},"ts_ns":{nanos}}}"#);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    fn render(version: EnvelopeVersion, change: &Change<'_>) -> String {
        let mut out = Vec::new();
        Envelope::open(&mut out);
        out.extend_from_slice(b"null");
        Envelope::after(&mut out);
        out.extend_from_slice(b"{\"id\":1}");
        let envelope = Envelope::new(version, "pg", "thm", "public", "t");
        envelope.close(&mut out, change, Op::Create, EventTime(1_795_344_344_914_071_099));
        String::from_utf8(out).unwrap()
    }

    /// The texts are a recorded value with our `version`.
    #[test]
    fn the_recorded_envelope_to_the_byte() {
        let change = Change {
            commit_us: 1_795_344_344_890_370,
            last_commit: Some(118_792_744),
            lsn: 118_792_848,
            tx_id: 946,
            ..Change::default()
        };
        let recorded = concat!(
            r#"{"before":null,"after":{"id":1},"source":{"version":"3.7.0.thm","connector":"postgresql","name":"pg","#,
            r#""ts_ms":1795344344890,"snapshot":"false","db":"thm","sequence":"[\"118792744\",\"118792848\"]","#,
            r#""ts_us":1795344344890370,"ts_ns":1795344344890370000,"schema":"public","table":"t","txId":946,"#,
            r#""lsn":118792848,"xmin":null,"origin":null,"origin_lsn":null},"transaction":null,"op":"c","#,
            r#""ts_ms":1795344344914,"ts_us":1795344344914071,"ts_ns":1795344344914071099}"#
        );
        assert_eq!(render(EnvelopeVersion::V3_7, &change), recorded);
        let older = recorded.replace("3.7.0.thm", "2.7.3.thm").replace(r#","origin":null,"origin_lsn":null"#, "");
        assert_eq!(render(EnvelopeVersion::V2_7, &change), older);
    }

    #[test]
    fn sequence_before_the_first_commit_and_origin() {
        let change = Change { lsn: 7, origin: Some(("there", 9)), ..Change::default() };
        let text = render(EnvelopeVersion::V3_7, &change);
        assert!(text.contains(r#""sequence":"[null,\"7\"]""#), "{text}");
        assert!(text.contains(r#""origin":"there","origin_lsn":9}"#), "{text}");
    }
}
