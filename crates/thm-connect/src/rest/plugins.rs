//! `/connector-plugins`: the classes there are, their options, and the validation of a configuration.

use std::borrow::Cow;

use serde_json::{Value, json};
use thm_api::{ConfigType, Connector};

use super::reply::Reply;
use super::{Call, body};
use crate::definition::{Definition, OptionReport, RawConfig, Validation};
use crate::herder::{Herder, Refusal};
use crate::options::VERSION;

/// All classes: sinks first, as Connect lists them.
pub(super) fn list(herder: &Herder) -> Reply {
    let mut classes: Vec<(&str, &str)> = herder.classes().map(|class| (class.kind().as_str(), class.class())).collect();
    classes.sort_unstable();
    let line = |(kind, class): &(&str, &str)| json!({"class": class, "type": kind, "version": VERSION});
    Reply::json(200, &classes.iter().map(line).collect::<Vec<_>>())
}

/// The options of a class.
pub(super) fn config(herder: &Herder, class: &str, call: &Call) -> Result<Reply, Refusal> {
    let unknown = || Refusal::new(404, format!("Unknown plugin {class}."));
    let connector = herder.class(class).ok_or_else(unknown)?;
    if let Some(version) = call.value("version").filter(|version| !VERSION.starts_with(version)) {
        let message = format!(
            "Plugin {} not found that matches the version range [{version},{version}], available versions: [{VERSION}]",
            connector.class()
        );
        return Err(Refusal::new(400, message));
    }
    let mut definitions: Vec<Value> = Herder::definitions(&*connector).iter().map(definition).collect();
    for converter in definitions.iter_mut().filter(|line| is_converter(line)) {
        // The worker's own default, which Connect does not tell here.
        converter["default_value"] = Value::Null;
    }
    Ok(Reply::json(200, &definitions))
}

fn is_converter(definition: &Value) -> bool {
    let name = definition["name"].as_str().unwrap_or_default();
    ["key.converter", "value.converter", "header.converter"].iter().any(|prefix| name.starts_with(prefix))
}

fn definition(of: &Definition) -> Value {
    let key = of.key;
    let default = if key.kind == ConfigType::Password { key.default.map(|_| "[hidden]") } else { key.default };
    json!({
        "name": key.name,
        "type": key.kind.as_str(),
        "required": key.required,
        "default_value": default,
        "importance": key.importance.as_str(),
        "documentation": key.doc,
        "group": (!key.group.is_empty()).then_some(key.group),
        "order_in_group": of.order,
        "width": of.width,
        "display_name": of.display,
        "dependents": [],
    })
}

/// Checks a configuration; asks the outside too where the class can.
pub(super) async fn validate(herder: &Herder, class: &str, call: &Call) -> Result<Reply, Refusal> {
    let config = body::config(&call.body)?;
    let Some(included) = config.get("connector.class").cloned().flatten() else {
        return Err(wrapped(herder.class_of(&config).err()));
    };
    if !stem(&included).ends_with(stem(class)) {
        let message = format!("Included connector type {included} does not match request type {class}");
        return Err(Refusal::new(400, message));
    }
    let connector = herder.class_of(&config).map_err(|refusal| wrapped(Some(refusal)))?;
    let mut validation = herder.validate(&config).map_err(|refusal| wrapped(Some(refusal)))?;
    herder.preflight(&*connector, &config, &mut validation).await;
    Ok(Reply::json(200, &report(&*connector, &included, &config, &validation)))
}

/// A class name as Connect compares it.
fn stem(class: &str) -> &str {
    class.strip_suffix("Connector").unwrap_or(class)
}

/// Connect's validation runs in another thread, whose failures come as this.
fn wrapped(refusal: Option<Refusal>) -> Refusal {
    let message = refusal.map(|refusal| refusal.message).unwrap_or_default();
    Refusal::new(500, format!("org.apache.kafka.connect.runtime.rest.errors.BadRequestException: {message}"))
}

fn report(connector: &dyn Connector, included: &str, config: &RawConfig, validation: &Validation) -> Value {
    let mut groups: Vec<Cow<'static, str>> = Vec::new();
    for option in &validation.options {
        let group = option.group();
        if !group.is_empty() && !groups.contains(&group) {
            groups.push(group);
        }
    }
    let mut configs: Vec<Value> = validation.options.iter().map(option).collect();
    for (name, message) in &validation.other_errors {
        configs.push(undefined(name, config.get(name).cloned().flatten(), message));
    }
    let mut report = json!({
        "name": included,
        "error_count": validation.errors().count(),
        "groups": groups,
        "configs": configs,
    });
    if !validation.warnings.is_empty() {
        // Connect has no place for these; its clients pass over fields that they do not know.
        let line = |(name, message): &(String, String)| json!({"name": name, "message": message});
        report["warnings"] = validation.warnings.iter().map(line).collect();
    }
    tracing::debug!(class = connector.class(), errors = validation.errors().count(), "configuration validated");
    report
}

fn option(of: &OptionReport) -> Value {
    let (name, group) = (of.name(), of.group());
    let mut definition = definition(&of.definition);
    definition["name"] = json!(name);
    definition["group"] = if group.is_empty() { Value::Null } else { json!(group) };
    definition["display_name"] = json!(of.display());
    json!({
        "definition": definition,
        "value": {
            "name": name,
            "value": of.value,
            "recommended_values": [],
            "errors": of.errors,
            "visible": true,
        },
    })
}

/// An error of an option that no table defines, for instance one of a family.
fn undefined(name: &str, value: Option<String>, message: &str) -> Value {
    json!({
        "definition": {
            "name": name,
            "type": "STRING",
            "required": false,
            "default_value": null,
            "importance": "LOW",
            "documentation": "",
            "group": null,
            "order_in_group": -1,
            "width": "NONE",
            "display_name": name,
            "dependents": [],
        },
        "value": {"name": name, "value": value, "recommended_values": [], "errors": [message], "visible": true},
    })
}
