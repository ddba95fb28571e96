//! What each transform makes of a record, with a schema and without, and what its `configure` refuses.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use thm_api::{ConnectorConfig, ConnectorKind};
use thm_codec::connect::{JsonForm, Part, SchemaReader, parse_plain, write_value};

use super::Chain;
use super::header_text;
use super::record::ConnectRecord;

const KAFKA: &str = "org.apache.kafka.connect.transforms.";

/// A schema as `name:type`, `?` behind what is optional, `=…` for a default.
fn schema(fields: &[&str]) -> String {
    let field = |text: &&str| {
        let (text, default) = text.split_once('=').map_or((*text, None), |(text, default)| (text, Some(default)));
        let (name, kind) = text.split_once(':').unwrap();
        let (kind, optional) = kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
        let (kind, name_of) = kind.split_once('@').map_or((kind, None), |(kind, name)| (kind, Some(name)));
        let mut json = format!(r#"{{"type":"{kind}","optional":{optional}"#);
        match name_of {
            Some("Decimal") => {
                json += r#","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}"#;
            }
            Some(name) => json += &format!(r#","name":"{name}""#),
            None => {}
        }
        if let Some(default) = default {
            json += &format!(r#","default":{default}"#);
        }
        if kind == "array" {
            json += r#","items":{"type":"int32","optional":true}"#;
        }
        format!(r#"{json},"field":"{name}"}}"#)
    };
    let fields: Vec<_> = fields.iter().map(field).collect();
    format!(r#"{{"type":"struct","fields":[{}],"optional":false,"name":"S","version":3}}"#, fields.join(","))
}

fn framed(schema: &str, payload: &str) -> Part {
    SchemaReader::default().read(Some(format!(r#"{{"schema":{schema},"payload":{payload}}}"#).as_bytes())).unwrap()
}

fn record(value: Part) -> ConnectRecord {
    let key = framed(&schema(&["id:int64"]), r#"{"id":7}"#);
    ConnectRecord { topic: "pg.public.t".to_owned(), key, value, ..ConnectRecord::default() }
}

/// A row of most types.
fn row() -> ConnectRecord {
    let fields = ["id:int64", "n:int32?=5", "t:string?", "d:bytes@Decimal?", "f:double?", "b:boolean?", "a:array?"];
    record(framed(&schema(&fields), r#"{"id":1,"n":null,"t":"12","d":"AYY=","f":1.5,"b":true,"a":[1,null]}"#))
}

fn plain(json: &str) -> ConnectRecord {
    ConnectRecord {
        value: parse_plain(json).unwrap(),
        key: parse_plain(r#"{"id":7}"#).unwrap(),
        ..record(Part::nothing())
    }
}

fn chain(class: &str, options: &[(&str, &str)]) -> thm_api::Result<Option<Chain>> {
    let class = if class.contains('.') { class.to_owned() } else { format!("{KAFKA}{class}") };
    let mut values =
        BTreeMap::from([("transforms".to_owned(), "x".to_owned()), ("transforms.x.type".to_owned(), class)]);
    values.extend(options.iter().map(|(name, value)| (format!("transforms.x.{name}"), (*value).to_owned())));
    if let Some(envelope) = values.remove("transforms.x.thm.envelope") {
        values.insert("thm.envelope".to_owned(), envelope);
    }
    Chain::from_config(&ConnectorConfig::new(values), ConnectorKind::Source)
}

fn apply(class: &str, options: &[(&str, &str)], record: ConnectRecord) -> Result<Option<ConnectRecord>, String> {
    let mut chain = chain(class, options).unwrap().unwrap();
    chain.apply(record).map_err(|error| error.0)
}

fn json(part: &Part) -> String {
    let mut out = Vec::new();
    write_value(&mut out, part.schema.as_deref(), &part.value, JsonForm::default());
    String::from_utf8(out).unwrap()
}

fn schema_of(part: &Part) -> String {
    let mut out = Vec::new();
    part.schema.as_ref().unwrap().write(&mut out, None);
    String::from_utf8(out).unwrap()
}

/// The value after a transform.
fn value(class: &str, options: &[(&str, &str)], record: ConnectRecord) -> String {
    match apply(class, options, record) {
        Ok(record) => json(&record.unwrap().value),
        Err(error) => error,
    }
}

#[test]
fn fields_are_inserted() {
    let options = [("topic.field", "tp!"), ("timestamp.field", "ts"), ("static.field", "s"), ("static.value", "v")];
    let made = apply("InsertField$Value", &options, row()).unwrap().unwrap();
    let expected =
        r#"{"id":1,"n":5,"t":"12","d":"AYY=","f":1.5,"b":true,"a":[1,null],"tp":"pg.public.t","ts":null,"s":"v"}"#;
    assert_eq!(json(&made.value), expected);
    let expected = concat!(
        r#"{"type":"string","optional":false,"field":"tp"},"#,
        r#"{"type":"int64","optional":true,"name":"org.apache.kafka.connect.data.Timestamp","version":1,"field":"ts"},"#,
        r#"{"type":"string","optional":true,"field":"s"}],"optional":false,"name":"S","version":3}"#
    );
    assert!(schema_of(&made.value).ends_with(expected));
    let kept = value(
        "InsertField$Value",
        &[("static.field", "s"), ("static.value", "v"), ("replace.null.with.default", "false")],
        row(),
    );
    assert!(kept.contains(r#""n":null"#));
    assert_eq!(value("InsertField$Value", &options, plain(r#"{"tp":0}"#)), r#"{"tp":"pg.public.t","s":"v"}"#);
    assert_eq!(value("InsertField$Value", &options, record(Part::nothing())), "null");
    let key = apply("InsertField$Key", &options, row()).unwrap().unwrap().key;
    assert_eq!(json(&key), r#"{"id":7,"tp":"pg.public.t","ts":null,"s":"v"}"#);
    assert!(
        value("InsertField$Value", &[("offset.field", "o")], row())
            .contains("Only SinkRecord supported for [field insertion]")
    );
    let late = chain("InsertField$Value", &[]).err().unwrap().to_string();
    assert!(late.contains("No field insertion configured"), "{late}");
}

#[test]
fn fields_are_dropped_and_renamed() {
    let options = [("exclude", "a,b,d,f"), ("renames", "t:text")];
    assert_eq!(value("ReplaceField$Value", &options, row()), r#"{"id":1,"n":5,"text":"12"}"#);
    assert_eq!(
        value("ReplaceField$Value", &[("include", "t,n"), ("replace.null.with.default", "false")], row()),
        r#"{"n":null,"t":"12"}"#
    );
    assert_eq!(value("ReplaceField$Value", &options, plain(r#"{"t":1.10,"a":2,"z":3}"#)), r#"{"text":1.10,"z":3}"#);
    assert_eq!(
        value("ReplaceField$Value", &options, plain("3")),
        "transform x: Only Map objects supported in absence of schema for [field replacement], found: java.lang.Long"
    );
}

#[test]
fn values_are_masked() {
    let fields = [("fields", "id,n,t,d,f,b,a")];
    assert_eq!(
        value("MaskField$Value", &fields, row()),
        r#"{"id":0,"n":0,"t":"","d":"AA==","f":0.0,"b":false,"a":[]}"#
    );
    assert_eq!(
        value("MaskField$Value", &[("fields", "id,t"), ("replacement", "42")], plain(r#"{"id":1,"t":"x","u":null}"#)),
        r#"{"id":42,"t":"42","u":null}"#
    );
    assert_eq!(
        value("MaskField$Value", &[("fields", "id"), ("replacement", "x")], row()),
        "transform x: Unable to convert x (class java.lang.String) to number"
    );
    assert_eq!(
        value("MaskField$Value", &[("fields", "id")], record(Part::nothing())),
        "transform x: Only Map objects supported in absence of schema for [mask fields], found: null"
    );
}

#[test]
fn keys_are_made_of_values() {
    let made = apply("ValueToKey", &[("fields", "t,n")], row()).unwrap().unwrap();
    assert_eq!(json(&made.key), r#"{"t":"12","n":5}"#);
    let expected = r#"{"type":"struct","fields":[{"type":"string","optional":true,"field":"t"},{"type":"int32","optional":true,"default":5,"field":"n"}],"optional":false}"#;
    assert_eq!(schema_of(&made.key), expected);
    assert_eq!(apply("ValueToKey", &[("fields", "x")], row()).unwrap_err(), "transform x: Field does not exist: x");
    assert_eq!(
        json(&apply("ValueToKey", &[("fields", "x,a")], plain(r#"{"a":1}"#)).unwrap().unwrap().key),
        r#"{"x":null,"a":1}"#
    );
}

#[test]
fn fields_are_extracted_and_hoisted() {
    let key = apply("ExtractField$Key", &[("field", "id")], row()).unwrap().unwrap().key;
    assert_eq!((json(&key), schema_of(&key)), ("7".to_owned(), r#"{"type":"int64","optional":false}"#.to_owned()));
    assert_eq!(value("ExtractField$Value", &[("field", "n")], row()), "5");
    assert_eq!(value("ExtractField$Value", &[("field", "x")], row()), "transform x: Unknown field: x");
    assert_eq!(
        value(
            "ExtractField$Value",
            &[("field", "a.`b.c`"), ("field.syntax.version", "V2")],
            plain(r#"{"a":{"b.c":3}}"#)
        ),
        "3"
    );
    assert_eq!(value("HoistField$Value", &[("field", "h")], plain("[1]")), r#"{"h":[1]}"#);
    let hoisted = apply("HoistField$Key", &[("field", "h")], row()).unwrap().unwrap().key;
    assert_eq!(json(&hoisted), r#"{"h":{"id":7}}"#);
}

#[test]
fn types_are_cast() {
    let spec = |spec| vec![("spec", spec)];
    let all = "id:string,n:int64,t:int8,d:string,f:int32,b:float64";
    let made = apply("Cast$Value", &spec(all), row()).unwrap().unwrap();
    assert_eq!(json(&made.value), r#"{"id":"1","n":5,"t":12,"d":"3.90","f":1,"b":1.0,"a":[1,null]}"#);
    assert!(schema_of(&made.value).contains(r#"{"type":"int64","optional":true,"default":5,"field":"n"}"#));
    assert!(value("Cast$Value", &spec("a:string"), row()).contains("does not support casting from ARRAY"));
    assert_eq!(
        value("Cast$Value", &spec("t:int8"), plain(r#"{"t":"300"}"#)),
        "transform x: Value (300) was out of range for requested data type"
    );
    assert_eq!(value("Cast$Value", &spec("t:int8"), plain(r#"{"t":300}"#)), r#"{"t":44}"#);
    assert_eq!(
        value("Cast$Value", &spec("t:boolean,u:string"), plain(r#"{"t":"TRUE","u":1.50}"#)),
        r#"{"t":true,"u":"1.50"}"#
    );
    let key = apply("ExtractField$Key", &[("field", "id")], row()).unwrap().unwrap();
    assert_eq!(json(&apply("Cast$Key", &spec("string"), key).unwrap().unwrap().key), r#""7""#);
}

#[test]
fn headers_come_and_go() {
    let made = apply("InsertHeader", &[("header", "h"), ("value.literal", r#"["a", 1]"#)], row()).unwrap().unwrap();
    assert_eq!(header_text::write(&made.headers[0].part).unwrap(), br#"["a",1]"#);
    assert!(apply("DropHeaders", &[("headers", "h")], made).unwrap().unwrap().headers.is_empty());
    let moved = [("fields", "t,n"), ("headers", "one,two"), ("operation", "move")];
    let made = apply("HeaderFrom$Value", &moved, row()).unwrap().unwrap();
    assert_eq!(json(&made.value), r#"{"id":1,"d":"AYY=","f":1.5,"b":true,"a":[1,null]}"#);
    let texts: Vec<_> =
        made.headers.iter().map(|header| (header.name.as_str(), header_text::write(&header.part).unwrap())).collect();
    assert_eq!(texts, [("one", b"12".to_vec()), ("two", b"5".to_vec())]);
    assert_eq!(value("HeaderFrom$Value", &moved, plain(r#"{"t":1,"u":2}"#)), r#"{"u":2}"#);
}

#[test]
fn structs_are_flattened() {
    let inner = schema(&["x:int32=1", "y:string"]).replacen(
        r#""optional":false,"name":"S","version":3"#,
        r#""optional":true,"field":"in""#,
        1,
    );
    let outer = format!(
        r#"{{"type":"struct","fields":[{{"type":"int32","optional":false,"field":"id"}},{inner}],"optional":false}}"#
    );
    let made = apply("Flatten$Value", &[("delimiter", "_")], record(framed(&outer, r#"{"id":1,"in":null}"#)))
        .unwrap()
        .unwrap();
    assert_eq!(json(&made.value), r#"{"id":1,"in_x":null,"in_y":null}"#);
    assert!(schema_of(&made.value).contains(r#"{"type":"int32","optional":true,"default":1,"field":"in_x"}"#));
    assert_eq!(
        value("Flatten$Value", &[], plain(r#"{"a":{"b":{"c":1},"d":[{"e":2}]}}"#)),
        r#"{"a.b.c":1,"a.d":[{"e":2}]}"#
    );
}

#[test]
fn schemas_are_named_and_moments_converted() {
    let made =
        apply("SetSchemaMetadata$Value", &[("schema.name", "N"), ("schema.version", "9")], row()).unwrap().unwrap();
    assert!(schema_of(&made.value).ends_with(r#""name":"N","version":9}"#));
    let options = |target| vec![("field", "t"), ("target.type", target), ("format", "yyyy-MM-dd HH:mm:ss")];
    let text = r#"{"t":"2024-01-02 03:04:05"}"#;
    assert_eq!(value("TimestampConverter$Value", &options("unix"), plain(text)), r#"{"t":1704164645000}"#);
    assert_eq!(value("TimestampConverter$Value", &options("string"), plain(r#"{"t":1704164645678}"#)), text);
    let stamped = record(framed(&schema(&["t:int64?"]), r#"{"t":1704164645678}"#));
    let made = apply("TimestampConverter$Value", &options("Date"), stamped).unwrap().unwrap();
    assert_eq!(json(&made.value), r#"{"t":19724}"#);
    assert!(schema_of(&made.value).contains(
        r#"{"type":"int32","optional":true,"name":"org.apache.kafka.connect.data.Date","version":1,"field":"t"}"#
    ));
    assert_eq!(
        value("TimestampConverter$Value", &options("unix"), plain(r#"{"t":"x"}"#)),
        "transform x: Could not parse timestamp: value (x) does not match pattern (yyyy-MM-dd HH:mm:ss)"
    );
}

#[test]
fn records_are_routed() {
    let topic = |class: &str, options: &[(&str, &str)], record| {
        apply(class, options, record).map(|record| record.unwrap().topic)
    };
    assert_eq!(topic("RegexRouter", &[("regex", r"pg\.(.*)"), ("replacement", "$1")], row()).unwrap(), "public.t");
    assert_eq!(topic("RegexRouter", &[("regex", "pg"), ("replacement", "$1")], row()).unwrap(), "pg.public.t");
    let stamped = ConnectRecord { timestamp_ms: Some(1_704_164_645_678), ..row() };
    assert_eq!(topic("TimestampRouter", &[], stamped).unwrap(), "pg.public.t-20240102");
    assert!(topic("TimestampRouter", &[], row()).unwrap_err().contains("Timestamp missing on record"));
}

const ROW: &[&str] = &["id:int32", "kind:string?", "n:int32?=5"];

/// An envelope of Debezium's, cut short.
fn envelope(payload: &str) -> ConnectRecord {
    let row = |name: &str| {
        schema(ROW).replacen(
            r#""optional":false,"name":"S","version":3"#,
            &format!(r#""optional":true,"name":"pg.public.t.Value","field":"{name}""#),
            1,
        )
    };
    let source = r#"{"type":"struct","fields":[{"type":"string","optional":true,"name":"io.debezium.data.Enum","version":1,"default":"false","field":"snapshot"},{"type":"int64","optional":true,"field":"lsn"}],"optional":false,"field":"source"}"#;
    let more = r#"{"type":"string","optional":false,"field":"op"},{"type":"int64","optional":true,"field":"ts_ms"}"#;
    let fields = format!("{},{},{source},{more}", row("before"), row("after"));
    let schema = format!(
        r#"{{"type":"struct","fields":[{fields}],"optional":false,"name":"pg.public.t.Envelope","version":2}}"#
    );
    record(framed(&schema, payload))
}

const UPDATE: &str =
    r#"{"before":null,"after":{"id":1,"kind":"k","n":null},"source":{"snapshot":"false","lsn":9},"op":"u","ts_ms":3}"#;
const DELETE: &str =
    r#"{"before":{"id":1,"kind":"k","n":null},"after":null,"source":{"snapshot":"false","lsn":9},"op":"d","ts_ms":3}"#;
const UNWRAP: &str = "io.debezium.transforms.ExtractNewRecordState";

#[test]
fn deletes_are_handled_in_every_mode() {
    let of = |options: &[(&str, &str)], record: ConnectRecord| {
        apply(UNWRAP, options, record).unwrap().map(|record| json(&record.value))
    };
    let mode = |mode| [("delete.tombstone.handling.mode", mode)];
    let tombstone = || record(Part::nothing());
    let rows = |options: &[(&str, &str)]| {
        (of(options, envelope(UPDATE)), of(options, envelope(DELETE)), of(options, tombstone()))
    };
    let some = |text: &str| Some(text.to_owned());
    let (row, marked) = (r#"{"id":1,"kind":"k","n":null}"#, r#"{"id":1,"kind":"k","n":5,"__deleted":"false"}"#);
    let gone = marked.replace("false", "true");
    assert_eq!(rows(&mode("drop")), (some(row), None, None));
    assert_eq!(rows(&mode("tombstone")), (some(row), some("null"), None));
    assert_eq!(rows(&mode("delete-to-tombstone")), (some(row), some("null"), None));
    assert_eq!(rows(&mode("rewrite")), (some(marked), some(&gone), None));
    assert_eq!(rows(&mode("rewrite-with-tombstone")), (some(marked), some(&gone), some("null")));
    // 2.7 has two options for it, and drops deletes by default; 3.7 does not look at them.
    let older =
        |tombstones, mode| [("thm.envelope", "2.7"), ("drop.tombstones", tombstones), ("delete.handling.mode", mode)];
    assert_eq!(rows(&[("thm.envelope", "2.7")]), (some(row), None, None));
    assert_eq!(rows(&older("false", "none")), (some(row), some("null"), some("null")));
    assert_eq!(rows(&older("true", "rewrite")), (some(marked), some(&gone), None));
    assert_eq!(rows(&[("drop.tombstones", "false"), ("delete.handling.mode", "rewrite")]), rows(&mode("tombstone")));
    // A real tombstone has no schema.
    let made = |mode_of| apply(UNWRAP, &mode(mode_of), envelope(DELETE)).unwrap().unwrap().value.schema;
    assert!(made("tombstone").is_some() && made("delete-to-tombstone").is_none());
}

#[test]
fn metadata_is_added_to_rows() {
    let options = [
        ("add.fields", "op,lsn:LSN,source.snapshot"),
        ("add.fields.prefix", "_"),
        ("add.headers", "op,snapshot"),
        ("route.by.field", "kind"),
    ];
    let made = apply(UNWRAP, &options, envelope(UPDATE)).unwrap().unwrap();
    assert_eq!(json(&made.value), r#"{"id":1,"kind":"k","n":null,"_op":"u","_LSN":9,"_source_snapshot":null}"#);
    assert!(schema_of(&made.value).contains(r#"{"type":"string","optional":true,"name":"io.debezium.data.Enum","version":1,"field":"_source_snapshot"}],"optional":false"#));
    let headers: Vec<_> =
        made.headers.iter().map(|header| (header.name.as_str(), header_text::write(&header.part))).collect();
    assert_eq!((headers, made.topic.as_str()), (vec![("__op", Some(b"u".to_vec())), ("__snapshot", None)], "k"));
    // What is no envelope passes.
    assert_eq!(apply(UNWRAP, &options, row()).unwrap().unwrap(), row());
    assert!(
        apply(UNWRAP, &[("route.by.field", "id")], envelope(UPDATE))
            .unwrap_err()
            .contains("Field 'id' is not of type STRING")
    );
}

#[test]
fn fields_that_a_header_names_are_dropped() {
    let drop = |options: &[(&str, &str)]| {
        let record =
            apply("InsertHeader", &[("header", "gone"), ("value.literal", r#"["id","kind"]"#)], envelope(UPDATE))
                .unwrap()
                .unwrap();
        let options: Vec<_> = options.iter().copied().chain([("drop.fields.header.name", "gone")]).collect();
        let record = apply(UNWRAP, &options, record).unwrap().unwrap();
        (json(&record.key), json(&record.value))
    };
    assert_eq!(drop(&[]), (r#"{"id":7}"#.to_owned(), r#"{"id":1,"n":5}"#.to_owned()));
    let all = [("drop.fields.keep.schema.compatible", "false"), ("drop.fields.from.key", "true")];
    assert_eq!(drop(&all), ("{}".to_owned(), r#"{"n":5}"#.to_owned()));
}

#[test]
fn tables_go_into_one_topic_with_keys_that_tell_them_apart() {
    let options = [("topic.regex", r"(.*)\.t(_\d)?"), ("topic.replacement", "$1.all")];
    let made = apply("io.debezium.transforms.ByLogicalTableRouter", &options, envelope(UPDATE)).unwrap().unwrap();
    assert_eq!(
        (made.topic.as_str(), json(&made.key)),
        ("pg.public.all", r#"{"id":7,"__dbz__physicalTableIdentifier":"pg.public.t"}"#.to_owned())
    );
    assert!(schema_of(&made.key).ends_with(r#""name":"pg.public.all.Key","version":3}"#));
    let schema = schema_of(&made.value);
    assert_eq!(
        (
            schema.matches(r#""name":"pg.public.all.Value""#).count(),
            schema.contains(r#""name":"pg.public.all.Envelope","version":2"#)
        ),
        (2, true)
    );
    let named = [("key.field.name", "k"), ("key.field.regex", r"pg\.(.*)"), ("key.field.replacement", "$1")];
    let named: Vec<_> = options.into_iter().chain(named).collect();
    let made = apply("io.debezium.transforms.ByLogicalTableRouter", &named, record(Part::nothing())).unwrap().unwrap();
    assert_eq!((json(&made.key), json(&made.value)), (r#"{"id":7,"k":"public.t"}"#.to_owned(), "null".to_owned()));
    let late = chain("io.debezium.transforms.ByLogicalTableRouter", &[]).err().unwrap().to_string();
    assert!(late.contains("Unable to validate config."), "{late}");
}

const OUTBOX: &[&str] = &[
    "id:string",
    "aggregatetype:string",
    "aggregateid:string",
    "payload:string?",
    "v:int32?",
    "at:int64@io.debezium.time.MicroTimestamp?",
];
const EVENTS: &str = "io.debezium.transforms.outbox.EventRouter";

fn outbox(row: &str, op: &str) -> ConnectRecord {
    let row_schema = schema(OUTBOX).replacen(
        r#""optional":false,"name":"S","version":3"#,
        r#""optional":true,"name":"pg.public.outbox.Value","field":"after""#,
        1,
    );
    let schema = format!(
        r#"{{"type":"struct","fields":[{row_schema},{{"type":"string","optional":false,"field":"op"}},{{"type":"int64","optional":true,"field":"ts_ms"}}],"optional":false,"name":"pg.public.outbox.Envelope"}}"#
    );
    record(framed(&schema, &format!(r#"{{"after":{row},"op":"{op}","ts_ms":3}}"#)))
}

#[test]
fn outbox_rows_become_messages() {
    let event = r#"{"id":"e1","aggregatetype":"order","aggregateid":"42","payload":"{\"n\":1,\"none\":null,\"l\":[{\"a\":1},{\"b\":2}]}","v":2,"at":5000}"#;
    let made = apply(EVENTS, &[], outbox(event, "c")).unwrap().unwrap();
    assert_eq!(
        (made.topic.as_str(), json(&made.key), made.timestamp_ms),
        ("outbox.event.order", r#""42""#.to_owned(), Some(3))
    );
    assert_eq!(
        (made.headers[0].name.as_str(), header_text::write(&made.headers[0].part)),
        ("id", Some(b"e1".to_vec()))
    );
    assert!(json(&made.value).starts_with(r#""{\"n\":1"#));
    let options = [
        ("table.expand.json.payload", "true"),
        ("table.field.event.timestamp", "at"),
        ("table.field.event.schema.version", "v"),
        ("table.fields.additional.placement", "v:header,aggregateid:envelope:agg,v:partition"),
        ("route.topic.replacement", "to.${routedByValue}"),
    ];
    let made = apply(EVENTS, &options, outbox(event, "c")).unwrap().unwrap();
    assert_eq!(json(&made.value), r#"{"payload":{"n":1,"l":[{"a":1,"b":null},{"a":null,"b":2}]},"agg":"42"}"#);
    assert_eq!((made.topic.as_str(), made.partition, made.timestamp_ms), ("to.order", Some(2), Some(5)));
    assert!(schema_of(&made.value).ends_with(r#""optional":false,"name":"pg.public.outbox.order.Value","version":2}"#));
    let text = |payload: &str| event.replace(r#""{\"n\":1,\"none\":null,\"l\":[{\"a\":1},{\"b\":2}]}""#, payload);
    let expand = [("table.expand.json.payload", "true"), ("route.tombstone.on.empty.payload", "true")];
    assert_eq!(value(EVENTS, &expand, outbox(&text(r#""no json""#), "r")), r#""no json""#);
    assert_eq!(value(EVENTS, &expand, outbox(&text(r#""[1,\"a\"]""#), "c")), r#""[1,\"a\"]""#);
    assert_eq!(apply(EVENTS, &expand, outbox(&text(r#""  ""#), "c")).unwrap().unwrap().value, Part::nothing());
    for dropped in [outbox(event, "d"), outbox(event, "u"), record(Part::nothing())] {
        assert_eq!(apply(EVENTS, &[], dropped), Ok(None));
    }
    assert!(
        apply(EVENTS, &[("table.op.invalid.behavior", "fatal")], outbox(event, "u"))
            .unwrap_err()
            .contains("Unexpected update message received")
    );
    assert_eq!(
        apply(EVENTS, &[("table.field.event.payload", "x")], outbox(event, "c")).unwrap_err(),
        "transform x: Unable to find payload field x in event"
    );
    assert_eq!(apply(EVENTS, &[], row()).unwrap().unwrap(), row());
}
