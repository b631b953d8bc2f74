//! The layers of a member's configuration, and which of them is effective. Pure.
//!
//! Four sources, each overriding the one before: the default, the environment, the group (`sandbox.controls`), the instance (its
//! HTTP interface). A later record of the group resets the same fields of the instance.
//!
//! A crash point of the group kills each process once, unless it is repeated: processes that started before it was set obey it,
//! and those that started later, such as the restarted ones, do not. So nothing has to be written by a process that dies.

use chrono::{DateTime, Utc};
use shared_events::controls::BATCH_MAX_DEFAULT;
use shared_events::member_api::{EffectiveConfig, Since, Source, Sources};
use shared_events::{CrashAt, OrNone};

use super::layer::{Crash, Layer, Setting};
use crate::faults::Faults;

/// The layers above the defaults.
#[derive(Debug, Clone)]
pub(crate) struct ConfigLayers {
    /// When the process started, and whether it obeys faults.
    started: DateTime<Utc>,
    faults_allowed: bool,
    environment: Layer,
    group: Layer,
    instance: Layer,
}

impl ConfigLayers {
    pub(crate) fn new(environment: Layer, faults: &Faults) -> Self {
        Self {
            started: faults.started(),
            faults_allowed: faults.are_allowed(),
            environment,
            group: Layer::default(),
            instance: Layer::default(),
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
        let (crash, crash_from) = self.top(|layer| layer.crash, Crash::default());
        let (off, off_from) = self.top(|layer| layer.protection_off, OrNone(None));
        EffectiveConfig {
            processing_time_ms: time.value,
            batch_max: batch.value,
            paused: paused.value,
            crash_at: self.crash_of_this_process(&crash),
            protection_off: off.value,
            unsafe_allowed: self.faults_allowed,
            faults_ignored: self.group.faults_ignored,
            sources: Sources {
                processing_time_ms: time_from,
                batch_max: batch_from,
                paused: paused_from,
                crash_at: crash_from,
                protection_off: off_from,
            },
            since: Since {
                processing_time_ms: time.since,
                batch_max: batch.since,
                paused: paused.since,
                crash_at: crash.since,
                protection_off: off.since,
            },
        }
    }

    /// The environment, which has no time, is that of this process.
    fn crash_of_this_process(&self, crash: &Setting<Crash>) -> OrNone<CrashAt> {
        let is_meant = crash.since.is_none_or(|since| since >= self.started);
        OrNone(crash.value.at.0.filter(|_| crash.value.repeat || is_meant))
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

/// What a control has changed: `processing_time_ms 0 to 2000, batch_max 500 to 1`, or `nothing`.
pub(super) fn changes(before: &EffectiveConfig, after: &EffectiveConfig) -> String {
    fn change<T: PartialEq + std::fmt::Display>(name: &str, before: T, after: T) -> Option<String> {
        (before != after).then(|| format!("{name} {before} to {after}"))
    }
    let changes = [
        change(
            "processing_time_ms",
            before.processing_time_ms,
            after.processing_time_ms,
        ),
        change("batch_max", before.batch_max, after.batch_max),
        change("paused", before.paused, after.paused),
        change("crash_at", before.crash_at, after.crash_at),
        change(
            "protection_off",
            before.protection_off,
            after.protection_off,
        ),
    ];
    let changes: Vec<String> = changes.into_iter().flatten().collect();
    match changes.is_empty() {
        true => "nothing".to_owned(),
        false => changes.join(", "),
    }
}

#[cfg(test)]
mod tests;
