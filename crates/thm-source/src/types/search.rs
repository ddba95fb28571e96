//! tsvector and tsquery as texts.
//!
//! ```text
//!   tsvector: lexemes │ (text \0 │ positions u16 │ positions × (weight:2, place:14))*
//!   tsquery:  items │ (1 │ weights u8 │ prefix u8 │ text \0)  or  (2 │ operator u8 │ distance u16 of a phrase), operators first
//! ```

use std::io::Write as _;

use super::{ColumnType, Done, Fields, ValueError};

fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'\'');
    for byte in text {
        if matches!(byte, b'\'' | b'\\') {
            out.push(*byte);
        }
        out.push(*byte);
    }
    out.push(b'\'');
}

pub(super) fn print_vector(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    let mut fields = Fields::new(bytes, "tsvector");
    for number in 0..fields.i32()? {
        if number > 0 {
            out.push(b' ');
        }
        quoted(out, fields.text()?);
        for place in 0..fields.u16()? {
            let position = fields.u16()?;
            out.push(if place == 0 { b':' } else { b',' });
            let _ = write!(out, "{}", position & 0x3FFF);
            out.extend_from_slice([b"".as_slice(), b"C", b"B", b"A"][usize::from(position >> 14)]);
        }
    }
    fields.end()
}

const NOT: u8 = 1;
const AND: u8 = 2;
const OR: u8 = 3;
const PHRASE: u8 = 4;

/// How tightly an operator binds.
const fn priority(operator: u8) -> u8 {
    match operator {
        NOT => 4,
        PHRASE => 3,
        AND => 2,
        _ => 1,
    }
}

/// Deepest nesting; a query of a few thousand operators in a row is refused rather than followed.
const MAX_DEPTH: usize = 1_000;

pub(super) fn print_query(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    let mut fields = Fields::new(bytes, "tsquery");
    if fields.i32()? > 0 {
        print_item(&mut fields, 0, false, 0, out)?;
    }
    fields.end()
}

fn print_item(fields: &mut Fields<'_>, parent: u8, right_of_phrase: bool, depth: usize, out: &mut Vec<u8>) -> Done {
    if depth > MAX_DEPTH {
        return Err(ValueError("tsquery of bounded depth"));
    }
    if fields.u8()? == 1 {
        let (weights, prefix) = (fields.u8()?, fields.u8()?);
        quoted(out, fields.text()?);
        if weights != 0 || prefix != 0 {
            out.push(b':');
            out.extend_from_slice(if prefix == 0 { b"" } else { b"*" });
            for (bit, letter) in [(8, b'A'), (4, b'B'), (2, b'C'), (1, b'D')] {
                if weights & bit != 0 {
                    out.push(letter);
                }
            }
        }
        return Ok(());
    }
    let operator = fields.u8()?;
    let own = priority(operator);
    if operator == NOT {
        let parentheses = own < parent;
        out.extend_from_slice(if parentheses { b"( !" } else { b"!" });
        print_item(fields, own, false, depth + 1, out)?;
        out.extend_from_slice(if parentheses { b" )" } else { b"" });
        return Ok(());
    }
    let distance = if operator == PHRASE { fields.u16()? } else { 0 };
    let parentheses = own < parent || (operator == PHRASE && right_of_phrase);
    if parentheses {
        out.extend_from_slice(b"( ");
    }
    // The right operand comes first.
    let mut right = Vec::new();
    print_item(fields, own, operator == PHRASE, depth + 1, &mut right)?;
    print_item(fields, own, false, depth + 1, out)?;
    match (operator, distance) {
        (OR, _) => out.extend_from_slice(b" | "),
        (AND, _) => out.extend_from_slice(b" & "),
        (PHRASE, 1) => out.extend_from_slice(b" <-> "),
        (PHRASE, distance) => {
            let _ = write!(out, " <{distance}> ");
        }
        _ => return Err(ValueError("tsquery")),
    }
    out.extend_from_slice(&right);
    if parentheses {
        out.extend_from_slice(b" )");
    }
    Ok(())
}
