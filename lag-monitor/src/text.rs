//! Times, and names from the cluster, as text: any client may have made a name, and a group's may be of any length and any
//! characters.

use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serializer;

/// Most characters of a name that is shown.
const LONGEST: usize = 120;

/// The name as it stands in labels, sentences and lists: without control characters, at most 120 characters. A name that was
/// changed for that ends in a number made of all of it, so that two names stay two.
pub fn shown(name: &str) -> String {
    let plain = |c: char| !c.is_control() && !is_invisible(c);
    if name.chars().all(plain) && name.chars().count() <= LONGEST {
        return name.to_owned();
    }
    let mut hash = DefaultHasher::new();
    name.hash(&mut hash);
    let number = format!("~{:016x}", hash.finish());
    let kept = name.chars().map(|c| if plain(c) { c } else { '?' });
    let mut shown: String = kept.take(LONGEST - number.len()).collect();
    shown.push_str(&number);
    shown
}

/// At most so many of the names, and how many more there are.
pub fn list<'a>(names: impl Iterator<Item = &'a str>, most: usize) -> String {
    let mut names = names.map(shown);
    let some: Vec<String> = names.by_ref().take(most).collect();
    match (some.is_empty(), names.count()) {
        (true, _) => "none".to_owned(),
        (false, 0) => some.join(", "),
        (false, more) => format!("{}, and {more} more", some.join(", ")),
    }
}

/// RFC 3339, UTC, milliseconds.
pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// [`time`], for serde.
pub fn serialize_time<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time(*at))
}

/// What turns the direction of writing around, or takes no room: a name could look like another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_is_shown_as_it_is() {
        for name in ["inventory-service-group", "günter's \"group\"", ""] {
            assert_eq!(shown(name), name);
        }
    }

    #[test]
    fn names_that_had_to_be_changed_stay_two_and_are_short_and_plain() {
        let long = "a".repeat(30_000);
        let names = [
            long.as_str(),
            &long[1..],
            "a\nb",
            "a\tb",
            "a\u{202e}b",
            "a\u{0}b",
        ];
        let shown: std::collections::BTreeSet<String> = names.into_iter().map(shown).collect();
        assert_eq!(shown.len(), names.len());
        for name in shown {
            assert!(name.chars().count() <= 120, "{name}");
            assert!(!name.chars().any(char::is_control), "{name}");
        }
    }

    #[test]
    fn a_list_says_how_many_it_leaves_out() {
        assert_eq!(list(["a", "b", "c"].into_iter(), 2), "a, b, and 1 more");
        assert_eq!(list(["a", "b"].into_iter(), 2), "a, b");
        assert_eq!(list([].into_iter(), 2), "none");
    }
}
