//! Names of topics, schemas and fields.
//!
//! ```text
//!   prefix, schema, table ──Strategy──▶ topic ──Adjust──▶ schema name `<topic>.Value`
//!   column ──Adjust──▶ field
//! ```

/// How a name is brought within narrower rules (`schema.name.adjustment.mode`, `field.name.adjustment.mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adjust {
    /// It stays as it is.
    #[default]
    None,
    /// What Avro does not allow becomes an underscore.
    Avro,
    /// What Avro does not allow, and the underscore, becomes `_uXXXX`.
    AvroUnicode,
}

impl Adjust {
    /// From the option's value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "avro" => Some(Self::Avro),
            "avro_unicode" => Some(Self::AvroUnicode),
            _ => None,
        }
    }

    /// A schema's full name: dots part it.
    #[must_use]
    pub fn schema(self, name: &str) -> String {
        self.apply(name, true)
    }

    /// A field's name.
    #[must_use]
    pub fn field(self, name: &str) -> String {
        self.apply(name, false)
    }

    fn apply(self, name: &str, dots: bool) -> String {
        if self == Self::None {
            return name.to_owned();
        }
        let mut out = String::with_capacity(name.len());
        // Java counts in UTF-16 units: a character beyond the basic plane is two.
        for (place, unit) in name.encode_utf16().enumerate() {
            let character = char::from_u32(unit.into()).unwrap_or('\u{FFFD}');
            let letter = character.is_ascii_alphabetic() || (character == '_' && self == Self::Avro);
            let later = place > 0 && (character.is_ascii_digit() || (character == '.' && dots));
            match self {
                _ if letter || later => out.push(character),
                Self::AvroUnicode => out.push_str(&escaped(unit)),
                // A digit at the start stays, behind an underscore.
                _ if place == 0 && character.is_ascii_digit() => {
                    out.push('_');
                    out.push(character);
                }
                _ => out.push('_'),
            }
        }
        out
    }
}

fn escaped(unit: u16) -> String {
    let hex = format!("{unit:x}");
    if hex.len() <= 2 { format!("_u00{hex}") } else { format!("_u{hex}") }
}

/// How topics are named (`topic.naming.strategy` and its options).
///
/// Those that put several tables into one topic are not supported: a topic here has one table's columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// `prefix.schema.table`
    #[default]
    Schema,
    /// The same, with other characters as `_uXXXX`.
    Unicode,
}

/// Everything that names topics.
#[derive(Clone, Debug)]
pub struct Naming {
    /// `topic.prefix`
    pub prefix: String,
    /// `topic.delimiter`
    pub delimiter: String,
    /// How tables' topics are named.
    pub strategy: Strategy,
}

/// Kafka's longest topic name.
const MAX_TOPIC: usize = 249;

impl Naming {
    /// Topic of a table's rows.
    #[must_use]
    pub fn table(&self, schema: &str, table: &str) -> String {
        let delimiter = &self.delimiter;
        let plain = format!("{}{delimiter}{schema}{delimiter}{table}", self.prefix);
        self.legal(&plain)
    }

    /// Another topic of the connector, as `prefix.transaction`.
    #[must_use]
    pub fn other(&self, name: &str) -> String {
        self.legal(&format!("{}{}{name}", self.prefix, self.delimiter))
    }

    /// The topic of heartbeats.
    #[must_use]
    pub fn heartbeat(&self, first: &str) -> String {
        self.legal(&format!("{first}{}{}", self.delimiter, self.prefix))
    }

    fn legal(&self, name: &str) -> String {
        let unicode = self.strategy == Strategy::Unicode;
        let mut out = String::with_capacity(name.len());
        for unit in name.encode_utf16() {
            let character = char::from_u32(unit.into()).unwrap_or('\u{FFFD}');
            let plain = character.is_ascii_alphanumeric() || ".-".contains(character);
            match (plain || (character == '_' && !unicode), unicode) {
                (true, _) => out.push(character),
                (false, true) => out.push_str(&escaped(unit)),
                (false, false) => out.push('_'),
            }
        }
        out.truncate(MAX_TOPIC);
        match out.as_str() {
            "." => "_".to_owned(),
            ".." => "__".to_owned(),
            _ => out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of the recorded case `names-adjust-avro`.
    #[test]
    fn avro_names_as_recorded() {
        for (name, expected) in [("Id", "Id"), ("First Name", "First_Name"), ("1st", "_1st"), ("ünï", "_n_")] {
            assert_eq!(Adjust::Avro.field(name), expected);
        }
        assert_eq!(Adjust::Avro.schema("pg.public.Tab-le.Envelope"), "pg.public.Tab_le.Envelope");
        assert_eq!(Adjust::AvroUnicode.field("a b_c"), "a_u0020b_u005fc");
    }

    #[test]
    fn topics() {
        let mut naming = Naming { prefix: "pg".to_owned(), delimiter: ".".to_owned(), strategy: Strategy::Schema };
        assert_eq!(naming.table("My Schema", "Tab le"), "pg.My_Schema.Tab_le");
        naming.strategy = Strategy::Unicode;
        assert_eq!(naming.table("public", "ä_b"), "pg.public._u00e4_u005fb");
        assert_eq!(naming.other("transaction"), "pg.transaction");
    }
}
