//! Settings over time; only those that changed are shown.

use std::collections::BTreeMap;

/// The number of settings that are recorded.
const MOST: usize = 200;

/// The number of values kept for one setting. The last value is always kept.
const MOST_VALUES: usize = 12;

/// A setting: its owner and its name.
pub type Setting = (String, String);

/// Values in order of time: the second from which it applies, and the value.
pub type Values = Vec<(f64, String)>;

/// The recorded settings.
#[derive(Debug, Default)]
pub struct Changes(BTreeMap<Setting, Values>);

impl Changes {
    /// Records the present value. Does nothing if it has not changed.
    pub fn see(&mut self, at: f64, setting: Setting, value: String) {
        if self.0.len() >= MOST && !self.0.contains_key(&setting) {
            return;
        }
        let values = self.0.entry(setting).or_default();
        if values.last().is_none_or(|(_, last)| *last != value) {
            if values.len() >= MOST_VALUES {
                values.pop();
            }
            values.push((at, value));
        }
    }

    /// The recorded values of one setting.
    pub fn of(&self, whose: &str) -> Vec<Setting> {
        let all = self.0.keys().filter(|(one, _)| one == whose);
        all.cloned().collect()
    }

    /// The settings that had more than one value.
    pub fn changed(&self) -> impl Iterator<Item = (&Setting, &Values)> {
        self.0.iter().filter(|(_, values)| values.len() > 1)
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changed_settings_are_shown_with_every_value_and_time() {
        let mut changes = Changes::default();
        let setting = |name: &str| ("inventory-service".to_owned(), name.to_owned());
        for (at, value) in [
            (0.0, "500"),
            (1.0, "500"),
            (2.0, "1"),
            (3.0, "1"),
            (4.0, "500"),
        ] {
            changes.see(at, setting("batch_max"), value.to_owned());
            changes.see(at, setting("paused"), "false".to_owned());
        }
        let changed: Vec<_> = changes.changed().collect();
        let values = [(0.0, "500"), (2.0, "1"), (4.0, "500")];
        let values = values.map(|(at, value)| (at, value.to_owned())).to_vec();
        assert_eq!(changed, [(&setting("batch_max"), &values)]);
        assert_eq!(changes.of("inventory-service").len(), 2);
    }

    #[test]
    fn of_a_setting_that_never_rests_the_first_values_and_the_last_are_kept() {
        let mut changes = Changes::default();
        for at in 0..1_000 {
            let setting = ("s".to_owned(), "n".to_owned());
            changes.see(f64::from(at), setting, at.to_string());
        }
        let (_, values) = changes.changed().next().unwrap();
        assert_eq!(values.len(), MOST_VALUES);
        assert_eq!(values.first().unwrap().1, "0");
        assert_eq!(values.last().unwrap().1, "999");
    }
}
