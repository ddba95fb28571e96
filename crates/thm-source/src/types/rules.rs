//! The one table of types, by oid; after it the rules of types that have no oid of their own.

use super::shape::{Shape, Toast};
use super::{Print, TypeRule, Write, basic, container, decimal, geometry, network, print, search, temporal};
use crate::columns::ColumnKind;

/// Oid of timestamptz.
pub(super) const TIMESTAMPTZ: u32 = 1184;

const fn rule(oid: u32, name: &'static str, column: ColumnKind, write: Write, print: Print, shape: Shape) -> TypeRule {
    TypeRule { oid, name, column, write, print, shape, toast: Toast::Null }
}

/// Shown as a text, and as the placeholder where it is TOASTed and unchanged.
const fn text(oid: u32, name: &'static str, write: Write, print: Print, shape: Shape) -> TypeRule {
    TypeRule { toast: Toast::Text, ..rule(oid, name, ColumnKind::Utf8, write, print, shape) }
}

/// Shown as PostgreSQL's text.
const fn printed(oid: u32, name: &'static str, print: Print) -> TypeRule {
    text(oid, name, basic::printed, print, Shape::Plain("string"))
}

/// Shown, if at all, as the bytes of PostgreSQL's text (`include.unknown.datatypes`).
const fn unknown(oid: u32, name: &'static str, print: Print) -> TypeRule {
    let shown = rule(oid, name, ColumnKind::Utf8, basic::bytes_of_text, print, Shape::Unknown);
    TypeRule { toast: Toast::Bytes, ..shown }
}

const fn struct_(oid: u32, name: &'static str, write: Write, print: Print, shape: Shape) -> TypeRule {
    rule(oid, name, ColumnKind::Utf8, write, print, shape)
}

const STRING: Shape = Shape::Plain("string");
const JSON: Shape = Shape::Named("string", "io.debezium.data.Json");

/// Every built-in type that is more than the bytes of its text.
#[rustfmt::skip]
pub static RULES: &[TypeRule] = &[
    rule(16, "bool", ColumnKind::Boolean, basic::boolean, basic::print_bool, Shape::Plain("boolean")),
    TypeRule { toast: Toast::Bytes, ..rule(17, "bytea", ColumnKind::Utf8, basic::bytea, basic::print_bytea, Shape::Bytes) },
    text(18, "char", basic::one_byte, basic::print_one_byte, STRING),
    text(19, "name", basic::text, basic::print_text, STRING),
    rule(20, "int8", ColumnKind::Int64, basic::int8, basic::print_int, Shape::Plain("int64")),
    rule(21, "int2", ColumnKind::Int16, basic::int2, basic::print_int, Shape::Plain("int16")),
    struct_(22, "int2vector", container::array, container::print_vector, Shape::Array),
    rule(23, "int4", ColumnKind::Int32, basic::int4, basic::print_int, Shape::Plain("int32")),
    unknown(24, "regproc", print::object),
    text(25, "text", basic::text, basic::print_text, STRING),
    rule(26, "oid", ColumnKind::Utf8, basic::oid, basic::print_unsigned, Shape::Plain("int64")),
    unknown(27, "tid", print::tid),
    unknown(28, "xid", basic::print_unsigned),
    unknown(29, "cid", basic::print_unsigned),
    struct_(30, "oidvector", container::array, container::print_vector, Shape::Array),
    text(114, "json", basic::text, basic::print_text, JSON),
    text(142, "xml", basic::text, basic::print_text, Shape::Named("string", "io.debezium.data.Xml")),
    struct_(600, "point", geometry::point, geometry::print, Shape::Point),
    struct_(601, "lseg", geometry::shape, geometry::print, Shape::Geometry),
    struct_(602, "path", geometry::shape, geometry::print, Shape::Geometry),
    struct_(603, "box", geometry::shape, geometry::print, Shape::Geometry),
    struct_(604, "polygon", geometry::shape, geometry::print, Shape::Geometry),
    struct_(628, "line", geometry::line, geometry::print, Shape::Line),
    printed(650, "cidr", network::print_inet),
    rule(700, "float4", ColumnKind::Float32, basic::float4, basic::print_float4, Shape::Plain("float")),
    rule(701, "float8", ColumnKind::Float64, basic::float8, basic::print_float8, Shape::Plain("double")),
    struct_(718, "circle", geometry::circle, geometry::print, Shape::Circle),
    printed(774, "macaddr8", network::print_mac),
    rule(790, "money", ColumnKind::Utf8, decimal::money, decimal::print_money, Shape::Money),
    printed(829, "macaddr", network::print_mac),
    printed(869, "inet", network::print_inet),
    text(1042, "bpchar", basic::text, basic::print_text, STRING),
    text(1043, "varchar", basic::text, basic::print_text, STRING),
    rule(1082, "date", ColumnKind::Date32, temporal::date, temporal::print_date, Shape::Date),
    rule(1083, "time", ColumnKind::Utf8, temporal::time, temporal::print_time, Shape::Time),
    rule(1114, "timestamp", ColumnKind::Timestamp, temporal::timestamp, temporal::print_timestamp, Shape::Timestamp),
    rule(TIMESTAMPTZ, "timestamptz", ColumnKind::TimestampUtc, temporal::timestamptz, temporal::print_timestamp, Shape::Named("string", "io.debezium.time.ZonedTimestamp")),
    rule(1186, "interval", ColumnKind::Utf8, temporal::interval, temporal::print_interval, Shape::Interval),
    rule(1266, "timetz", ColumnKind::Utf8, temporal::timetz, temporal::print_timetz, Shape::Named("string", "io.debezium.time.ZonedTime")),
    rule(1560, "bit", ColumnKind::Utf8, basic::bits, basic::print_bits, Shape::Bits),
    rule(1562, "varbit", ColumnKind::Utf8, basic::bits, basic::print_bits, Shape::Bits),
    rule(1700, "numeric", ColumnKind::Utf8, decimal::numeric, decimal::print_numeric, Shape::Numeric),
    unknown(1790, "refcursor", basic::print_text),
    unknown(2202, "regprocedure", print::object),
    unknown(2203, "regoper", print::object),
    unknown(2204, "regoperator", print::object),
    unknown(2205, "regclass", print::object),
    unknown(2206, "regtype", print::object),
    rule(2950, "uuid", ColumnKind::Utf8, basic::uuid, basic::print_uuid, Shape::Named("string", "io.debezium.data.Uuid")),
    unknown(2970, "txid_snapshot", print::snapshot),
    unknown(3220, "pg_lsn", print::lsn),
    text(3614, "tsvector", basic::printed, search::print_vector, Shape::Named("string", "io.debezium.data.Tsvector")),
    unknown(3615, "tsquery", search::print_query),
    unknown(3734, "regconfig", print::object),
    unknown(3769, "regdictionary", print::object),
    text(3802, "jsonb", basic::versioned, basic::print_versioned, JSON),
    unknown(4072, "jsonpath", basic::print_versioned),
    unknown(4089, "regnamespace", print::object),
    unknown(4096, "regrole", print::object),
    unknown(4191, "regcollation", print::object),
    unknown(5038, "pg_snapshot", print::snapshot),
    unknown(5069, "xid8", basic::print_unsigned),
];

/// The rule of a built-in type.
pub(super) fn rule_of(oid: u32) -> Option<&'static TypeRule> {
    RULES.binary_search_by_key(&oid, |rule| rule.oid).ok().map(|index| &RULES[index])
}

/// Types of the extensions that come with PostgreSQL, by name.
pub(super) static EXTENSIONS: &[TypeRule] = &[
    text(0, "citext", basic::text, basic::print_text, STRING),
    TypeRule {
        toast: Toast::Null,
        ..text(0, "ltree", basic::versioned, basic::print_versioned, Shape::Named("string", "io.debezium.data.Ltree"))
    },
    unknown(0, "lquery", basic::print_versioned),
    unknown(0, "ltxtquery", basic::print_versioned),
    TypeRule {
        toast: Toast::Hstore,
        ..rule(0, "hstore", ColumnKind::Utf8, container::hstore, container::print_hstore, Shape::Hstore)
    },
];

/// Labels of an enum come as text.
pub(super) static ENUM: TypeRule = text(0, "enum", basic::text, basic::print_text, Shape::Enum);
/// Arrays of whatever has a rule.
pub(super) static ARRAY: TypeRule = TypeRule {
    toast: Toast::Array,
    ..rule(0, "array", ColumnKind::Utf8, container::array, container::print_array, Shape::Array)
};
/// Composite types.
pub(super) static COMPOSITE: TypeRule =
    rule(0, "composite", ColumnKind::Utf8, container::composite, container::print_composite, Shape::Composite);
/// Ranges, built in or not.
pub(super) static RANGE: TypeRule = printed(0, "range", container::print_range);
/// Sets of ranges.
pub(super) static MULTIRANGE: TypeRule = printed(0, "multirange", container::print_multirange);
/// Composites, sets of ranges and ranges that users define under `include.unknown.datatypes`: the bytes of their text.
pub(super) static UNKNOWN_COMPOSITE: TypeRule = unknown(0, "composite", container::print_composite);
pub(super) static UNKNOWN_MULTIRANGE: TypeRule = unknown(0, "multirange", container::print_multirange);
pub(super) static UNKNOWN_RANGE: TypeRule = unknown(0, "range", container::print_range);
/// An element of a domain there: the text of the type under it.
pub(super) static UNKNOWN_DOMAIN: TypeRule = unknown(0, "domain", container::print_domain);
/// A type without a binary form: the server sends its text.
pub(super) static AS_TEXT: TypeRule = unknown(0, "unknown", basic::print_text);
