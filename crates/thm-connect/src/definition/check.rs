//! Whether a text is a value of its option, in Kafka's words.

use thm_api::{ConfigKey, ConfigType};

/// What is wrong with `text`, the value of the option of that whole name, which the user wrote as `printed` (a secret's text
/// is never in a message).
pub(crate) fn check_value(key: &ConfigKey, name: &str, text: &str, printed: &str) -> Vec<String> {
    let shown = if key.kind == ConfigType::Password { "[hidden]" } else { printed };
    let text = text.trim();
    if name == "name" {
        return check_name(text);
    }
    let problem = match key.kind {
        ConfigType::Int => number::<i32>(key, text),
        ConfigType::Short => number::<i16>(key, text),
        ConfigType::Long => number::<i64>(key, text),
        ConfigType::Double => match text.parse::<f64>() {
            Ok(_) => None,
            Err(_) => Some(not_a_number(key)),
        },
        ConfigType::Boolean => {
            let is_boolean = text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false");
            (!is_boolean).then(|| "Expected value to be either true or false".to_owned())
        }
        ConfigType::String | ConfigType::List | ConfigType::Class | ConfigType::Password => None,
    };
    if let Some(problem) = problem {
        let mut errors = vec![format!("Invalid value {shown} for configuration {name}: {problem}")];
        if problem.starts_with("Not a number") && key.range.is_some() {
            // Kafka checks the range of the null that is left.
            errors.push(format!("Invalid value null for configuration {name}: Value must be non-null"));
        }
        return errors;
    }
    match check_allowed(key, text) {
        Some(problem) => vec![format!("Invalid value {shown} for configuration {name}: {problem}")],
        None => Vec::new(),
    }
}

fn not_a_number(key: &ConfigKey) -> String {
    format!("Not a number of type {}", key.kind.as_str())
}

fn number<T: std::str::FromStr + Into<i64>>(key: &ConfigKey, text: &str) -> Option<String> {
    let Ok(value) = text.parse::<T>() else { return Some(not_a_number(key)) };
    let value: i64 = value.into();
    let (least, most) = key.range?;
    if value < least {
        Some(format!("Value must be at least {least}"))
    } else if value > most {
        Some(format!("Value must be no more than {most}"))
    } else {
        None
    }
}

fn check_allowed(key: &ConfigKey, text: &str) -> Option<String> {
    let is_allowed = key.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(text));
    let unchecked = key.allowed.is_empty() || is_allowed || (text.is_empty() && !key.required);
    (!unchecked).then(|| format!("String must be one of: {}", key.allowed.join(", ")))
}

fn check_name(text: &str) -> Vec<String> {
    let control: Vec<String> = text.chars().filter(|c| c.is_control()).map(|c| u32::from(c).to_string()).collect();
    if text.is_empty() {
        vec![format!("Invalid value {text} for configuration name: String may not be empty")]
    } else if !control.is_empty() {
        vec![format!(
            "Invalid value {text} for configuration name: String may not contain control sequences but had the \
             following ASCII chars: {}",
            control.join(", ")
        )]
    } else {
        Vec::new()
    }
}
