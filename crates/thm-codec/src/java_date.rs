//! What all of Java's date patterns have in common (`SimpleDateFormat`, `DateTimeFormatter`): letters that repeat, text in
//! quotes, English names.
//!
//! In: the letters of a pattern. Out: its pieces, one after the other. Which letters there are, and what they mean, differs
//! and is each reader's own matter.

use std::iter::Peekable;
use std::str::Chars;

/// Months; their first three letters are their short names.
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Days of a week, likewise.
pub const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Text up to the closing quote, the opening one being taken: two quotes stand for one. `None` if it is not closed.
pub fn quoted(letters: &mut Peekable<Chars<'_>>) -> Option<String> {
    if letters.next_if_eq(&'\'').is_some() {
        return Some("'".to_owned());
    }
    let mut out = String::new();
    while let Some(letter) = letters.next() {
        if letter != '\'' {
            out.push(letter);
        } else if letters.next_if_eq(&'\'').is_some() {
            out.push('\'');
        } else {
            return Some(out);
        }
    }
    None
}

/// How often a letter stands here, the first of them being taken.
pub fn width(letter: char, letters: &mut Peekable<Chars<'_>>) -> usize {
    let mut width = 1;
    while letters.next_if_eq(&letter).is_some() {
        width += 1;
    }
    width
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_end_and_double() {
        let of = |text: &str| quoted(&mut text.chars().peekable());
        assert_eq!(of("'").as_deref(), Some("'"));
        assert_eq!(of("o''clock' h").as_deref(), Some("o'clock"));
        assert_eq!(of("o"), None);
        let mut letters = "yyy-M".chars().peekable();
        assert_eq!((width('y', &mut letters), letters.next()), (4, Some('-')));
    }
}
