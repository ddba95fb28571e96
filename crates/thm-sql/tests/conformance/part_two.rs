//! Which statements belong to part two of Flink SQL, by name; and which function a statement is about.

use serde_json::Value;

/// Names of functions and words that need state, and what they are called in the summary.
const WORDS: &[(&str, &str)] = &[
    ("TUMBLE", "windows"),
    ("HOP", "windows"),
    ("CUMULATE", "windows"),
    ("SESSION", "windows"),
    ("MATCH_RECOGNIZE", "MATCH_RECOGNIZE"),
    ("OVER", "OVER windows"),
    ("GROUP", "aggregates"),
    ("HAVING", "aggregates"),
    ("DISTINCT", "DISTINCT"),
    ("COUNT", "aggregates"),
    ("SUM", "aggregates"),
    ("SUM0", "aggregates"),
    ("AVG", "aggregates"),
    ("MIN", "aggregates"),
    ("MAX", "aggregates"),
    ("LISTAGG", "aggregates"),
    ("COLLECT", "aggregates"),
    ("ARRAY_AGG", "aggregates"),
    ("FIRST_VALUE", "aggregates"),
    ("LAST_VALUE", "aggregates"),
    ("SINGLE_VALUE", "aggregates"),
    ("STDDEV_POP", "aggregates"),
    ("STDDEV_SAMP", "aggregates"),
    ("STDDEV", "aggregates"),
    ("VAR_POP", "aggregates"),
    ("VAR_SAMP", "aggregates"),
    ("VARIANCE", "aggregates"),
    ("JSON_OBJECTAGG", "aggregates"),
    ("JSON_ARRAYAGG", "aggregates"),
    ("APPROX_COUNT_DISTINCT", "aggregates"),
    ("GROUPING", "aggregates"),
    ("GROUPING_ID", "aggregates"),
    ("CURRENT_WATERMARK", "watermarks"),
    ("INTERSECT", "set operations"),
    ("EXCEPT", "set operations"),
    ("MINUS", "set operations"),
    ("EXISTS", "subqueries that join"),
    ("LIMIT", "sorting and top-N"),
    ("FETCH", "sorting and top-N"),
];

/// What of part two a statement needs.
pub fn of(sql: &str) -> Option<&'static str> {
    let mut words = words(sql);
    // IS [NOT] DISTINCT FROM compares two values.
    for at in 1..words.len() {
        if words[at] == "DISTINCT" && matches!(words[at - 1].as_str(), "IS" | "NOT") {
            words[at].clear();
        }
    }
    if let Some((_, part)) = WORDS.iter().find(|(word, _)| words.iter().any(|found| found == word)) {
        return Some(part);
    }
    let pairs = |a: &str, b: &str| words.windows(2).any(|pair| pair[0] == a && pair[1] == b);
    if pairs("ORDER", "BY") {
        return Some("sorting and top-N");
    }
    if words.iter().any(|word| word == "UNION") && !pairs("UNION", "ALL") {
        return Some("set operations");
    }
    if pairs("IN", "SELECT")
        || words.iter().skip(1).filter(|word| *word == "SELECT").count() > 0 && scalar_subquery(sql)
    {
        return Some("subqueries that join");
    }
    let joins = words.iter().any(|word| word == "JOIN");
    let stateless = ["UNNEST", "LATERAL", "SYSTEM_TIME"].iter().any(|word| words.iter().any(|found| found == word));
    (joins && !stateless).then_some("joins")
}

/// Options of a case under which Flink keeps every row.
pub fn option(case: &Value) -> Option<&'static str> {
    let text = format!("{} {}", case["config"], case["setup"]);
    let set = |option: &str, value: &str| {
        text.split(option).skip(1).any(|rest| rest.trim_start_matches(['"', '\'', ':', '=', ' ']).starts_with(value))
    };
    if set("table.exec.source.cdc-events-duplicate", "true") {
        return Some("changes without copies");
    }
    // AUTO keeps rows too, where the sink's key is not the source's.
    let materializes =
        set("table.exec.sink.upsert-materialize", "FORCE") || set("table.exec.sink.upsert-materialize", "AUTO");
    let by_default = case["name"].as_str().is_some_and(|name| name.ends_with("materialize AUTO"));
    (materializes || by_default).then_some("materialized sinks")
}

/// A subquery where a value stands.
fn scalar_subquery(sql: &str) -> bool {
    let upper = sql.to_ascii_uppercase();
    ["= (SELECT", "> (SELECT", "< (SELECT", "SELECT (SELECT", ", (SELECT", "=(SELECT"]
        .iter()
        .any(|part| upper.contains(part))
}

/// Words outside of quotes, in upper case.
fn words(sql: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for letter in sql.chars().chain([' ']) {
        if quote.is_some() {
            if Some(letter) == quote {
                quote = None;
            }
            continue;
        }
        if letter.is_alphanumeric() || letter == '_' {
            word.extend(letter.to_uppercase());
            continue;
        }
        if !word.is_empty() {
            out.push(std::mem::take(&mut word));
        }
        if matches!(letter, '\'' | '`' | '"') {
            quote = Some(letter);
        }
    }
    out
}

/// The first function or form of a statement, for the summary.
pub fn function_of(sql: &str) -> String {
    let plain: String = sql.split('\'').step_by(2).collect();
    let upper = plain.to_ascii_uppercase();
    for (at, _) in upper.match_indices('(') {
        let before = upper[..at].trim_end();
        let name: String = before.chars().rev().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let name: String = name.chars().rev().collect();
        if !name.is_empty() && !["VALUES", "FROM", "AS", "IN", "SELECT", "BY", "AND", "T"].contains(&name.as_str()) {
            return name;
        }
    }
    words(sql).into_iter().next().unwrap_or_default()
}
