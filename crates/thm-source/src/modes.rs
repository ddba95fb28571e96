//! Modes: how values of some types show, and which rows a first start takes.

use thm_api::ConnectorConfig;

/// Which rows a first start takes (`snapshot.mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotMode {
    /// All rows of the captured tables, then changes.
    Initial,
    /// All rows of the captured tables, and nothing after them.
    InitialOnly,
    /// All rows at every start.
    Always,
    /// All rows at the first start, and where the slot has lost changes.
    WhenNeeded,
    /// Changes only.
    NoData,
}

impl SnapshotMode {
    /// What the options say; `None` if that is no mode, or one that takes nothing at all.
    pub(crate) fn of(config: &ConnectorConfig) -> Option<Self> {
        let is_on = |flag: &str| {
            let option = format!("snapshot.mode.configuration.based.{flag}");
            config.text(&option, "false").eq_ignore_ascii_case("true")
        };
        match config.text("snapshot.mode", "initial").to_ascii_lowercase().as_str() {
            "initial" => Some(Self::Initial),
            "initial_only" => Some(Self::InitialOnly),
            "always" => Some(Self::Always),
            "when_needed" => Some(Self::WhenNeeded),
            "no_data" | "never" => Some(Self::NoData),
            "configuration_based" => match (is_on("snapshot.data"), is_on("start.stream")) {
                (true, true) => Some(Self::Initial),
                (true, false) => Some(Self::InitialOnly),
                (false, true) => Some(Self::NoData),
                (false, false) => None,
            },
            _ => None,
        }
    }
}

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
