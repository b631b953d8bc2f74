//! The selectors of a PromQL expression. Covers as much of the grammar as the dashboards use; anything else is an error.

/// A metric with its matchers, as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    pub metric: String,
    pub text: String,
}

const OPERATORS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];
const OF_LABELS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
const FUNCTIONS: [&str; 16] = [
    "absent",
    "changes",
    "clamp_min",
    "count",
    "deriv",
    "histogram_quantile",
    "increase",
    "label_replace",
    "last_over_time",
    "max",
    "max_over_time",
    "min",
    "min_over_time",
    "rate",
    "sum",
    "time",
];

/// Every selector of an expression. An unknown function is an error, because its arguments could be of any form.
pub fn selectors(expression: &str) -> Result<Vec<Selector>, String> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '"' | '\'' => behind(&rest[1..], first)?,
            '[' => behind(rest, ']')?,
            '{' => return Err(format!("matchers without a metric: {rest}")),
            '0'..='9' => rest.trim_start_matches(|one: char| one.is_alphanumeric() || one == '.'),
            _ if is_name(first) => {
                let (name, after) = word(rest);
                if OF_LABELS.contains(&name) && after.trim_start().starts_with('(') {
                    behind(after, ')')?
                } else if [&OPERATORS[..], &OF_LABELS, &FUNCTIONS]
                    .concat()
                    .contains(&name)
                {
                    after
                } else if after.trim_start().starts_with('(') {
                    return Err(format!("not a known function: {name}"));
                } else {
                    let after = matchers(after)?;
                    found.push(Selector {
                        metric: name.to_owned(),
                        text: rest[..rest.len() - after.len()].to_owned(),
                    });
                    after
                }
            }
            other => &rest[other.len_utf8()..],
        };
    }
    Ok(found)
}

fn is_name(one: char) -> bool {
    one.is_ascii_alphanumeric() || one == '_' || one == ':'
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|one| !is_name(one)).unwrap_or(text.len()))
}

/// The text after the next `end`.
fn behind(text: &str, end: char) -> Result<&str, String> {
    let (_, after) = text
        .split_once(end)
        .ok_or_else(|| format!("no {end} in: {text}"))?;
    Ok(after)
}

/// The text after the matchers of a metric, if it has any. A `}` within a string does not end them.
fn matchers(text: &str) -> Result<&str, String> {
    let Some(mut rest) = text.strip_prefix('{') else {
        return Ok(text);
    };
    loop {
        rest = match rest.find(['"', '}']).map(|at| rest.split_at(at)) {
            Some((_, from)) if from.starts_with('"') => behind(&from[1..], '"')?,
            Some((_, from)) => return Ok(&from[1..]),
            None => return Err(format!("matchers without an end: {text}")),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(expression: &str) -> Vec<String> {
        let found = selectors(expression).unwrap();
        found.into_iter().map(|one| one.text).collect()
    }

    #[test]
    fn only_metrics_are_selectors_and_they_keep_their_matchers() {
        let expression = r#"label_replace(sum by (group, up) (rate(a_total{x=~".+", y="}{"}[5m:5s])) > bool 1e3, "to", "$1", "from", "(.+)-z")
            unless on (job) max(b:c) * 0.5 - on (q) group_left () time() or absent(up{job="x"}) offset 5m"#;
        assert_eq!(
            texts(expression),
            [r#"a_total{x=~".+", y="}{"}"#, "b:c", r#"up{job="x"}"#]
        );
    }

    #[test]
    fn an_expression_that_is_not_understood_is_an_error_and_not_half_an_answer() {
        for wrong in ["rats(a[5m])", "{x=\"y\"}", "a{x=\"y\"", "rate(a[5m)"] {
            assert!(selectors(wrong).is_err(), "{wrong}");
        }
    }
}
