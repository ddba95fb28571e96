//! The options of converters: `key.converter`, `value.converter`, `header.converter` and what stands under them.

use thm_api::{ConnectorConfig, ConnectorKind};
use thm_codec::connect::JsonForm;

use super::super::{Findings, named};
use super::encoding::{Encoding, NAMES};
use super::{Form, Role};

/// A class of converters.
struct Class {
    name: &'static str,
    form: Form,
    /// Keys and values may have it.
    parts: bool,
    options: &'static [&'static str],
}

const JSON: Form = Form::Json { schemas: true, form: JsonForm { defaults: false, numeric: false } };

static CLASSES: &[Class] = &[
    Class {
        name: "org.apache.kafka.connect.json.JsonConverter",
        form: JSON,
        parts: true,
        options: &["schemas.enable", "schemas.cache.size", "decimal.format", "replace.null.with.default"],
    },
    Class {
        name: "org.apache.kafka.connect.storage.StringConverter",
        form: Form::Text(Encoding::Utf8),
        parts: true,
        options: &["converter.encoding"],
    },
    Class {
        name: "org.apache.kafka.connect.converters.ByteArrayConverter",
        form: Form::Bytes,
        parts: true,
        options: &[],
    },
    Class {
        name: "org.apache.kafka.connect.storage.SimpleHeaderConverter",
        form: Form::Simple,
        parts: false,
        options: &[],
    },
];

/// What every converter knows, and what the worker sets itself.
const COMMON: [&str; 2] = ["converter.type", "plugin.version"];

/// The form that a connector's options ask for; findings name what is wrong with them.
pub(super) fn read(config: &ConnectorConfig, role: Role, findings: &mut Findings) -> Form {
    let option = role.option();
    let given = config.get(option);
    let class = match (given, role) {
        (Some(name), _) => named(CLASSES, name, |class| class.name),
        (None, Role::Header) => CLASSES.last(),
        (None, _) => CLASSES.first(),
    };
    let Some(class) = class.filter(|class| class.parts || role == Role::Header) else {
        let known = CLASSES.iter().filter(|class| class.parts || role == Role::Header);
        let known: Vec<_> = known.map(|class| class.name).collect();
        let name = given.unwrap_or_default();
        let message = format!(
            "Invalid value {name} for configuration {option}: Class {name} could not be found; available are: {}",
            known.join(", ")
        );
        findings.issues.push((option.to_owned(), message));
        return JSON;
    };
    warn_of_unknown(config, role, class, findings);
    let mut options = Options { config, prefix: format!("{option}."), findings };
    match class.form {
        Form::Json { .. } => {
            options.number("schemas.cache.size");
            // Nobody named a converter: then it is the worker's own, which writes none.
            let schemas = options.flag("schemas.enable", given.is_some());
            let defaults = options.flag("replace.null.with.default", false);
            Form::Json { schemas, form: JsonForm { defaults, numeric: options.numeric() } }
        }
        Form::Text(_) => Form::Text(options.encoding()),
        other => other,
    }
}

fn warn_of_unknown(config: &ConnectorConfig, role: Role, class: &Class, findings: &mut Findings) {
    let prefix = format!("{}.", role.option());
    let known = |name: &str| class.options.contains(&name) || COMMON.contains(&name);
    for option in config.values().keys() {
        if option.strip_prefix(&prefix).is_some_and(|name| !known(name)) {
            let message = format!("{option} is no option of {}: it has no effect", class.name);
            findings.warnings.push((option.clone(), message));
        }
    }
}

/// What is wrong with a connector's converters. A sink reads keys and values by its own rules: only options are looked at.
pub(in super::super) fn check(config: &ConnectorConfig, kind: ConnectorKind, findings: &mut Findings) {
    match kind {
        ConnectorKind::Source => {
            for role in Role::ALL {
                read(config, role, findings);
            }
        }
        ConnectorKind::Sink => {
            for role in [Role::Key, Role::Value] {
                let class = config.get(role.option()).and_then(|name| named(CLASSES, name, |class| class.name));
                if let Some(class) = class {
                    warn_of_unknown(config, role, class, findings);
                }
            }
            let option = Role::Header.option();
            if config.get(option).is_some_and(|class| !class.ends_with("SimpleHeaderConverter")) {
                let message = format!("{option} has no effect here: a sink gets headers as they stand in the topic");
                findings.warnings.push((option.to_owned(), message));
            }
        }
    }
}

/// Options under one converter's name.
struct Options<'a, 'f> {
    config: &'a ConnectorConfig,
    prefix: String,
    findings: &'f mut Findings,
}

impl Options<'_, '_> {
    fn read<T>(&mut self, name: &str, default: T, parse: impl Fn(&str) -> Option<T>, problem: &str) -> T {
        let option = format!("{}{name}", self.prefix);
        let Some(text) = self.config.get(&option) else { return default };
        parse(text).unwrap_or_else(|| {
            let message = format!("Invalid value {text} for configuration {option}: {problem}");
            self.findings.issues.push((option, message));
            default
        })
    }

    fn flag(&mut self, name: &str, default: bool) -> bool {
        let parse = |text: &str| text.to_ascii_lowercase().parse().ok();
        self.read(name, default, parse, "Expected value to be either true or false")
    }

    fn number(&mut self, name: &str) {
        self.read(name, 0, |text| text.parse::<i32>().ok(), "Not a number of type INT");
    }

    fn numeric(&mut self) -> bool {
        let parse = |text: &str| match text.to_ascii_uppercase().as_str() {
            "BASE64" => Some(false),
            "NUMERIC" => Some(true),
            _ => None,
        };
        self.read("decimal.format", false, parse, "String must be one of (case insensitive): BASE64, NUMERIC")
    }

    fn encoding(&mut self) -> Encoding {
        let problem = format!("no such character set here; there are: {NAMES}");
        self.read("converter.encoding", Encoding::Utf8, Encoding::parse, &problem)
    }
}
