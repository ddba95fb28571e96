//! The architecture, held by a test: who may use whom, a page per error kind, files that say what they are.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use thm_api::ErrorKind;

/// Which of our crates a crate may use (DESIGN's table). Source, sink, sql and connect never see each other.
const MAY_USE: [(&str, &[&str]); 11] = [
    ("thm-arrow", &[]),
    ("thm-api", &[]),
    ("thm-tls", &["thm-api"]),
    ("thm-codec", &["thm-api"]),
    ("thm-source", &["thm-api", "thm-codec", "thm-tls"]),
    ("thm-log", &["thm-api", "thm-codec"]),
    ("thm-sql", &["thm-api", "thm-codec", "thm-log", "thm-tls"]),
    ("thm-sink", &["thm-api", "thm-codec", "thm-tls"]),
    ("thm-connect", &["thm-api", "thm-codec", "thm-log"]),
    ("thm-dev", &["thm-api"]),
    (
        "thm",
        &["thm-api", "thm-tls", "thm-codec", "thm-source", "thm-log", "thm-sql", "thm-sink", "thm-connect", "thm-dev"],
    ),
];

/// Longest source file. A longer one holds two ideas, or a table that wants to be data.
const MAX_LINES: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (name, _) in MAY_USE {
        rust_files(&root().join("crates").join(name), &mut found);
    }
    found
}

#[test]
fn crates_use_only_what_the_design_allows() {
    let allowed: BTreeMap<_, BTreeSet<_>> =
        MAY_USE.iter().map(|(name, uses)| (*name, uses.iter().copied().collect())).collect();
    for (name, uses) in &allowed {
        let text = std::fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = toml::from_str(&text).unwrap();
        let Some(dependencies) = manifest.get("dependencies").and_then(|table| table.as_table()) else { continue };
        for dependency in dependencies.keys().filter(|key| key.starts_with("thm")) {
            assert!(uses.contains(dependency.as_str()), "{name} must not use {dependency}");
        }
    }
}

#[test]
fn every_error_kind_has_its_page() {
    let folder = root().join("docs/errors");
    let index = std::fs::read_to_string(folder.join("README.md")).unwrap();
    for kind in ErrorKind::ALL {
        let page = folder.join(format!("{}.md", kind.code()));
        let text = std::fs::read_to_string(&page).unwrap_or_else(|_| panic!("{} has no page", kind.code()));
        assert!(text.starts_with(&format!("# {}", kind.code())), "{} begins with its code", page.display());
        for heading in ["## What it means", "## What to do"] {
            assert!(text.contains(heading), "{} lacks `{heading}`", page.display());
        }
        assert!(index.contains(kind.code()), "docs/errors/README.md does not list {}", kind.code());
    }
}

#[test]
fn every_module_says_what_it_is() {
    for file in all_rust_files() {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!"), "{} does not open with //!", file.display());
    }
}

#[test]
fn files_fit_in_the_head() {
    for file in all_rust_files() {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", file.display());
    }
}

#[test]
fn nothing_is_left_for_later_without_a_number() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    for file in all_rust_files() {
        for (number, line) in std::fs::read_to_string(&file).unwrap().lines().enumerate() {
            let marked = marks.iter().any(|mark| line.contains(mark));
            assert!(!marked || line.contains('#'), "{}:{} {line}", file.display(), number + 1);
        }
    }
}
