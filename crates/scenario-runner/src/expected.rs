//! The expected output of a step: text in which `…` stands for any text, also for several lines or for none.

/// Whether the output is as expected. Spaces at line ends, and empty lines at the beginning and the end, are ignored.
pub fn matches_expected(expected: &str, output: &str) -> bool {
    let (expected, output) = (tidy(expected), tidy(output));
    let mut parts = expected.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = output.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        // The earliest match leaves the most text for the following parts.
        let Some((_, behind)) = rest.split_once(part) else {
            return false;
        };
        rest = behind;
    }
    true
}

fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn anything_may_stand_where_the_dots_are_and_nothing_else_may_differ() {
        for (expected, output) in [
            ("", "\n"),
            ("a\nb", "a  \nb\n"),
            ("order … is CONFIRMED", "order 1 is CONFIRMED\n"),
            ("a\n…\nz", "a\nb\nc\nz"),
            ("…CONFIRMED…", "order is CONFIRMED since"),
            ("a…a", "aa"),
            ("…", ""),
            ("a…b…b", "a b b"),
        ] {
            assert!(
                matches_expected(expected, output),
                "{expected:?} {output:?}"
            );
        }
        for (expected, output) in [
            ("", "a"),
            ("a", "ab"),
            ("a", "ba"),
            ("a…a", "a"),
            ("order … is CONFIRMED", "order 1 is CANCELLED"),
            ("a…b…b", "a b"),
            ("a…b", "a b c"),
        ] {
            assert!(
                !matches_expected(expected, output),
                "{expected:?} {output:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn text_with_any_of_its_middle_left_out_fits_itself(text in "[a-c\n]{0,20}", cut in 0usize..20, length in 0usize..10) {
            let start = cut.min(text.len());
            let end = (start + length).min(text.len());
            let expected = format!("{}…{}", &text[..start], &text[end..]);
            // Empty lines at the edges do not count, and a cut there may make one.
            prop_assume!(tidy(&text) == text && tidy(&expected) == expected);
            prop_assert!(matches_expected(&expected, &text));
        }
    }
}
