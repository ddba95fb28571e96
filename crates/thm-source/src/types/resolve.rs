//! From what the catalog says of a type to what we do with it.

use std::collections::HashMap;
use std::sync::Arc;

use super::rules::{
    ARRAY, AS_TEXT, COMPOSITE, ENUM, EXTENSIONS, MULTIRANGE, RANGE, UNKNOWN_COMPOSITE, UNKNOWN_DOMAIN,
    UNKNOWN_MULTIRANGE, UNKNOWN_RANGE, rule_of,
};
use super::shape::Shape;
use super::{ColumnType, TypeRule};
use crate::options::TypeModes;

/// What a type is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A type of its own.
    #[default]
    Base,
    /// Its labels.
    Enum(Vec<String>),
    /// The type under it, and that type's modifier.
    Domain(u32, i32),
    /// Names, types and modifiers of its fields.
    Composite(Vec<(String, u32, i32)>),
    /// The type of its bounds.
    Range(u32),
    /// Its range type.
    Multirange(u32),
    /// The type of its elements.
    Array(u32),
}

/// What the catalog says of a type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PgType {
    /// Its name.
    pub name: String,
    /// What it is made of.
    pub kind: Kind,
    /// It has a binary form.
    pub has_binary: bool,
}

/// Types by oid, and names of objects for `regclass` and its like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Types {
    /// By oid; built-in types need not be there.
    pub by_oid: HashMap<u32, PgType>,
    /// By oid of the object.
    pub objects: Arc<HashMap<u32, String>>,
}

/// Deepest nesting of types in types.
const MAX_DEPTH: usize = 32;

impl Types {
    /// What to do with a column of that type; `None` if it is left out.
    #[must_use]
    pub fn resolve(&self, oid: u32, modifier: i32, modes: TypeModes) -> Option<ColumnType> {
        let found = self.find(oid, modifier, modes, 0)?;
        found.is_shown().then_some(found)
    }

    fn find(&self, oid: u32, modifier: i32, modes: TypeModes, depth: usize) -> Option<ColumnType> {
        if depth > MAX_DEPTH {
            return None;
        }
        let made = |rule: &'static TypeRule, parts, labels| ColumnType {
            rule,
            modifier,
            modes,
            parts,
            labels,
            objects: Arc::clone(&self.objects),
        };
        let one = |part| vec![(String::new(), part)];
        if let Some(rule) = rule_of(oid) {
            let element = VECTORS.iter().find(|(vector, _)| *vector == oid);
            let parts = element.and_then(|(_, element)| self.find(*element, -1, modes, depth + 1)).map(one);
            return Some(made(rule, parts.unwrap_or_default(), Vec::new()));
        }
        if let Some(element) = builtin_element(oid) {
            let element = self.find(element, modifier, modes, depth + 1)?;
            return Some(made(&ARRAY, one(element), Vec::new()));
        }
        let told = self.by_oid.get(&oid)?;
        let part = |oid, modifier| self.find(oid, modifier, modes, depth + 1);
        let either = |known, unknown| if modes.unknown { unknown } else { known };
        Some(match &told.kind {
            Kind::Domain(base, base_modifier) => part(*base, *base_modifier)?,
            Kind::Enum(labels) => made(&ENUM, Vec::new(), labels.clone()),
            Kind::Array(element) => {
                let mut found = part(*element, modifier)?;
                if modes.unknown && self.is_domain(*element) {
                    found = made(&UNKNOWN_DOMAIN, one(found), Vec::new());
                }
                made(&ARRAY, one(found), Vec::new())
            }
            Kind::Range(bound) if KNOWN_RANGES.contains(&told.name.as_str()) => {
                made(&RANGE, one(part(*bound, -1)?), Vec::new())
            }
            Kind::Range(bound) => made(either(&RANGE, &UNKNOWN_RANGE), one(part(*bound, -1)?), Vec::new()),
            Kind::Multirange(range) => {
                made(either(&MULTIRANGE, &UNKNOWN_MULTIRANGE), one(part(*range, -1)?), Vec::new())
            }
            Kind::Composite(fields) => {
                let field = |(name, oid, modifier): &(String, u32, i32)| Some((name.clone(), part(*oid, *modifier)?));
                let fields = fields.iter().map(field).collect::<Option<_>>()?;
                made(either(&COMPOSITE, &UNKNOWN_COMPOSITE), fields, Vec::new())
            }
            Kind::Base => match EXTENSIONS.iter().find(|rule| rule.name == told.name) {
                Some(named) => made(named, Vec::new(), Vec::new()),
                // The stream would give a binary form that nobody here can read.
                None if told.has_binary => return None,
                None => made(&AS_TEXT, Vec::new(), Vec::new()),
            },
        })
    }
}

impl Types {
    fn is_domain(&self, oid: u32) -> bool {
        self.by_oid.get(&oid).is_some_and(|told| matches!(told.kind, Kind::Domain(..)))
    }
}

/// Ranges that the real connector knows. Those that users define, composites and sets of ranges it shows as the bytes of
/// their text if it is told to (`include.unknown.datatypes`), and so do we; otherwise it leaves them out, and we show them.
const KNOWN_RANGES: [&str; 6] = ["int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"];
/// Arrays that the real connector leaves out whatever it is told.
const LEFT_OUT_IN_ARRAYS: [&str; 7] = ["money", "name", "interval", "varbit", "xml", "point", "refcursor"];
/// Types that only the newer envelope shows.
const NEWER: [&str; 6] = ["line", "lseg", "box", "path", "polygon", "circle"];

impl ColumnType {
    fn is_shown(&self) -> bool {
        if self.modes.older && NEWER.contains(&self.rule.name) {
            return self.modes.unknown;
        }
        match self.rule.shape {
            Shape::Unknown => self.modes.unknown,
            Shape::Array => self
                .parts
                .first()
                .is_some_and(|(_, element)| !LEFT_OUT_IN_ARRAYS.contains(&element.rule.name) && element.is_shown()),
            _ => true,
        }
    }
}

/// Types of the catalog that are arrays with a text of their own: their oids and their elements'.
const VECTORS: [(u32, u32); 2] = [(22, 21), (30, 26)];

/// Element types of the built-in arrays: array oid, element oid.
const ARRAYS: &[(u32, u32)] = &[
    (143, 142),
    (199, 114),
    (271, 5069),
    (629, 628),
    (651, 650),
    (719, 718),
    (775, 774),
    (791, 790),
    (1000, 16),
    (1001, 17),
    (1002, 18),
    (1003, 19),
    (1005, 21),
    (1006, 22),
    (1007, 23),
    (1008, 24),
    (1009, 25),
    (1010, 27),
    (1011, 28),
    (1012, 29),
    (1013, 30),
    (1014, 1042),
    (1015, 1043),
    (1016, 20),
    (1017, 600),
    (1018, 601),
    (1019, 602),
    (1020, 603),
    (1021, 700),
    (1022, 701),
    (1027, 604),
    (1028, 26),
    (1040, 829),
    (1041, 869),
    (1115, 1114),
    (1182, 1082),
    (1183, 1083),
    (1185, 1184),
    (1187, 1186),
    (1231, 1700),
    (1270, 1266),
    (1561, 1560),
    (1563, 1562),
    (2201, 1790),
    (2951, 2950),
    (3221, 3220),
    (3643, 3614),
    (3645, 3615),
    (3807, 3802),
    (4073, 4072),
];

fn builtin_element(oid: u32) -> Option<u32> {
    ARRAYS.binary_search_by_key(&oid, |(array, _)| *array).ok().map(|index| ARRAYS[index].1)
}
