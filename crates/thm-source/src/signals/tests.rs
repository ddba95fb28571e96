//! What becomes of each kind of signal, as recorded from the real connector.
#![allow(clippy::unwrap_used)]

use super::*;

fn answer(kind: &str, data: &str) -> Answer {
    let signal = Signal { id: "s".to_owned(), kind: Some(kind.to_owned()), data: data.to_owned() };
    signal.answer("{lsn=7}")
}

#[test]
fn a_message_is_logged_with_its_first_braces_replaced() {
    let logged = answer("log", r#"{"message": "here {} and {}"}"#);
    assert_eq!(logged, Answer::Log("here {lsn=7} and {}".to_owned()));
}

#[test]
fn what_cannot_be_done_says_why() {
    for (kind, data, expected) in [
        ("log", r#"{"other": 1}"#, Answer::Lacks("message")),
        ("log", "", Answer::Lacks("message")),
        ("log", r#"{"message": 7}"#, Answer::Lacks("message")),
        ("log", r#"{"message": "#, Answer::Malformed),
        ("log", "[1]", Answer::Malformed),
        ("log", r#""text""#, Answer::Malformed),
        ("LOG", r#"{"message": "x"}"#, Answer::Unknown),
        ("set-binlog-position", "{}", Answer::Unknown),
        ("no-such", "not even JSON", Answer::Unknown),
        ("schema-changes", r#"{"changes": []}"#, Answer::NotNeeded),
        ("snapshot-window-open", "{}", Answer::NoWindow),
        ("execute-snapshot", "{}", Answer::NoSnapshots),
        ("execute-snapshot", "{", Answer::Malformed),
        ("stop-snapshot", "", Answer::NoSnapshots),
        ("pause-snapshot", "", Answer::NoSnapshots),
        ("resume-snapshot", "", Answer::NoSnapshots),
    ] {
        assert_eq!(answer(kind, data), expected, "{kind} {data}");
    }
    assert_eq!(Signal::default().answer(""), Answer::Unknown);
}

#[test]
fn a_line_is_an_object_with_id_and_type() {
    let read = |text: &str| Signal::of_json(text.as_bytes());
    let whole = read(r#"{"id": "a", "type": "log", "data": {"message": "m"}}"#).unwrap();
    assert_eq!(
        (whole.id.as_str(), whole.kind.as_deref(), whole.data.as_str()),
        ("a", Some("log"), r#"{"message":"m"}"#)
    );
    assert_eq!(read(r#"{"id": "a", "type": "log"}"#).unwrap().data, "");
    for bad in ["", "7", r#"{"type": "log"}"#, r#"{"id": "a"}"#, r#"{"id": "a", "type": "log""#] {
        assert_eq!(read(bad), None, "{bad}");
    }
}
