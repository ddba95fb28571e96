//! Handling modes: how values of some types show.

/// How `numeric` and `money` show (`decimal.handling.mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecimalMode {
    /// Unscaled bytes in base64.
    #[default]
    Precise,
    /// Plain text.
    String,
    /// A double.
    Double,
}

/// How dates and times show (`time.precision.mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeMode {
    /// By the column's precision.
    #[default]
    Adaptive,
    /// The same, but times in microseconds.
    AdaptiveTimeMicros,
    /// Milliseconds, as Connect's own types count.
    Connect,
    /// ISO 8601 texts.
    IsoString,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
    /// Structs of their parts; those with a zone and intervals too.
    Structured,
}

/// How `bytea` shows (`binary.handling.mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BinaryMode {
    /// Bytes, which JSON has in base64.
    #[default]
    Bytes,
    /// A text in base64.
    Base64,
    /// A text in base64 of the alphabet for addresses.
    Base64UrlSafe,
    /// A text of hexadecimal digits.
    Hex,
}

/// How `hstore` shows (`hstore.handling.mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HstoreMode {
    /// A text with JSON.
    #[default]
    Json,
    /// A map.
    Map,
}

/// How `interval` shows (`interval.handling.mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntervalMode {
    /// Microseconds, a month taken as 365.25/12 days.
    #[default]
    Numeric,
    /// ISO 8601: `P1Y2M3DT4H5M6.789S`.
    String,
}

/// Handling modes that the table of types looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeModes {
    /// `decimal.handling.mode`
    pub decimal: DecimalMode,
    /// `time.precision.mode`
    pub time: TimeMode,
    /// `binary.handling.mode`
    pub binary: BinaryMode,
    /// `hstore.handling.mode`
    pub hstore: HstoreMode,
    /// `interval.handling.mode`
    pub interval: IntervalMode,
    /// `money.fraction.digits`
    pub money_digits: u32,
    /// `include.unknown.datatypes`
    pub unknown: bool,
    /// What only Debezium 3 shows is left out.
    pub older: bool,
}

impl Default for TypeModes {
    fn default() -> Self {
        Self {
            decimal: DecimalMode::default(),
            time: TimeMode::default(),
            binary: BinaryMode::default(),
            hstore: HstoreMode::default(),
            interval: IntervalMode::default(),
            money_digits: 2,
            unknown: false,
            older: false,
        }
    }
}

impl DecimalMode {
    /// From the option's value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "precise" => Some(Self::Precise),
            "string" => Some(Self::String),
            "double" => Some(Self::Double),
            _ => None,
        }
    }
}

impl TimeMode {
    /// From the option's value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "adaptive" => Some(Self::Adaptive),
            "adaptive_time_microseconds" => Some(Self::AdaptiveTimeMicros),
            "connect" => Some(Self::Connect),
            "isostring" => Some(Self::IsoString),
            "microseconds" => Some(Self::Micros),
            "nanoseconds" => Some(Self::Nanos),
            "structured" => Some(Self::Structured),
            _ => None,
        }
    }
}

impl BinaryMode {
    /// From the option's value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "bytes" => Some(Self::Bytes),
            "base64" => Some(Self::Base64),
            "base64-url-safe" => Some(Self::Base64UrlSafe),
            "hex" => Some(Self::Hex),
            _ => None,
        }
    }
}

impl HstoreMode {
    /// From the option's value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "json" => Some(Self::Json),
            "map" => Some(Self::Map),
            _ => None,
        }
    }
}

impl IntervalMode {
    /// From the option's value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "numeric" => Some(Self::Numeric),
            "string" => Some(Self::String),
            _ => None,
        }
    }
}
