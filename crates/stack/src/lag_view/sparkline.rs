//! Sparklines: the last values of a number, drawn in one line of text.

use std::collections::{BTreeMap, VecDeque};

/// The number of values in a line: half a minute, at one a second.
const WIDTH: usize = 30;
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The last values of several numbers, by name. A name that is absent from the newest values is dropped.
#[derive(Debug, Default)]
pub struct Sparklines {
    values: BTreeMap<String, VecDeque<Option<i64>>>,
}

impl Sparklines {
    /// Adds the newest value of each name; `None` where it is not known.
    pub fn add(&mut self, now: impl IntoIterator<Item = (String, Option<i64>)>) {
        let mut old = std::mem::take(&mut self.values);
        for (name, value) in now {
            let mut values = old.remove(&name).unwrap_or_default();
            if values.len() == WIDTH {
                values.pop_front();
            }
            values.push_back(value);
            self.values.insert(name, values);
        }
    }

    /// The line of this name, scaled from 0 to the highest value; a gap where the value was not known.
    pub fn line(&self, name: &str) -> String {
        let values = self.values.get(name).into_iter().flatten();
        let highest = values.clone().copied().flatten().max().unwrap_or(0).max(1);
        let level = |value: i64| {
            let top = LEVELS.len() as i64 - 1;
            let level = i128::from(value.max(0)) * i128::from(top) / i128::from(highest);
            usize::try_from(level)
                .ok()
                .and_then(|level| LEVELS.get(level))
        };
        let drawn = values.map(|value| value.and_then(level).copied().unwrap_or(' '));
        drawn.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(values: &[Option<i64>]) -> String {
        let mut sparklines = Sparklines::default();
        for value in values {
            sparklines.add([("g".to_owned(), *value)]);
        }
        sparklines.line("g")
    }

    #[test]
    fn the_highest_value_is_the_full_height_and_zero_the_lowest() {
        assert_eq!(drawn(&[Some(0), Some(7), Some(14)]), "▁▄█");
        assert_eq!(drawn(&[Some(0), Some(0)]), "▁▁");
        assert_eq!(drawn(&[Some(i64::MAX), Some(1)]), "█▁");
    }

    #[test]
    fn an_unknown_value_is_a_gap_and_no_zero() {
        assert_eq!(drawn(&[Some(1), None, Some(1)]), "█ █");
    }

    #[test]
    fn only_the_last_values_are_drawn_and_absent_names_are_dropped() {
        let many: Vec<_> = (0..100).map(Some).collect();
        assert_eq!(drawn(&many).chars().count(), WIDTH);
        let mut sparklines = Sparklines::default();
        sparklines.add([("gone".to_owned(), Some(1))]);
        sparklines.add([("g".to_owned(), Some(1))]);
        assert_eq!(sparklines.line("gone"), "");
    }
}
