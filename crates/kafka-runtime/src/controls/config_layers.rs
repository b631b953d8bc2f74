//! The layers of a member's configuration, and which of them is effective. Pure.
//!
//! Four sources, each overriding the one before: the default, the environment, the group (`sandbox.controls`), the instance (its
//! HTTP interface). A later record of the group resets the same fields of the instance.

use std::fmt;

use serde::{Deserialize, Serialize};
use shared_events::GroupControls;
use shared_events::controls::BATCH_MAX_DEFAULT;

/// The source that set a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// No source has set it.
    Default,
    /// `BATCH_MAX` or `PROCESSING_TIME_MS`.
    Environment,
    /// The service's record in `sandbox.controls`.
    Group,
    /// The HTTP interface of this instance.
    Instance,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Environment => "environment",
            Self::Group => "group",
            Self::Instance => "instance",
        })
    }
}

/// The effective configuration with its sources: the response to `GET /config`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectiveConfig {
    /// Simulated work, milliseconds per handler call: 0 to 30 000.
    pub processing_time_ms: u32,
    /// Maximum number of records in a batch: 1 to 10 000.
    pub batch_max: u32,
    /// Whether the member takes no records.
    pub paused: bool,
    /// The source of each setting.
    pub sources: Sources,
}

/// The source of each setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// The source of `processing_time_ms`.
    pub processing_time_ms: Source,
    /// The source of `batch_max`.
    pub batch_max: Source,
    /// The source of `paused`.
    pub paused: Source,
}

/// The layers above the defaults. In each, a processing time without `batch_max` implies `batch_max`.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConfigLayers {
    environment: GroupControls,
    group: GroupControls,
    instance: GroupControls,
}

impl ConfigLayers {
    pub(crate) fn new(environment: GroupControls) -> Self {
        Self {
            environment: environment.with_implied_batch_max(),
            ..Self::default()
        }
    }

    /// The group's record as it was when the member started. It is older than the settings of the instance, so it resets none
    /// of them.
    pub(crate) fn load_group(&mut self, group: Option<GroupControls>) {
        self.group = group.unwrap_or_default().with_implied_batch_max();
    }

    /// A new record of the group: it replaces the one before, and resets the same fields of the instance. `None` (a tombstone)
    /// resets group and instance.
    pub(crate) fn set_group(&mut self, group: Option<GroupControls>) {
        let own = &mut self.instance;
        match group.map(GroupControls::with_implied_batch_max) {
            None => {
                self.group = GroupControls::default();
                *own = GroupControls::default();
            }
            Some(group) => {
                own.processing_time_ms
                    .take_if(|_| group.processing_time_ms.is_some());
                own.batch_max.take_if(|_| group.batch_max.is_some());
                own.paused.take_if(|_| group.paused.is_some());
                self.group = group;
            }
        }
    }

    /// New settings of the instance. Fields that are `None` keep their value.
    pub(crate) fn set_instance(&mut self, settings: GroupControls) {
        let settings = settings.with_implied_batch_max();
        let own = &mut self.instance;
        own.processing_time_ms = settings.processing_time_ms.or(own.processing_time_ms);
        own.batch_max = settings.batch_max.or(own.batch_max);
        own.paused = settings.paused.or(own.paused);
    }

    pub(crate) fn effective(&self) -> EffectiveConfig {
        let (processing_time_ms, time_from) = self.top(|layer| layer.processing_time_ms, 0);
        let (batch_max, batch_from) = self.top(|layer| layer.batch_max, BATCH_MAX_DEFAULT);
        let (paused, paused_from) = self.top(|layer| layer.paused, false);
        EffectiveConfig {
            processing_time_ms,
            batch_max,
            paused,
            sources: Sources {
                processing_time_ms: time_from,
                batch_max: batch_from,
                paused: paused_from,
            },
        }
    }

    fn top<T>(&self, field: impl Fn(&GroupControls) -> Option<T>, default: T) -> (T, Source) {
        let layers = [
            (&self.instance, Source::Instance),
            (&self.group, Source::Group),
            (&self.environment, Source::Environment),
        ];
        let mut set = layers
            .into_iter()
            .filter_map(|(layer, source)| Some((field(layer)?, source)));
        set.next().unwrap_or((default, Source::Default))
    }
}

#[cfg(test)]
mod tests {
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

    fn after(environment: GroupControls, steps: &[Step]) -> EffectiveConfig {
        let mut layers = ConfigLayers::new(environment);
        for step in steps {
            match step {
                Loaded(text) => layers.load_group(Some(json(text))),
                ByGroup(text) => layers.set_group(Some(json(text))),
                ByCall(text) => layers.set_instance(json(text)),
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
}
