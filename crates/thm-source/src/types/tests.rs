//! The table of types against garbage, recorded values, and itself.
#![allow(clippy::unwrap_used)]

use arrow::array::Array;
use proptest::prelude::*;

use super::rules::rule_of;
use super::*;

fn all(modifier: i32) -> Vec<ColumnType> {
    let types = Types::default();
    let modes = TypeModes { unknown: true, ..TypeModes::default() };
    RULES.iter().map(|rule| types.resolve(rule.oid, modifier, modes).unwrap()).collect()
}

proptest! {
    #[test]
    fn garbage_never_panics_and_never_breaks_json(
        bytes in prop::collection::vec(any::<u8>(), 0..40),
        modifier in -1_i32..100,
    ) {
        for kind in all(modifier) {
            let (mut json, mut text) = (Vec::new(), Vec::new());
            let mut column = ColumnBuilder::new(kind.column());
            let _ = kind.print(&bytes, &mut text);
            if kind.write(&bytes, &mut Cell { json: &mut json, column: Some(&mut column) }).is_ok() {
                let value = serde_json::from_slice::<serde_json::Value>(&json);
                prop_assert!(value.is_ok(), "{}: {}", kind.rule.name, String::from_utf8_lossy(&json));
                prop_assert_eq!(column.finish().len(), 1);
            }
        }
    }
}

#[test]
fn rules_are_sorted_and_unique() {
    assert!(RULES.is_sorted_by(|a, b| a.oid < b.oid));
    assert_eq!(rule_of(3802).map(|rule| rule.name), Some("jsonb"));
    assert!(rule_of(32).is_none());
}

#[test]
fn what_stands_for_no_value_is_json() {
    for kind in all(-1) {
        for json in [
            kind.fallback(),
            kind.placeholder(&Placeholder::parse("__gone").unwrap()).0,
            kind.generated_default().unwrap_or_default(),
        ] {
            let read = serde_json::from_slice::<serde_json::Value>(&json);
            assert!(json.is_empty() || read.is_ok(), "{}: {}", kind.rule.name, String::from_utf8_lossy(&json));
        }
    }
}
