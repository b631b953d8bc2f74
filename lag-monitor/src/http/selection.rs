//! Which group and topic a call is about: `?group=` and `?topic=`.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use cluster_reader::{Group, Snapshot};
use service_kit::Problem;
use service_kit::parameters::{Parameters, Within};

use super::Monitor;
use crate::text::{list, shown};
use crate::watch::Pair;

/// Most names in an answer that says which there are.
const MOST_NAMES: usize = 50;

/// Most entries that one call can ask for.
const MOST_ENTRIES: u32 = 1_000;

/// What a call names, before anybody has looked whether there is such a thing.
pub(super) struct Asked {
    group: Option<String>,
    topic: Option<String>,
}

impl Asked {
    pub(super) fn take(parameters: &mut Parameters) -> Self {
        Self {
            group: parameters.take("group"),
            topic: parameters.take("topic"),
        }
    }

    pub(super) fn names_nothing(&self) -> bool {
        self.group.is_none() && self.topic.is_none()
    }

    /// The group and topic meant, by their names on the broker. A name without this stack's prefix is looked up with it as well.
    pub(super) fn find(&self, monitor: &Monitor, snapshot: &Snapshot) -> Result<Pair, Problem> {
        let default = &monitor.watch.rules().first;
        let named = |name: &String| [name.clone(), monitor.prefix().name(name)];
        let groups = self
            .group
            .as_ref()
            .map_or_else(|| vec![default.group.clone()], |name| named(name).into());
        let known = groups
            .iter()
            .find_map(|name| Some((name, snapshot.groups.get(name)?)));
        let (name, group) = known.ok_or_else(|| no_group(&groups, snapshot))?;
        let topics = topics(group);
        let wanted = match (&self.topic, topics.len()) {
            (Some(topic), _) => named(topic).into(),
            (None, _) if name == &default.group && self.group.is_none() => {
                vec![default.topic.clone()]
            }
            (None, 1) => topics.iter().map(|topic| (*topic).to_owned()).collect(),
            (None, 0) => return Err(reads_nothing(name)),
            (None, _) => return Err(which_topic(name, &topics)),
        };
        let topic = wanted.iter().find(|topic| topics.contains(topic.as_str()));
        let topic = topic.ok_or_else(|| no_topic(name, &wanted, &topics))?;
        Ok(Pair {
            group: name.clone(),
            topic: topic.clone(),
        })
    }
}

/// `limit`, 1 to 1000.
pub(super) fn limit(parameters: &mut Parameters, otherwise: usize) -> usize {
    let limit: Option<Within<1, MOST_ENTRIES>> = parameters.take("limit");
    limit.map_or(otherwise, |Within(limit)| limit as usize)
}

fn topics(group: &Group) -> BTreeSet<&str> {
    group
        .partitions
        .keys()
        .map(|at| at.topic.as_str())
        .collect()
}

fn no_group(wanted: &[String], snapshot: &Snapshot) -> Problem {
    let known = list(snapshot.groups.keys().map(String::as_str), MOST_NAMES);
    let wanted = wanted.first().map_or_else(String::new, |name| shown(name));
    Problem::not_found(format!("no group {wanted}; there are: {known}"))
}

fn reads_nothing(group: &str) -> Problem {
    Problem::not_found(format!("the group {} reads no topic yet", shown(group)))
}

fn no_topic(group: &str, wanted: &[String], topics: &BTreeSet<&str>) -> Problem {
    let wanted = wanted.first().map_or_else(String::new, |name| shown(name));
    Problem::not_found(format!(
        "the group {} does not read {wanted}; it reads: {}",
        shown(group),
        list(topics.iter().copied(), MOST_NAMES)
    ))
}

fn which_topic(group: &str, topics: &BTreeSet<&str>) -> Problem {
    let detail = format!(
        "the group {} reads several topics; name one with topic=: {}",
        shown(group),
        list(topics.iter().copied(), MOST_NAMES)
    );
    Problem::new(StatusCode::BAD_REQUEST, detail)
}
