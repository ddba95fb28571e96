//! Statements by the thousand from a few lines, for the comparison with a running Flink (`make conformance-sql-live`).
//!
//! ```text
//!   live/*.txt:  FROM table          ─▶  {"from": table, "exprs": [every expression, alternatives multiplied out]}
//!                expression {a ~ b}
//!                CONST               ─▶  {"exprs": […]}        expressions of constants
//!                STATEMENTS          ─▶  {"sql": line}         whole statements
//! ```
//! Lines that start with `--` are comments. `{a ~ b ~ c}` stands for each of its alternatives, also several times in a
//! line; other braces stand for themselves.

use std::path::Path;

use serde_json::json;

/// Prints what a file asks, one JSON object a line.
pub fn print(file: &Path) {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (mut head, mut exprs) = ("CONST", Vec::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--")) {
        if line == "CONST" || line == "STATEMENTS" || line.starts_with("FROM ") {
            flush(head, &mut exprs);
            head = line;
        } else {
            exprs.extend(expanded(line));
        }
    }
    flush(head, &mut exprs);
}

fn flush(head: &str, exprs: &mut Vec<String>) {
    let exprs = std::mem::take(exprs);
    match head.strip_prefix("FROM ") {
        _ if exprs.is_empty() => {}
        Some(table) => println!("{}", json!({ "mode": "batch", "from": table, "exprs": exprs })),
        None if head == "CONST" => println!("{}", json!({ "mode": "batch", "exprs": exprs })),
        None => exprs.iter().for_each(|sql| println!("{}", json!({ "mode": "batch", "sql": sql }))),
    }
}

/// A line with its alternatives multiplied out.
fn expanded(line: &str) -> Vec<String> {
    for (open, _) in line.match_indices('{') {
        let Some(close) = line[open..].find('}').map(|length| open + length) else { break };
        let inside = &line[open + 1..close];
        if inside.contains(" ~ ") {
            let rest = expanded(&line[close + 1..]);
            let one = |choice: &str| rest.iter().map(|tail| format!("{}{choice}{tail}", &line[..open])).collect();
            return inside.split(" ~ ").flat_map(|choice| -> Vec<String> { one(choice.trim()) }).collect();
        }
    }
    vec![line.to_owned()]
}
