//! Text from outside, such as names, keys, error texts and log lines, made harmless for a terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// Replaces each control character with its escape in JSON: `\u001b` for the escape character, so
/// that a terminal shows it instead of obeying it. Line feeds and tabs are kept.
///
/// JSON stays the same JSON, because it has such characters in strings only. Controls of the
/// direction of writing, line separators and byte order marks are replaced too: with them a line
/// would show something else than it contains.
pub fn escape_controls(text: &str) -> Cow<'_, str> {
    replace(text, |one| is_control(one) && !matches!(one, '\n' | '\t'))
}

/// The same for text that belongs on one line or in one cell: line feeds and tabs are replaced, too.
pub fn escape_line(text: &str) -> Cow<'_, str> {
    replace(text, is_control)
}

fn is_control(one: char) -> bool {
    let is_format = matches!(
        one,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    let is_separator = matches!(one, '\u{2028}' | '\u{2029}' | '\u{feff}');
    one.is_control() || is_format || is_separator
}

fn replace(text: &str, replaced: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&replaced) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for one in text.chars() {
        match one {
            _ if !replaced(one) => escaped.push(one),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            // Writing to a string does not fail. All of them have at most four hexadecimal digits.
            _ => drop(write!(escaped, "\\u{:04x}", u32::from(one))),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_reaches_the_terminal_that_it_would_obey() {
        for (hostile, shown) in [
            ("x\u{1b}[31m", "x\\u001b[31m"),
            // The same control sequence with a single character (C1).
            ("x\u{9b}31m", "x\\u009b31m"),
            (
                "a\rb\u{7f}\u{0}\u{7}\u{8}",
                "a\\rb\\u007f\\u0000\\u0007\\u0008",
            ),
            ("\u{1b}]0;title\u{7}", "\\u001b]0;title\\u0007"),
            ("gpj\u{202e}exe", "gpj\\u202eexe"),
            ("\u{feff}a\u{2028}b", "\\ufeffa\\u2028b"),
        ] {
            assert_eq!(escape_controls(hostile), shown);
            assert_eq!(escape_line(hostile), shown);
        }
        for one in (0..0x11_0000).filter_map(char::from_u32) {
            let text = one.to_string();
            let obeyed = |shown: &str| shown.chars().any(char::is_control);
            assert!(!obeyed(&escape_line(&text)), "{one:?}");
            assert!(matches!(one, '\n' | '\t') || !obeyed(&escape_controls(&text)));
        }
    }

    #[test]
    fn other_text_is_kept() {
        let text = "Büro 日本 → ≤ 5 \\ \"a\" 👩‍👧";
        assert!(matches!(escape_line(text), Cow::Borrowed(same) if same == text));
        assert_eq!(escape_controls("a\n\tb"), "a\n\tb");
        assert_eq!(escape_line("a\n\tb"), "a\\n\\tb");
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let object = serde_json::json!({"gr\u{9b}oup": "x\u{1b}[31m\u{7f}\u{202e}\n", "n": [1]});
        for text in [
            object.to_string(),
            serde_json::to_string_pretty(&object).unwrap(),
        ] {
            let escaped = escape_controls(&text);
            assert!(!escaped.contains(['\u{9b}', '\u{1b}', '\u{7f}', '\u{202e}']));
            let read: serde_json::Value = serde_json::from_str(&escaped).unwrap();
            assert_eq!(read, object);
        }
    }
}
