//! The layers of a member's configuration, and which of them is effective. Pure.
//!
//! Four sources, each overriding the one before: the default, the environment, the group (`sandbox.controls`), the instance (its
//! HTTP interface). A later record of the group resets the same fields of the instance.

use shared_events::GroupControls;
use shared_events::controls::BATCH_MAX_DEFAULT;
use shared_events::member_api::{EffectiveConfig, Since, Source, Sources};

use super::layer::{Layer, Setting};

/// The layers above the defaults.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConfigLayers {
    environment: Layer,
    group: Layer,
    instance: Layer,
}

impl ConfigLayers {
    pub(crate) fn new(environment: GroupControls) -> Self {
        Self {
            environment: Layer::new(environment, None),
            ..Self::default()
        }
    }

    /// The group's record as it was when the member started. It is older than the settings of the instance, so it resets none
    /// of them.
    pub(crate) fn load_group(&mut self, group: Layer) {
        self.group = group.replacing(&self.group);
    }

    /// A new record of the group: it replaces the one before, and resets the same fields of the instance. `None` (a tombstone)
    /// resets group and instance.
    pub(crate) fn set_group(&mut self, group: Option<Layer>) {
        match group {
            None => {
                self.group = Layer::default();
                self.instance = Layer::default();
            }
            Some(group) => {
                self.instance = self.instance.without(&group);
                self.group = group.replacing(&self.group);
            }
        }
    }

    /// New settings of the instance. Fields that are not set keep their value.
    pub(crate) fn set_instance(&mut self, settings: Layer) {
        self.instance = settings.replacing(&self.instance).or(&self.instance);
    }

    pub(crate) fn effective(&self) -> EffectiveConfig {
        let (time, time_from) = self.top(|layer| layer.processing_time_ms, 0);
        let (batch, batch_from) = self.top(|layer| layer.batch_max, BATCH_MAX_DEFAULT);
        let (paused, paused_from) = self.top(|layer| layer.paused, false);
        EffectiveConfig {
            processing_time_ms: time.value,
            batch_max: batch.value,
            paused: paused.value,
            sources: Sources {
                processing_time_ms: time_from,
                batch_max: batch_from,
                paused: paused_from,
            },
            since: Since {
                processing_time_ms: time.since,
                batch_max: batch.since,
                paused: paused.since,
            },
        }
    }

    fn top<T>(
        &self,
        field: impl Fn(&Layer) -> Option<Setting<T>>,
        default: T,
    ) -> (Setting<T>, Source) {
        let layers = [
            (&self.instance, Source::Instance),
            (&self.group, Source::Group),
            (&self.environment, Source::Environment),
        ];
        let mut set = layers
            .into_iter()
            .filter_map(|(layer, source)| Some((field(layer)?, source)));
        let default = Setting {
            value: default,
            since: None,
        };
        set.next().unwrap_or((default, Source::Default))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    #[derive(Clone, Copy)]
    enum Step {
        Loaded(&'static str),
        Group(&'static str),
        Instance(&'static str),
        Tombstone,
    }
    use Source::{Default, Environment, Group, Instance};
    use Step::{Group as ByGroup, Instance as ByCall, Loaded, Tombstone};

    fn json(text: &str) -> GroupControls {
        GroupControls::decode(text.as_bytes()).unwrap()
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn after(environment: GroupControls, steps: &[Step]) -> EffectiveConfig {
        let mut layers = ConfigLayers::new(environment);
        for (second, step) in (0..).zip(steps) {
            let set = |text| Layer::new(json(text), Some(at(second)));
            match step {
                Loaded(text) => layers.load_group(set(text)),
                ByGroup(text) => layers.set_group(Some(set(text))),
                ByCall(text) => layers.set_instance(set(text)),
                Tombstone => layers.set_group(None),
            }
        }
        layers.effective()
    }

    type Row = (
        &'static [Step],
        (u32, Source),
        (u32, Source),
        (bool, Source),
    );

    #[test]
    fn each_source_overrides_the_one_before_it() {
        const SLOW: &str = r#"{"processing_time_ms": 2000}"#;
        const FAST: &str = r#"{"processing_time_ms": 50, "batch_max": 7}"#;
        const NO_WORK: &str = r#"{"processing_time_ms": 0}"#;
        const BATCH: &str = r#"{"batch_max": 9}"#;
        const PAUSED: &str = r#"{"paused": true}"#;
        const GOING: &str = r#"{"paused": false}"#;
        let going = (false, Default);
        let rows: &[Row] = &[
            (&[], (0, Default), (500, Default), going),
            (&[Loaded(SLOW)], (2000, Group), (1, Group), going),
            (&[ByGroup(SLOW)], (2000, Group), (1, Group), going),
            (&[ByCall(SLOW)], (2000, Instance), (1, Instance), going),
            // The group's next record replaces its last one, and resets the same fields of the instance.
            (
                &[ByGroup(SLOW), ByGroup(BATCH)],
                (0, Default),
                (9, Group),
                going,
            ),
            (
                &[ByCall(SLOW), ByGroup(BATCH)],
                (2000, Instance),
                (9, Group),
                going,
            ),
            (
                &[ByCall(FAST), ByGroup(SLOW)],
                (2000, Group),
                (1, Group),
                going,
            ),
            (
                &[ByCall(PAUSED), ByGroup(SLOW)],
                (2000, Group),
                (1, Group),
                (true, Instance),
            ),
            (
                &[ByGroup(PAUSED), ByCall(GOING)],
                (0, Default),
                (500, Default),
                (false, Instance),
            ),
            (
                &[ByCall(GOING), ByGroup(PAUSED)],
                (0, Default),
                (500, Default),
                (true, Group),
            ),
            // Later settings of the instance override the group again.
            (
                &[ByGroup(SLOW), ByCall(NO_WORK)],
                (0, Instance),
                (500, Instance),
                going,
            ),
            (
                &[ByGroup(SLOW), ByCall(BATCH)],
                (2000, Group),
                (9, Instance),
                going,
            ),
            (
                &[ByCall(BATCH), ByCall(PAUSED)],
                (0, Default),
                (9, Instance),
                (true, Instance),
            ),
            (
                &[ByGroup(FAST), ByGroup(NO_WORK)],
                (0, Group),
                (500, Group),
                going,
            ),
            // A record that was there before is older than any call.
            (
                &[ByCall(FAST), Loaded(SLOW)],
                (50, Instance),
                (7, Instance),
                going,
            ),
            (
                &[ByGroup(SLOW), ByCall(FAST), Tombstone],
                (0, Default),
                (500, Default),
                going,
            ),
        ];
        for (number, (steps, time, batch, paused)) in rows.iter().enumerate() {
            let config = after(GroupControls::default(), steps);
            let sources = config.sources;
            assert_eq!(
                (config.processing_time_ms, sources.processing_time_ms),
                *time,
                "row {number}"
            );
            assert_eq!(
                (config.batch_max, sources.batch_max),
                *batch,
                "row {number}"
            );
            assert_eq!((config.paused, sources.paused), *paused, "row {number}");
        }
    }

    #[test]
    fn a_tombstone_makes_the_environment_effective_again() {
        let environment = json(r#"{"batch_max": 20}"#);
        let config = after(environment.clone(), &[]);
        assert_eq!(
            (config.batch_max, config.sources.batch_max),
            (20, Environment)
        );
        let config = after(environment.clone(), &[ByGroup(r#"{"batch_max": 3}"#)]);
        assert_eq!((config.batch_max, config.sources.batch_max), (3, Group));
        let steps = [
            ByGroup(r#"{"batch_max": 3}"#),
            ByCall(r#"{"batch_max": 4}"#),
            Tombstone,
        ];
        let config = after(environment, &steps);
        assert_eq!(
            (config.batch_max, config.sources.batch_max),
            (20, Environment)
        );
        let slow = after(json(r#"{"processing_time_ms": 5}"#), &[]);
        assert_eq!((slow.batch_max, slow.sources.batch_max), (1, Environment));
    }

    #[test]
    fn a_setting_is_in_force_since_its_value_was_set() {
        let since = |steps: &[Step]| after(GroupControls::default(), steps).since;
        const PAUSED: &str = r#"{"paused": true}"#;
        const SLOW: &str = r#"{"processing_time_ms": 2000}"#;
        const BOTH: &str = r#"{"processing_time_ms": 2000, "paused": true}"#;
        const NOBODY: Since = Since {
            processing_time_ms: None,
            batch_max: None,
            paused: None,
        };
        assert_eq!(since(&[]), NOBODY);
        let by_environment = after(json(SLOW), &[]).since;
        assert_eq!(by_environment, NOBODY);
        // A value that is set again, as `./sandbox consumer` does with each change of another one, keeps its time.
        for again in [
            [ByGroup(PAUSED), ByGroup(BOTH)],
            [ByCall(PAUSED), ByCall(BOTH)],
        ] {
            let both = since(&again);
            assert_eq!(both.paused, Some(at(0)));
            assert_eq!(
                (both.processing_time_ms, both.batch_max),
                (Some(at(1)), Some(at(1)))
            );
        }
        // Another source, or another value, begins at its own time.
        assert_eq!(
            since(&[ByGroup(PAUSED), ByCall(PAUSED)]).paused,
            Some(at(1))
        );
        let resumed = [ByGroup(PAUSED), ByGroup(r#"{"paused": false}"#)];
        assert_eq!(since(&resumed).paused, Some(at(1)));
        assert_eq!(since(&[ByCall(PAUSED), Tombstone]), NOBODY);
    }
}
