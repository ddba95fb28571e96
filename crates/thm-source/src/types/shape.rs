//! What a type's values look like to others: Connect schema, fallback of an unknown value, placeholder of an unchanged one.

use sha2::Digest;
use thm_codec::debezium::{Schema, SchemaKind, write_base64, write_int};
use thm_codec::java_json::write_string;

use super::{Cell, ColumnType, container, geometry, structured};
use crate::options::{BinaryMode, DecimalMode, HstoreMode, IntervalMode, TimeMode};

/// Form of a type's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A Connect type without a name.
    Plain(&'static str),
    /// A Connect type with a semantic name.
    Named(&'static str, &'static str),
    Bytes,
    Bits,
    Numeric,
    Money,
    Date,
    Time,
    Timestamp,
    Interval,
    Point,
    Line,
    Circle,
    Geometry,
    Hstore,
    Enum,
    Array,
    Composite,
    /// Bytes of PostgreSQL's text, if wanted at all.
    Unknown,
}

/// How an unchanged TOASTed value shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Toast {
    /// The placeholder as text.
    Text,
    /// The placeholder's bytes.
    Bytes,
    /// One pair of the placeholder and itself.
    Hstore,
    /// By element.
    Array,
    /// The type is never TOASTed, or has no placeholder: null.
    Null,
}

/// What stands for an unchanged TOASTed value (`unavailable.value.placeholder`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    text: String,
    bytes: Vec<u8>,
}

impl Placeholder {
    /// From the option's value: a text, or `hex:` and the digits of its bytes. `None` for digits that are none.
    #[must_use]
    pub fn parse(option: &str) -> Option<Self> {
        let bytes = match option.strip_prefix("hex:") {
            Some(digits) => hex::decode(digits).ok()?,
            None => option.as_bytes().to_vec(),
        };
        Some(Self { text: String::from_utf8_lossy(&bytes).into_owned(), bytes })
    }
}

impl TimeMode {
    fn of_time(self, digits: usize) -> (&'static str, &'static str) {
        match self {
            Self::Adaptive if digits <= 3 => ("int32", "io.debezium.time.Time"),
            Self::Adaptive | Self::AdaptiveTimeMicros | Self::Micros => ("int64", "io.debezium.time.MicroTime"),
            Self::Nanos => ("int64", "io.debezium.time.NanoTime"),
            Self::Connect => ("int32", "org.apache.kafka.connect.data.Time"),
            Self::IsoString | Self::Structured => ("string", "io.debezium.time.IsoTime"),
        }
    }

    fn of_timestamp(self, digits: usize) -> (&'static str, &'static str) {
        match self {
            Self::Adaptive | Self::AdaptiveTimeMicros if digits <= 3 => ("int64", "io.debezium.time.Timestamp"),
            Self::Adaptive | Self::AdaptiveTimeMicros | Self::Micros => ("int64", "io.debezium.time.MicroTimestamp"),
            Self::Nanos => ("int64", "io.debezium.time.NanoTimestamp"),
            Self::Connect => ("int64", "org.apache.kafka.connect.data.Timestamp"),
            Self::IsoString | Self::Structured => ("string", "io.debezium.time.IsoTimestamp"),
        }
    }

    const fn of_date(self) -> (&'static str, &'static str) {
        match self {
            Self::Connect => ("int32", "org.apache.kafka.connect.data.Date"),
            Self::IsoString => ("string", "io.debezium.time.IsoDate"),
            _ => ("int32", "io.debezium.time.Date"),
        }
    }
}

fn named((kind, name): (&'static str, &'static str)) -> Schema {
    Schema::plain(kind).named(name, 1)
}

impl ColumnType {
    /// The Connect schema of its values, not optional.
    #[must_use]
    pub fn schema(&self) -> Schema {
        let modes = self.modes;
        if self.is_structured() {
            return structured::schema(self.rule.name);
        }
        match self.rule.shape {
            Shape::Plain(kind) => Schema::plain(kind),
            Shape::Named(kind, name) => named((kind, name)),
            Shape::Bytes | Shape::Unknown => bytes_schema(modes.binary),
            Shape::Bits if self.modifier == 1 => Schema::plain("boolean"),
            Shape::Bits => {
                let length = if self.modifier < 0 { i32::MAX } else { self.modifier };
                named(("bytes", "io.debezium.data.Bits")).with("length", length.to_string())
            }
            Shape::Numeric => self.numeric_schema(),
            Shape::Money => match modes.decimal {
                DecimalMode::Precise => decimal_schema(modes.money_digits.to_string()),
                DecimalMode::String => Schema::plain("string"),
                DecimalMode::Double => Schema::plain("double"),
            },
            Shape::Date => named(modes.time.of_date()),
            Shape::Time => named(modes.time.of_time(self.fraction_digits())),
            Shape::Timestamp => named(modes.time.of_timestamp(self.fraction_digits())),
            Shape::Interval => named(match modes.interval {
                IntervalMode::Numeric => ("int64", "io.debezium.time.MicroDuration"),
                IntervalMode::String => ("string", "io.debezium.time.Interval"),
            }),
            Shape::Point => point_schema(),
            Shape::Line => {
                let double = || Schema::plain("double");
                let fields = Schema::fields([("a", double()), ("b", double()), ("c", double())]);
                noted(fields.named("io.debezium.data.geometry.Line", 1), "Geometry (LINE)")
            }
            Shape::Circle => {
                let fields = Schema::fields([("center", point_schema()), ("radius", Schema::plain("double"))]);
                noted(fields.named("io.debezium.data.geometry.Circle", 1), "Geometry (CIRCLE)")
            }
            Shape::Geometry => geometry_schema(),
            Shape::Hstore if modes.hstore == HstoreMode::Json => named(("string", "io.debezium.data.Json")),
            Shape::Hstore => {
                let text = || Box::new(Schema::plain("string"));
                Schema::of(SchemaKind::Map(text(), Box::new(Schema::plain("string").or_null())))
            }
            Shape::Enum => named(("string", "io.debezium.data.Enum")).with("allowed", self.labels.join(",")),
            Shape::Array => {
                let element = self.parts.first().map_or_else(|| Schema::plain("string"), |(_, part)| part.schema());
                Schema::of(SchemaKind::Array(Box::new(Schema { optional: self.has_optional_items(), ..element })))
            }
            Shape::Composite => {
                let field = |(name, part): &(String, Self)| (name.clone(), part.schema().or_null());
                Schema::of(SchemaKind::Struct(self.parts.iter().map(field).collect()))
            }
        }
    }

    /// Whether its values are structs of the parts of a time.
    fn is_structured(&self) -> bool {
        const NAMES: [&str; 6] = ["date", "time", "timetz", "timestamp", "timestamptz", "interval"];
        self.modes.time == TimeMode::Structured && NAMES.contains(&self.rule.name)
    }

    /// Debezium forgot to say of some arrays that their elements may be NULL.
    fn has_optional_items(&self) -> bool {
        let is_vector = |of: &Self| of.rule.name.ends_with("vector");
        let forgotten = |part: &Self| matches!(part.rule.shape, Shape::Enum | Shape::Unknown) || is_vector(part);
        !is_vector(self) && self.parts.first().is_none_or(|(_, part)| !forgotten(part))
    }

    fn numeric_schema(&self) -> Schema {
        match (self.modes.decimal, self.precision_and_scale()) {
            (DecimalMode::String, _) => Schema::plain("string"),
            (DecimalMode::Double, _) => Schema::plain("double"),
            (DecimalMode::Precise, Some((precision, scale))) => {
                decimal_schema(scale.max(0).to_string()).with("connect.decimal.precision", precision.to_string())
            }
            (DecimalMode::Precise, None) => {
                let fields = Schema::fields([("scale", Schema::plain("int32")), ("value", Schema::plain("bytes"))]);
                noted(fields.named("io.debezium.data.VariableScaleDecimal", 1), "Variable scaled decimal")
            }
        }
    }

    /// Whether Debezium reads defaults of this type, and can put one into a schema.
    #[must_use]
    pub fn takes_default(&self) -> bool {
        const NAMES: [&str; 21] = [
            "bit",
            "varbit",
            "bool",
            "bpchar",
            "varchar",
            "text",
            "numeric",
            "float4",
            "float8",
            "int2",
            "int4",
            "int8",
            "json",
            "jsonb",
            "xml",
            "uuid",
            "date",
            "time",
            "timestamp",
            "timestamptz",
            "interval",
        ];
        let structure = self.rule.shape == Shape::Numeric
            && self.modes.decimal == DecimalMode::Precise
            && self.precision_and_scale().is_none();
        (NAMES.contains(&self.rule.name) && !structure && !self.is_structured()) || self.rule.shape == Shape::Enum
    }

    /// What stands for a default that is an expression; none for an enum.
    #[must_use]
    pub fn generated_default(&self) -> Option<Vec<u8>> {
        Some(match self.rule.name {
            "json" | "jsonb" => b"\"{}\"".to_vec(),
            "uuid" => b"\"00000000-0000-0000-0000-000000000000\"".to_vec(),
            "timestamptz" => match self.fraction_digits() {
                0 => b"\"1970-01-01T00:00:00Z\"".to_vec(),
                digits => format!("\"1970-01-01T00:00:00.{}Z\"", "0".repeat(digits)).into_bytes(),
            },
            "enum" => return None,
            _ => self.fallback(),
        })
    }

    /// JSON of an unknown value of a NOT NULL column without a default: the type's zero.
    #[must_use]
    pub fn fallback(&self) -> Vec<u8> {
        if self.is_structured() {
            return structured::zero(self.rule.name, self.fraction_digits());
        }
        let text: &str = match self.rule.shape {
            Shape::Plain("boolean") => "false",
            Shape::Plain("string") | Shape::Bytes | Shape::Unknown | Shape::Enum => "\"\"",
            Shape::Plain("float" | "double") => "0.0",
            Shape::Plain(_) => "0",
            Shape::Named(_, "io.debezium.time.ZonedTimestamp") => "\"1970-01-01T00:00:00Z\"",
            Shape::Named(_, "io.debezium.time.ZonedTime") => "\"00:00:00Z\"",
            Shape::Named(..) => "\"\"",
            Shape::Bits if self.modifier == 1 => "false",
            Shape::Bits => "\"\"",
            Shape::Numeric | Shape::Money => return self.zero_number(),
            Shape::Date | Shape::Time | Shape::Timestamp if self.modes.time == TimeMode::IsoString => {
                match self.rule.shape {
                    Shape::Date => "\"1970-01-01Z\"",
                    Shape::Time => "\"00:00:00Z\"",
                    _ => "\"1970-01-01T00:00:00Z\"",
                }
            }
            Shape::Date | Shape::Time | Shape::Timestamp => "0",
            Shape::Interval if self.modes.interval == IntervalMode::String => "\"P0Y0M0DT0H0M0S\"",
            Shape::Interval => "0",
            Shape::Hstore if self.modes.hstore == HstoreMode::Json => "\"{}\"",
            Shape::Hstore | Shape::Composite => "{}",
            Shape::Array => "[]",
            Shape::Point | Shape::Line | Shape::Circle | Shape::Geometry => return self.zero_geometry(),
        };
        text.as_bytes().to_vec()
    }

    fn zero_number(&self) -> Vec<u8> {
        let money = self.rule.shape == Shape::Money;
        let scale = if money {
            self.modes.money_digits as usize
        } else {
            self.precision_and_scale().map_or(0, |(_, scale)| usize::try_from(scale).unwrap_or(0))
        };
        match self.modes.decimal {
            DecimalMode::Double => b"0.0".to_vec(),
            DecimalMode::String if scale == 0 => b"\"0\"".to_vec(),
            DecimalMode::String => format!("\"0.{}\"", "0".repeat(scale)).into_bytes(),
            DecimalMode::Precise if money || self.precision_and_scale().is_some() => b"\"AA==\"".to_vec(),
            DecimalMode::Precise => b"{\"scale\":0,\"value\":\"AA==\"}".to_vec(),
        }
    }

    fn zero_geometry(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let zero = (0.0, 0.0);
        match self.rule.name {
            "point" => geometry::write_point(&mut out, zero),
            "circle" => geometry::write_circle(&mut out, zero, 0.0),
            "line" => geometry::write_line(&mut out, [0.0, 1.0, 0.0]),
            "box" => {
                let ring = geometry::ring_of_box(zero, (1.0, 1.0));
                geometry::write_geometry(&mut out, &ring, true, "\"type\":\"box\"");
            }
            "polygon" => {
                let ring = [zero, (1.0, 0.0), (0.0, 1.0), zero];
                geometry::write_geometry(&mut out, &ring, true, "\"type\":\"polygon\"");
            }
            name => geometry::write_geometry(&mut out, &[zero, (1.0, 0.0)], false, &format!("\"type\":\"{name}\"")),
        }
        out
    }

    /// JSON of an unchanged TOASTed value, and its text for the Arrow column.
    #[must_use]
    pub fn placeholder(&self, placeholder: &Placeholder) -> (Vec<u8>, Option<String>) {
        let (text, mut json) = (placeholder.text.as_str(), Vec::new());
        match self.rule.toast {
            Toast::Null => return (b"null".to_vec(), None),
            Toast::Bytes if self.rule.shape == Shape::Bytes && self.modes.binary == BinaryMode::Hex => {
                // Where bytes show as hexadecimal digits, the real connector shows the text itself.
                write_string(&mut json, text);
                return (json, Some(text.to_owned()));
            }
            Toast::Text => {
                write_string(&mut json, text);
                return (json, Some(text.to_owned()));
            }
            Toast::Bytes => {
                let mut shown = Vec::new();
                super::basic::write_bytes(&mut shown, &placeholder.bytes, self.modes.binary);
                let shown = String::from_utf8(shown).unwrap_or_default();
                write_string(&mut json, &shown);
                return (json, Some(shown));
            }
            Toast::Hstore => {
                let mut cell = Cell { json: &mut json, column: None };
                container::write_pairs(&[(text, Some(text))], self.modes.hstore, &mut cell);
            }
            Toast::Array => self.array_placeholder(placeholder, &mut json),
        }
        let shown = (json != b"null").then(|| String::from_utf8_lossy(&json).into_owned());
        (json, shown)
    }

    fn array_placeholder(&self, placeholder: &Placeholder, json: &mut Vec<u8>) {
        let Placeholder { text, bytes } = placeholder;
        let one = |json: &mut Vec<u8>, write: &dyn Fn(&mut Vec<u8>)| {
            json.push(b'[');
            write(json);
            json.push(b']');
        };
        match self.parts.first().map(|(_, part)| part.rule.name) {
            Some("text" | "varchar" | "bpchar" | "json" | "jsonb") => one(json, &|out| write_string(out, text)),
            Some("bytea") if self.modes.binary == BinaryMode::Bytes => one(json, &|out| {
                out.push(b'"');
                write_base64(out, bytes);
                out.push(b'"');
            }),
            Some("uuid") => one(json, &|out| write_string(out, &name_uuid(bytes))),
            Some("int4" | "int8" | "date") => one(json, &|out| {
                for (place, byte) in bytes.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    write_int(out, byte.cast_signed());
                }
            }),
            _ => json.extend_from_slice(b"null"),
        }
    }
}

/// The uuid of a name, version 3 without a namespace, as Java's `nameUUIDFromBytes` makes it.
fn name_uuid(bytes: &[u8]) -> String {
    let mut hash: [u8; 16] = md5::Md5::digest(bytes).into();
    hash[6] = hash[6] & 0x0F | 0x30;
    hash[8] = hash[8] & 0x3F | 0x80;
    let mut out = Vec::with_capacity(36);
    thm_codec::debezium::write_uuid(&mut out, &hash);
    String::from_utf8(out).unwrap_or_default()
}

fn bytes_schema(mode: BinaryMode) -> Schema {
    Schema::plain(if mode == BinaryMode::Bytes { "bytes" } else { "string" })
}

fn decimal_schema(scale: String) -> Schema {
    named(("bytes", "org.apache.kafka.connect.data.Decimal")).with("scale", scale)
}

fn noted(mut schema: Schema, doc: &str) -> Schema {
    schema.doc = Some(doc.to_owned());
    schema
}

fn point_schema() -> Schema {
    let fields = Schema::fields([
        ("x", Schema::plain("double")),
        ("y", Schema::plain("double")),
        ("wkb", Schema::plain("bytes").or_null()),
        ("srid", Schema::plain("int32").or_null()),
    ]);
    noted(fields.named("io.debezium.data.geometry.Point", 1), "Geometry (POINT)")
}

fn geometry_schema() -> Schema {
    let text = || Box::new(Schema::plain("string"));
    let fields = Schema::fields([
        ("wkb", Schema::plain("bytes")),
        ("srid", Schema::plain("int32").or_null()),
        ("extensions", Schema::of(SchemaKind::Map(text(), text())).or_null()),
    ]);
    noted(fields.named("io.debezium.data.geometry.Geometry", 2), "Geometry")
}

impl ColumnType {
    /// Whether its values are texts for masks: those that JDBC calls characters.
    #[must_use]
    pub fn is_plain_text(&self) -> bool {
        matches!(self.rule.name, "text" | "varchar" | "bpchar" | "char" | "name") || self.rule.shape == Shape::Enum
    }

    /// Whether bytes show as text (`binary.handling.mode`).
    #[must_use]
    pub fn is_text_of_bytes(&self) -> bool {
        self.modes.binary != BinaryMode::Bytes
    }

    /// Whether the server may send its text: it has no binary form, or its binary form is its text.
    #[must_use]
    pub fn reads_text(&self) -> bool {
        self.rule.shape == Shape::Enum || self.has_only_text()
    }

    /// Whether the handling mode shows some values as NULL: NaN where digits are wanted, times beyond 64 bits.
    #[must_use]
    pub fn loses_values(&self) -> bool {
        match self.rule.shape {
            Shape::Numeric => self.modes.decimal == DecimalMode::Precise,
            Shape::Timestamp => self.modes.time == TimeMode::Nanos,
            _ => false,
        }
    }

    /// Whether the server has no other form of it than its text.
    #[must_use]
    pub fn has_only_text(&self) -> bool {
        std::ptr::eq(self.rule, &super::rules::AS_TEXT)
    }

    /// Length and scale as the JDBC driver tells them; a numeric without a declared one has no scale.
    #[must_use]
    pub fn declared_size(&self) -> (i64, Option<i64>) {
        if self.rule.shape == Shape::Numeric && self.precision_and_scale().is_none() {
            return (0, None);
        }
        let (length, scale) = self.size_and_scale();
        (length, Some(scale))
    }

    fn size_and_scale(&self) -> (i64, i64) {
        if let (Shape::Array, Some((_, element))) = (self.rule.shape, self.parts.first()) {
            return element.size_and_scale();
        }
        let unknown = i64::from(i32::MAX);
        let modifier = i64::from(self.modifier);
        let digits = if modifier < 0 { 6 } else { modifier & 0xFFFF };
        let seconds = match modifier {
            0 => 0,
            1 => 3,
            _ => digits + 1,
        };
        match self.rule.name {
            "int2" => (5, 0),
            "int4" | "oid" => (10, 0),
            "int8" => (19, 0),
            "float4" => (8, 8),
            "float8" => (17, 17),
            "bool" | "char" => (1, 0),
            "numeric" => {
                self.precision_and_scale().map_or((0, 0), |(precision, scale)| (precision.into(), scale.into()))
            }
            "varchar" | "bpchar" if modifier >= 4 => (modifier - 4, 0),
            "bit" | "varbit" if modifier >= 0 => (modifier, 0),
            "date" => (13, 0),
            "time" => (8 + seconds, digits),
            "timetz" => (14 + seconds, digits),
            "timestamp" => (22 + seconds, digits),
            "timestamptz" => (28 + seconds, digits),
            "interval" => (49, digits),
            _ => (unknown, 0),
        }
    }
}
