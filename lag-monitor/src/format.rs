//! Timestamps and names as text. Any client can create a group, so a group's name may have any
//! length and any characters.

use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serializer;

/// Most characters of a displayed name.
const MAX_NAME_CHARS: usize = 120;

/// Most sentences in one text.
const MAX_SENTENCES: usize = 10;

/// Most characters of a cause that a member reports.
const MAX_CAUSE_CHARS: usize = 500;

/// The name for labels, sentences and lists: without control characters and at most 120 characters
/// long. A name that had to be changed ends in a hash of the whole name, so that two different
/// names stay different.
pub fn display_name(name: &str) -> String {
    let is_plain = |c: char| !c.is_control() && !is_invisible(c);
    if name.chars().all(is_plain) && name.chars().count() <= MAX_NAME_CHARS {
        return name.to_owned();
    }
    let mut hash = DefaultHasher::new();
    name.hash(&mut hash);
    let suffix = format!("~{:016x}", hash.finish());
    let replaced = name.chars().map(|c| if is_plain(c) { c } else { '?' });
    let mut display: String = replaced.take(MAX_NAME_CHARS - suffix.len()).collect();
    display.push_str(&suffix);
    display
}

/// The text in one line of at most 500 characters, without control characters.
pub fn one_line(text: &str) -> String {
    let is_plain = |c: char| !c.is_control() && !is_invisible(c);
    let replaced = text
        .trim()
        .chars()
        .map(|c| if is_plain(c) { c } else { ' ' });
    let mut line: String = replaced.take(MAX_CAUSE_CHARS).collect();
    if text.trim().chars().count() > MAX_CAUSE_CHARS {
        line.push('…');
    }
    line
}

/// The first `limit` names, and how many more there are.
pub fn list_names<'a>(names: impl Iterator<Item = &'a str>, limit: usize) -> String {
    let mut names = names.map(display_name);
    let listed: Vec<String> = names.by_ref().take(limit).collect();
    match (listed.is_empty(), names.count()) {
        (true, _) => "none".to_owned(),
        (false, 0) => listed.join(", "),
        (false, more) => format!("{}, and {more} more", listed.join(", ")),
    }
}

/// The first sentences, separated by semicolons, and how many more there are.
pub fn join_sentences(mut sentences: impl Iterator<Item = String>) -> String {
    let listed: Vec<String> = sentences.by_ref().take(MAX_SENTENCES).collect();
    match sentences.count() {
        0 => listed.join("; "),
        more => format!("{}; and {more} more", listed.join("; ")),
    }
}

/// A time in a sentence, with its date: what it is about may have begun days ago.
pub fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// RFC 3339, UTC, milliseconds.
pub fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// [`rfc3339`] for serde.
pub fn serialize_rfc3339<S: Serializer>(
    at: &DateTime<Utc>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

/// [`rfc3339`] for serde, or null.
pub fn serialize_optional_rfc3339<S: Serializer>(
    at: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.serialize_some(&rfc3339(*at)),
        None => serializer.serialize_none(),
    }
}

/// Characters without width, and characters that change the writing direction: with them one name
/// can look like another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_is_displayed_unchanged() {
        for name in ["inventory-service-group", "günter's \"group\"", ""] {
            assert_eq!(display_name(name), name);
        }
    }

    #[test]
    fn changed_names_stay_distinct_short_and_printable() {
        let long = "a".repeat(30_000);
        let names = [
            long.as_str(),
            &long[1..],
            "a\nb",
            "a\tb",
            "a\u{202e}b",
            "a\u{0}b",
        ];
        let displayed: std::collections::BTreeSet<String> =
            names.into_iter().map(display_name).collect();
        assert_eq!(displayed.len(), names.len());
        for name in displayed {
            assert!(name.chars().count() <= 120, "{name}");
            assert!(!name.chars().any(char::is_control), "{name}");
        }
    }

    #[test]
    fn a_list_says_how_many_names_it_leaves_out() {
        assert_eq!(
            list_names(["a", "b", "c"].into_iter(), 2),
            "a, b, and 1 more"
        );
        assert_eq!(list_names(["a", "b"].into_iter(), 2), "a, b");
        assert_eq!(list_names([].into_iter(), 2), "none");
    }

    #[test]
    fn a_cause_is_one_short_line() {
        assert_eq!(one_line(" a\n\u{1b}[31mb\n"), "a  [31mb");
        assert_eq!(one_line(&"é".repeat(900)).chars().count(), 501);
    }

    #[test]
    fn sentences_beyond_the_limit_are_counted() {
        let sentences = |count: usize| (0..count).map(|n| n.to_string());
        assert_eq!(join_sentences(sentences(2)), "0; 1");
        assert!(join_sentences(sentences(12)).ends_with("8; 9; and 2 more"));
    }
}
