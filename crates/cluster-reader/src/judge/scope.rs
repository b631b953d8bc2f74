//! What is judged: a group, or its part on one topic, with its past.

use chrono::{DateTime, TimeDelta, Utc};

use super::growth::Growth;
use super::history::{History, Tracks};
use super::rates::{self, Rates};
use super::track::Track;
use super::{STANDS_STILL, Thresholds};
use crate::{Group, Lag, NoLag, PartitionLag, TopicPartition};

/// A group, or its part on one topic.
pub(super) struct Scope<'a> {
    pub(super) group: &'a Group,
    pub(super) thresholds: Thresholds,
    /// When the last reading was.
    pub(super) now: DateTime<Utc>,
    /// All readings that are kept, this one included.
    pub(super) readings: &'a [DateTime<Utc>],
    /// Readable records, where that is known.
    pub(super) total: Option<i64>,
    pub(super) rates: Option<Rates>,
    window_start: Option<DateTime<Utc>>,
    topic: Option<&'a str>,
    tracks: Option<&'a Tracks>,
    history: &'a History,
}

/// The group on one partition.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) at: &'a TopicPartition,
    pub(super) found: &'a PartitionLag,
    pub(super) track: Option<&'a Track>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(
        history: &'a History,
        group: &str,
        topic: Option<&'a str>,
        thresholds: Thresholds,
    ) -> Option<Self> {
        let snapshot = history.latest()?;
        let mut scope = Self {
            group: snapshot.groups.get(group)?,
            thresholds,
            now: snapshot.taken_at,
            readings: history.readings(),
            total: None,
            rates: None,
            window_start: rates::window_start(history),
            topic,
            tracks: history.tracks(group),
            history,
        };
        if topic.is_some() && scope.inside().next().is_none() {
            return None;
        }
        let known = scope.inside().filter_map(|one| one.records());
        scope.total = known.reduce(i64::saturating_add);
        scope.rates = rates::sum(scope.inside().filter_map(|one| one.rates(&scope)));
        Some(scope)
    }

    /// The partitions that are judged.
    pub(super) fn inside(&self) -> impl Iterator<Item = Place<'a>> {
        let topic = self.topic;
        self.whole()
            .filter(move |one| topic.is_none_or(|topic| one.at.topic == topic))
    }

    /// All partitions of the group: what a member does elsewhere says something about it here.
    pub(super) fn whole(&self) -> impl Iterator<Item = Place<'a>> {
        let tracks = self.tracks;
        self.group.partitions.iter().map(move |(at, found)| Place {
            at,
            found,
            track: tracks.and_then(|tracks| tracks.get(at)),
        })
    }

    /// The moment from which on nothing done counts as standing still.
    pub(super) fn still_since(&self) -> DateTime<Utc> {
        self.now - still()
    }

    /// What came into a topic lately.
    pub(super) fn growth(&self, topic: &str) -> Option<&'a Growth> {
        self.history.growth(topic)
    }

    /// How many records waited then, where that is known.
    pub(super) fn total_then(&self, then: DateTime<Utc>) -> i64 {
        let then = |one: Place<'a>| one.track.and_then(|track| track.then(then));
        let known = self.inside().filter(|one| one.lag().is_some());
        let readable = known.filter_map(|one| Some(then(one)?.readable));
        readable.fold(0, i64::saturating_add)
    }
}

impl<'a> Place<'a> {
    pub(super) fn lag(&self) -> Option<&'a Lag> {
        self.found.lag.as_ref().ok()
    }

    /// Records that wait here; `None` if that is not known.
    pub(super) fn records(&self) -> Option<i64> {
        match self.found.lag {
            Ok(lag) => Some(lag.readable),
            Err(NoLag::NoRecordYet) => Some(0),
            Err(NoLag::NothingCommitted | NoLag::CommittedBeyondEnd | NoLag::TopicDeleted) => None,
        }
    }

    pub(super) fn is_not_known(&self) -> bool {
        self.records().is_none()
    }

    /// Records that wait here, as far as can be said: where nothing was committed, those that came since there is an owner.
    pub(super) fn waiting(&self) -> i64 {
        let last = self.track.and_then(|track| track.points().last());
        let since = last.map_or(0, |last| last.readable);
        self.records().unwrap_or(since)
    }

    /// The offset at which the group stands: where nothing was committed, the beginning.
    pub(super) fn offset(&self) -> Option<i64> {
        self.found
            .committed
            .or(self.found.ends.map(|ends| ends.low))
    }

    /// Whether records have waited here for [`STANDS_STILL`] with the group at the same offset; since when.
    pub(super) fn stands_since(&self, scope: &Scope<'_>) -> Option<DateTime<Utc>> {
        if !matches!(self.found.lag, Ok(_) | Err(NoLag::NothingCommitted)) {
            return None;
        }
        let since = self.track?.waiting_since()?;
        (since <= scope.still_since()).then_some(since)
    }

    pub(super) fn rates(&self, scope: &Scope<'_>) -> Option<Rates> {
        self.lag()?;
        rates::since(self.track?, scope.window_start?, scope.now)
    }

    pub(super) fn is_owned_with(&self, other: &Place<'_>) -> bool {
        let id = |place: &Place<'a>| place.found.owner.as_ref().map(|owner| &owner.member_id);
        let theirs = other.found.owner.as_ref().map(|owner| &owner.member_id);
        id(self).is_some() && id(self) == theirs
    }
}

fn still() -> TimeDelta {
    TimeDelta::from_std(STANDS_STILL).unwrap_or(TimeDelta::MAX)
}
