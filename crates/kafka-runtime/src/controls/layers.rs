//! What a running member is told, by whom, and what holds. Pure.
//!
//! Four layers, each over the one before: the default, the environment it was started with, its group (`sandbox.controls`), and
//! the instance itself (its own HTTP interface). What is asked of the group later takes the place of what was asked of the
//! instance before, field by field.

use std::fmt;

use serde::{Deserialize, Serialize};
use shared_events::GroupControls;
use shared_events::controls::BATCH_MAX_DEFAULT;

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Nobody asked for anything.
    Default,
    /// `BATCH_MAX` or `PROCESSING_TIME_MS`.
    Environment,
    /// The service's record in `sandbox.controls`.
    Group,
    /// A call to this instance.
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

/// The settings that hold, and where each comes from: the answer to `GET /config`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Simulated work, milliseconds a handler call: 0 to 30 000.
    pub processing_time_ms: u32,
    /// Most records of a batch: 1 to 10 000.
    pub batch_max: u32,
    /// Whether no records are taken.
    pub paused: bool,
    /// Where each of them comes from.
    pub sources: Sources,
}

/// Where the settings come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// Of `processing_time_ms`.
    pub processing_time_ms: Source,
    /// Of `batch_max`.
    pub batch_max: Source,
    /// Of `paused`.
    pub paused: Source,
}

/// The layers above the defaults. In each, a time without `batch_max` has said what it means for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    environment: GroupControls,
    group: GroupControls,
    instance: GroupControls,
}

impl Layers {
    pub(crate) fn new(environment: GroupControls) -> Self {
        Self {
            environment: environment.with_implied_batch_max(),
            ..Self::default()
        }
    }

    /// What the group was told before this instance knew of it. It is older than what the instance was told itself.
    pub(crate) fn found(&mut self, group: Option<GroupControls>) {
        self.group = group.unwrap_or_default().with_implied_batch_max();
    }

    /// What the group is told now: the fields it names count no longer as the instance was told. `None` takes all back, from
    /// both.
    pub(crate) fn group_told(&mut self, group: Option<GroupControls>) {
        let own = &mut self.instance;
        match group.map(GroupControls::completed) {
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

    /// What this instance is told now. Fields not named stay as they were.
    pub(crate) fn instance_told(&mut self, wanted: GroupControls) {
        let wanted = wanted.with_implied_batch_max();
        let own = &mut self.instance;
        own.processing_time_ms = wanted.processing_time_ms.or(own.processing_time_ms);
        own.batch_max = wanted.batch_max.or(own.batch_max);
        own.paused = wanted.paused.or(own.paused);
    }

    pub(crate) fn in_force(&self) -> InForce {
        let (processing_time_ms, time_from) = self.top(|layer| layer.processing_time_ms, 0);
        let (batch_max, batch_from) = self.top(|layer| layer.batch_max, BATCH_MAX_DEFAULT);
        let (paused, paused_from) = self.top(|layer| layer.paused, false);
        InForce {
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
    enum Told {
        Found(&'static str),
        Group(&'static str),
        Instance(&'static str),
        TakenBack,
    }
    use Source::{Default, Environment, Group, Instance};
    use Told::{Found, Group as ByGroup, Instance as ByCall, TakenBack};

    fn json(text: &str) -> GroupControls {
        GroupControls::decode(text.as_bytes()).unwrap()
    }

    fn after(environment: GroupControls, story: &[Told]) -> InForce {
        let mut layers = Layers::new(environment);
        for told in story {
            match told {
                Found(text) => layers.found(Some(json(text))),
                ByGroup(text) => layers.group_told(Some(json(text))),
                ByCall(text) => layers.instance_told(json(text)),
                TakenBack => layers.group_told(None),
            }
        }
        layers.in_force()
    }

    type Row = (
        &'static [Told],
        (u32, Source),
        (u32, Source),
        (bool, Source),
    );

    #[test]
    fn each_layer_lies_over_the_one_before_and_later_words_of_the_group_over_both() {
        const SLOW: &str = r#"{"processing_time_ms": 2000}"#;
        const FAST: &str = r#"{"processing_time_ms": 50, "batch_max": 7}"#;
        const NO_WORK: &str = r#"{"processing_time_ms": 0}"#;
        const BATCH: &str = r#"{"batch_max": 9}"#;
        const PAUSED: &str = r#"{"paused": true}"#;
        const GOING: &str = r#"{"paused": false}"#;
        let going = (false, Default);
        let rows: &[Row] = &[
            (&[], (0, Default), (500, Default), going),
            (&[Found(SLOW)], (2000, Group), (1, Group), going),
            (&[ByGroup(SLOW)], (2000, Group), (1, Group), going),
            (&[ByCall(SLOW)], (2000, Instance), (1, Instance), going),
            // The group's next record replaces its last one, and what the instance was told of the same.
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
            // What the instance is told later lies over the group again.
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
            // What was there before it was known is older than any call.
            (
                &[ByCall(FAST), Found(SLOW)],
                (50, Instance),
                (7, Instance),
                going,
            ),
            (
                &[ByGroup(SLOW), ByCall(FAST), TakenBack],
                (0, Default),
                (500, Default),
                going,
            ),
        ];
        for (number, (story, time, batch, paused)) in rows.iter().enumerate() {
            let held = after(GroupControls::default(), story);
            let sources = held.sources;
            assert_eq!(
                (held.processing_time_ms, sources.processing_time_ms),
                *time,
                "row {number}"
            );
            assert_eq!((held.batch_max, sources.batch_max), *batch, "row {number}");
            assert_eq!((held.paused, sources.paused), *paused, "row {number}");
        }
    }

    #[test]
    fn the_environment_lies_under_the_group_and_comes_back_when_that_is_taken_back() {
        let environment = json(r#"{"batch_max": 20}"#);
        let held = after(environment.clone(), &[]);
        assert_eq!((held.batch_max, held.sources.batch_max), (20, Environment));
        let held = after(environment.clone(), &[ByGroup(r#"{"batch_max": 3}"#)]);
        assert_eq!((held.batch_max, held.sources.batch_max), (3, Group));
        let story = [
            ByGroup(r#"{"batch_max": 3}"#),
            ByCall(r#"{"batch_max": 4}"#),
            TakenBack,
        ];
        let held = after(environment, &story);
        assert_eq!((held.batch_max, held.sources.batch_max), (20, Environment));
        let slow = after(json(r#"{"processing_time_ms": 5}"#), &[]);
        assert_eq!((slow.batch_max, slow.sources.batch_max), (1, Environment));
    }
}
