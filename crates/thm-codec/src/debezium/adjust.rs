//! Names within narrower rules than ours, as Debezium spells them for converters such as Avro's.

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
                Self::AvroUnicode => out.push_str(&escape_unit(unit)),
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

/// `_uXXXX` of one UTF-16 unit.
#[must_use]
pub fn escape_unit(unit: u16) -> String {
    let hex = format!("{unit:x}");
    if hex.len() <= 2 { format!("_u00{hex}") } else { format!("_u{hex}") }
}
