//! `?group=` and `?topic=`: the pair that a request is about.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use cluster_reader::{Group, Snapshot};
use service_kit::Problem;
use service_kit::query_params::QueryParams;

use super::Monitor;
use crate::format::{display_name, list_names};
use crate::lag_state::GroupTopic;

/// Most names that an error lists.
const MAX_LISTED_NAMES: usize = 50;

/// The names as given: the group or topic may not exist.
pub(super) struct GroupTopicQuery {
    group: Option<String>,
    topic: Option<String>,
}

impl GroupTopicQuery {
    pub(super) fn take(parameters: &mut QueryParams) -> Self {
        Self {
            group: parameters.take("group"),
            topic: parameters.take("topic"),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.group.is_none() && self.topic.is_none()
    }

    /// The pair by its names on the broker. A name is looked up as given, then with the prefix of
    /// this stack. Without `group` the default group is meant; without `topic` the default topic
    /// for that group, else the only topic of the group.
    ///
    /// # Errors 404 if there is no such group, or the group does not consume the topic; 400 if the
    /// group consumes several topics and none is given.
    pub(super) fn find(
        &self,
        monitor: &Monitor,
        snapshot: &Snapshot,
    ) -> Result<GroupTopic, Problem> {
        let default = &monitor.state.settings().default_group_topic;
        let with_and_without_prefix =
            |name: &String| vec![name.clone(), monitor.prefix().name(name)];
        let candidates = match &self.group {
            Some(group) => with_and_without_prefix(group),
            None => vec![default.group.clone()],
        };
        let found = candidates
            .iter()
            .find_map(|name| Some((name, snapshot.groups.get(name)?)));
        let (name, group) = found.ok_or_else(|| no_such_group(&candidates, snapshot))?;
        let topics = topics(group);
        let candidates = match (&self.topic, topics.len()) {
            (Some(topic), _) => with_and_without_prefix(topic),
            (None, _) if name == &default.group && self.group.is_none() => {
                vec![default.topic.clone()]
            }
            (None, 1) => topics.iter().map(|topic| (*topic).to_owned()).collect(),
            (None, 0) => return Err(no_topic(name)),
            (None, _) => return Err(several_topics(name, &topics)),
        };
        let mut found = candidates.iter();
        let topic = found.find(|topic| topics.contains(topic.as_str()));
        let topic = topic.ok_or_else(|| no_such_topic(name, &candidates, &topics))?;
        Ok(GroupTopic {
            group: name.clone(),
            topic: topic.clone(),
        })
    }
}

fn topics(group: &Group) -> BTreeSet<&str> {
    group
        .partitions
        .keys()
        .map(|at| at.topic.as_str())
        .collect()
}

fn no_such_group(candidates: &[String], snapshot: &Snapshot) -> Problem {
    let existing = list_names(snapshot.groups.keys().map(String::as_str), MAX_LISTED_NAMES);
    Problem::not_found(format!(
        "no group {}; there are: {existing}",
        as_given(candidates)
    ))
}

fn no_topic(group: &str) -> Problem {
    let group = display_name(group);
    Problem::not_found(format!("the group {group} does not consume a topic yet"))
}

fn no_such_topic(group: &str, candidates: &[String], topics: &BTreeSet<&str>) -> Problem {
    Problem::not_found(format!(
        "the group {} does not consume {}; it consumes: {}",
        display_name(group),
        as_given(candidates),
        list_names(topics.iter().copied(), MAX_LISTED_NAMES)
    ))
}

fn several_topics(group: &str, topics: &BTreeSet<&str>) -> Problem {
    let detail = format!(
        "the group {} consumes several topics; choose one with topic=: {}",
        display_name(group),
        list_names(topics.iter().copied(), MAX_LISTED_NAMES)
    );
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

fn as_given(candidates: &[String]) -> String {
    candidates
        .first()
        .map_or_else(String::new, |name| display_name(name))
}
