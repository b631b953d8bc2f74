//! Escapes text of others for a page.

use std::fmt;

/// Lines of an output that are shown, of its beginning and its end.
const FIRST: usize = 150;
const LAST: usize = 100;

/// Characters of a line that are shown.
const WIDTH: usize = 400;

/// A text in HTML, between tags or in a quoted attribute. Control characters, which HTML does not allow, become U+FFFD.
pub struct Text<'a>(pub &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for one in self.0.chars() {
            match one {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => write!(f, "{one}")?,
                control if control.is_control() => f.write_str("\u{fffd}")?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

/// The shown part of an output: 250 lines of 400 characters at most, and the number of lines left out.
pub fn bounded(output: &str) -> String {
    let lines: Vec<&str> = output.trim_end().lines().collect();
    let left_out = lines.len().saturating_sub(FIRST + LAST);
    if left_out == 0 {
        return joined(&lines);
    }
    let (first, rest) = lines.split_at(FIRST);
    let (_, last) = rest.split_at(left_out);
    let (first, last) = (joined(first), joined(last));
    format!("{first}\n… {left_out} lines left out …\n{last}")
}

fn joined(lines: &[&str]) -> String {
    let cut = |line: &&str| match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => (*line).to_owned(),
    };
    lines.iter().map(cut).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_become_markup_or_end_an_attribute() {
        let hostile = "<script>alert('1')</script> & \"quoted\" \u{1b}[31m\u{7}";
        assert_eq!(
            Text(hostile).to_string(),
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;quoted&quot; \u{fffd}[31m\u{fffd}"
        );
        assert_eq!(Text("lines\n\tstay ≤ ü").to_string(), "lines\n\tstay ≤ ü");
    }

    #[test]
    fn of_a_long_output_the_beginning_and_the_end_are_shown() {
        let long: String = (0..1_000).map(|n| format!("line {n}\n")).collect();
        let shown = bounded(&long);
        assert_eq!(shown.lines().count(), FIRST + LAST + 1);
        assert!(shown.starts_with("line 0\n") && shown.ends_with("\nline 999"));
        assert!(shown.contains("… 750 lines left out …"), "{shown}");
        let wide = bounded(&"ü".repeat(10_000));
        assert_eq!(wide.chars().count(), WIDTH + 1);
        assert_eq!(bounded("one\ntwo\n"), "one\ntwo");
    }
}
