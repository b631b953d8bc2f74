//! The settings of a running member that can be changed, and the status that it reports.
//!
//! Read in this order: `layer` and `config_layers` (which source sets what, and which configuration is effective), `control_topic_reader`
//! (the settings of the whole group, from the topic `sandbox.controls`), `http` (the settings and the status of this member). The
//! consumer loop reads the effective configuration between batches, never inside one.

mod config_layers;
pub(crate) mod control_topic_reader;
mod http;
mod layer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared_events::member_api::{
    AppliedConfig, EffectiveConfig, LostRecords, MemberCondition, MemberStats, Source,
};
use shared_events::{GroupControls, Service};

use crate::faults::Faults;
use crate::topic_partitions::{Partition, TopicNames};
use config_layers::{ConfigLayers, changes};
use layer::Layer;

pub use http::{parse_group_controls, router};

/// The controls of one member: its desired state, which the consumer loop reads between batches, and its status. Clones belong
/// to the same member.
#[derive(Debug, Clone)]
pub struct Controls {
    identity: Arc<Identity>,
    faults: Faults,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct Identity {
    service: Service,
    instance_id: String,
    group_id: String,
    topics: TopicNames,
}

#[derive(Debug)]
struct State {
    layers: ConfigLayers,
    /// The group's record of `sandbox.controls` has been read, or there is none.
    is_group_loaded: bool,
    /// Resumes so far, of the member and of its group.
    resumes: u64,
    status: MemberStatus,
    processed: u64,
    last_message: Option<DateTime<Utc>>,
    applied: Option<AppliedConfig>,
}

/// The status of a member, set by its loop between batches.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemberStatus {
    pub(crate) running: bool,
    pub(crate) health: Health,
    /// It takes no records: paused, halted, or waiting for its group's settings.
    pub(crate) paused: bool,
    pub(crate) assigned: BTreeSet<Partition>,
    /// What keeps it from its work, the gravest first.
    pub(crate) conditions: Vec<MemberCondition>,
    /// The records that were gone before it could consume them.
    pub(crate) records_lost: Vec<LostRecords>,
}

/// The worst last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Health {
    Healthy,
    Degraded,
    #[default]
    Unhealthy,
}

impl Controls {
    /// The controls of a member that starts with the settings of `environment`. They change `faults`.
    pub(crate) fn new(
        service: Service,
        instance_id: &str,
        group_id: String,
        topics: TopicNames,
        environment: GroupControls,
        faults: Faults,
    ) -> Self {
        let (crash_at, protection_off) = faults.current();
        let environment = GroupControls {
            crash_at: Some(crash_at).filter(|at| at.0.is_some()),
            protection_off: Some(protection_off).filter(|off| off.0.is_some()),
            ..environment
        };
        let environment = Layer::new(environment, None, faults.are_allowed());
        Self {
            identity: Arc::new(Identity {
                service,
                instance_id: instance_id.to_owned(),
                group_id,
                topics,
            }),
            state: Arc::new(Mutex::new(State {
                layers: ConfigLayers::new(environment, &faults),
                is_group_loaded: false,
                resumes: 0,
                status: MemberStatus::default(),
                processed: 0,
                last_message: None,
                applied: None,
            })),
            faults,
        }
    }

    /// What this source has set at this time, without the faults that this process may not obey.
    pub(crate) fn layer(&self, settings: GroupControls, at: Option<DateTime<Utc>>) -> Layer {
        Layer::new(settings, at, self.faults.are_allowed())
    }

    /// Changes the layers and then the faults of the process, which are always those of the effective configuration. Returns
    /// the configuration before and after.
    fn change(&self, change: impl FnOnce(&mut State)) -> (EffectiveConfig, EffectiveConfig) {
        let mut state = self.state();
        let before = state.layers.effective();
        change(&mut state);
        let after = state.layers.effective();
        self.faults.apply(&after);
        (before, after)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pauses this member. It stays in its group, since it goes on polling.
    pub fn pause(&self) {
        self.update(GroupControls {
            paused: Some(true),
            ..GroupControls::default()
        });
    }

    /// Resumes this member, also after the poison limit: the count of poison records restarts at 0.
    pub fn resume(&self) {
        self.update(GroupControls {
            paused: Some(false),
            ..GroupControls::default()
        });
    }

    /// Sets these fields for this member. Fields that are `None` keep their value. Returns the effective configuration.
    ///
    /// The caller checks the bounds (see [`GroupControls::validate`]), and that the process may obey the faults.
    pub fn update(&self, settings: GroupControls) -> EffectiveConfig {
        let settings = self.layer(settings, Some(Utc::now()));
        let (before, after) = self.change(|state| {
            state.resumes += u64::from(settings.resumes());
            state.layers.set_instance(settings);
        });
        let changed = changes(&before, &after);
        tracing::info!(source = %Source::Instance, set = %settings, changed, "settings of this instance");
        after
    }

    /// The effective configuration, with the source of each setting.
    pub fn effective(&self) -> EffectiveConfig {
        self.state().layers.effective()
    }

    /// The group's settings as they were when the reader started.
    pub(crate) fn group_loaded(&self, group: Layer) {
        let mut was_loaded = false;
        let (before, after) = self.change(|state| {
            was_loaded = std::mem::replace(&mut state.is_group_loaded, true);
            state.layers.load_group(group);
        });
        let changed = changes(&before, &after);
        if !was_loaded || before != after {
            tracing::info!(source = %Source::Group, set = %group, changed, "settings of the group read");
        }
    }

    /// The group's record has changed. `None` is a tombstone. A resume of the group also resumes the members that have halted.
    pub(crate) fn group_changed(&self, group: Option<Layer>) {
        let (before, after) = self.change(|state| {
            state.resumes += u64::from(group.is_some_and(|set| set.resumes()));
            state.layers.set_group(group);
        });
        let changed = changes(&before, &after);
        match group {
            Some(set) => {
                tracing::info!(source = %Source::Group, %set, changed, "settings of the group");
            }
            None => {
                tracing::info!(source = %Source::Group, changed, "settings of the group cleared")
            }
        }
    }

    /// Whether the group's settings are known. Before, the member takes no records: they apply to its first record already.
    pub(crate) fn is_group_loaded(&self) -> bool {
        self.state().is_group_loaded
    }

    /// Resumes so far. The loop compares the number with the one it has handled.
    pub(crate) fn resumes(&self) -> u64 {
        self.state().resumes
    }

    pub(crate) fn set_status(&self, status: MemberStatus) {
        self.state().status = status;
    }

    /// A batch was collected with this configuration.
    pub(crate) fn set_applied(&self, config: &EffectiveConfig) {
        self.state().applied = Some(AppliedConfig {
            processing_time_ms: config.processing_time_ms,
            batch_max: config.batch_max,
        });
    }

    /// A batch with this number of records was committed.
    pub(crate) fn count_processed(&self, records: u64) {
        let mut state = self.state();
        state.processed += records;
        state.last_message = Some(Utc::now());
    }

    /// The status of the member: the response to `GET /stats`.
    pub fn stats(&self) -> MemberStats {
        let identity = &self.identity;
        let topic = identity.topics.names().first().copied().unwrap_or_default();
        let state = self.state();
        let assignment = self.assignment(&state.status.assigned);
        let config = state.layers.effective();
        MemberStats {
            instance_id: identity.instance_id.clone(),
            group_id: identity.group_id.clone(),
            topic: topic.to_owned(),
            processing_time_ms: config.processing_time_ms,
            running: state.status.running,
            paused: state.status.paused,
            messages_processed: state.processed,
            last_message_time: state.last_message,
            assigned_partitions: assignment.get(topic).cloned().unwrap_or_default(),
            assignment,
            applied: state.applied,
            config,
            conditions: state.status.conditions.clone(),
            records_lost: state.status.records_lost.clone(),
        }
    }

    /// The assigned partitions of each topic, by its name on the broker.
    fn assignment(&self, assigned: &BTreeSet<Partition>) -> BTreeMap<String, Vec<i32>> {
        let names = self.identity.topics.names().into_iter();
        let mut assignment: BTreeMap<String, Vec<i32>> =
            names.map(|name| (name.to_owned(), Vec::new())).collect();
        for partition in assigned {
            let name = self.identity.topics.name(partition.topic);
            assignment
                .entry(name.to_owned())
                .or_default()
                .push(partition.number);
        }
        assignment
    }
}
