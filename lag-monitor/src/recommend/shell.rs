//! Names in commands.

use crate::format::display_name;

/// The name, quoted so that a shell reads it as one word. `None` if the name is too long, or has
/// characters that are unsafe to paste.
pub(super) fn shell_word(name: &str) -> Option<String> {
    if name.is_empty() || name.len() > 249 || display_name(name) != name {
        None
    } else if is_plain(name) {
        Some(name.to_owned())
    } else {
        Some(format!("'{}'", name.replace('\'', r"'\''")))
    }
}

/// Whether the name means itself in a shell and in a URL.
pub(super) fn is_plain(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name.chars().all(is_plain) && !name.starts_with('-')
}
