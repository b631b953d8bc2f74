//! What a person may ask of a running member, and what it says about itself.
//!
//! Read in this order: [`layers`] (who may say what, and what holds), `group` (what all members of a group are told: the topic
//! `sandbox.controls`), `http` (what this one is told, and what it answers). The member's loop reads what holds between batches,
//! never inside one.

pub(crate) mod group;
mod http;
pub mod layers;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared_events::{GroupControls, Service};

pub use http::{Stats, router};
pub use layers::{InForce, Source, Sources};

use crate::member::assignment::{Partition, TopicNames};
use layers::Layers;

pub use http::asked_for;

/// Wishes, which the member's loop reads between batches, and what it does about them. Clones speak to the same member.
#[derive(Debug, Clone)]
pub struct Controls {
    identity: Arc<Identity>,
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
    layers: Layers,
    /// Whether it is known what the group was told, be it nothing.
    knows_group: bool,
    /// How often somebody asked to resume.
    resumes: u64,
    standing: Standing,
    processed: u64,
    last_message: Option<DateTime<Utc>>,
    applied: Option<Applied>,
}

/// How a member is, as its loop tells it between batches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    pub(crate) running: bool,
    pub(crate) health: Health,
    /// It takes no records, on purpose.
    pub(crate) paused: bool,
    pub(crate) assigned: BTreeSet<Partition>,
}

/// Whether a member does what it is there for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Health {
    Healthy,
    Degraded,
    #[default]
    Unhealthy,
}

/// With which settings a batch was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Simulated work, milliseconds a handler call.
    pub processing_time_ms: u32,
    /// Most records it could have had.
    pub batch_max: u32,
}

impl Controls {
    /// Of a member that was started with `environment`.
    pub(crate) fn new(
        service: Service,
        instance_id: &str,
        group_id: String,
        topics: TopicNames,
        environment: GroupControls,
    ) -> Self {
        Self {
            identity: Arc::new(Identity {
                service,
                instance_id: instance_id.to_owned(),
                group_id,
                topics,
            }),
            state: Arc::new(Mutex::new(State {
                layers: Layers::new(environment),
                knows_group: false,
                resumes: 0,
                standing: Standing::default(),
                processed: 0,
                last_message: None,
                applied: None,
            })),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops taking records. The member stays in its group, since it goes on polling.
    pub fn pause(&self) {
        self.ask(GroupControls {
            paused: Some(true),
            ..GroupControls::default()
        });
    }

    /// Takes records again, also after the poison limit: the count of poison begins anew.
    pub fn resume(&self) {
        self.ask(GroupControls {
            paused: Some(false),
            ..GroupControls::default()
        });
    }

    /// Asks this of this one member; fields not named stay as they are. Returns what holds now. Bounds are the caller's: see
    /// [`GroupControls::check`].
    pub fn ask(&self, wanted: GroupControls) -> InForce {
        let mut state = self.state();
        state.resumes += u64::from(wanted.paused == Some(false));
        state.layers.instance_told(wanted);
        state.layers.in_force()
    }

    /// What holds now, and where it comes from.
    pub fn in_force(&self) -> InForce {
        self.state().layers.in_force()
    }

    /// What the group had been told before this member came to know, if anything.
    pub(crate) fn group_found(&self, group: Option<GroupControls>) {
        let mut state = self.state();
        state.layers.found(group);
        state.knows_group = true;
    }

    /// What the group is told now. Whoever resumes the group means those too that stopped by themselves.
    pub(crate) fn group_told(&self, group: Option<GroupControls>) {
        let mut state = self.state();
        let resumes = group.as_ref().is_some_and(|it| it.paused == Some(false));
        state.resumes += u64::from(resumes);
        state.layers.group_told(group);
    }

    /// Whether it is known what the group was told. Until then no record is taken: the first one already has to be taken as the
    /// others take theirs.
    pub(crate) fn knows_group(&self) -> bool {
        self.state().knows_group
    }

    /// How often somebody asked to resume.
    pub(crate) fn resumes(&self) -> u64 {
        self.state().resumes
    }

    /// How the member is.
    pub(crate) fn stand(&self, standing: Standing) {
        self.state().standing = standing;
    }

    /// A batch was taken with these settings.
    pub(crate) fn applied(&self, settings: &InForce) {
        self.state().applied = Some(Applied {
            processing_time_ms: settings.processing_time_ms,
            batch_max: settings.batch_max,
        });
    }

    /// So many records were settled.
    pub(crate) fn settled(&self, records: u64) {
        let mut state = self.state();
        state.processed += records;
        state.last_message = Some(Utc::now());
    }

    /// The partitions of each topic, by the topics' names on the broker.
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
