//! Stopped or stalled: records wait, and nothing is committed for them.
//!
//! A member has one thread. While it works on one partition its others wait, for as long as it takes: that is slow, and not
//! stalled. So a partition counts as stalled only if its owner had the time to come to it: elsewhere it has read all that was
//! there when the record here began to wait, a full [`STANDS_STILL`](crate::judge::STANDS_STILL) ago, and has kept up since.

use chrono::{DateTime, TimeDelta, Utc};

use super::{MOST_OF_A_KIND, about, name, span};
use crate::judge::scope::{Place, Scope};
use crate::judge::track::Track;
use crate::judge::{Finding, Rule, Status};

/// After this long it is worth a look also if the owner may be busy.
const LONG: TimeDelta = TimeDelta::minutes(10);

/// A partition that stands still, and since when.
type Stands<'a> = (Place<'a>, DateTime<Utc>);

/// Each partition that is stalled; if there is none, that the group has stopped, if it has.
pub(super) fn findings(scope: &Scope<'_>) -> Vec<Finding> {
    if scope.group.members.is_empty() {
        return Vec::new();
    }
    let group = Standing::of(scope);
    let inside = |(place, _): &&Stands<'_>| scope.inside().any(|one| one.at == place.at);
    let here: Vec<&Stands<'_>> = group.stands.iter().filter(inside).collect();
    let stalled = here.iter().filter(|one| group.is_stalled(one));
    let stalled: Vec<Finding> = stalled
        .take(MOST_OF_A_KIND)
        .map(|one| group.stalled(one))
        .collect();
    if !stalled.is_empty() || group.moves {
        return stalled;
    }
    // A group that never committed anything keeps its offsets elsewhere, or not at all.
    if scope.whole().all(|one| one.found.committed.is_none()) {
        return Vec::new();
    }
    let longest = here.into_iter().min_by_key(|(_, since)| *since);
    longest.map(|one| group.stopped(one)).into_iter().collect()
}

/// The group as a whole.
struct Standing<'a> {
    scope: &'a Scope<'a>,
    stands: Vec<Stands<'a>>,
    others: Vec<Place<'a>>,
    /// Something was committed within the last [`STANDS_STILL`](crate::judge::STANDS_STILL).
    moves: bool,
}

impl<'a> Standing<'a> {
    fn of(scope: &'a Scope<'a>) -> Self {
        let (mut stands, mut others) = (Vec::new(), Vec::new());
        for place in scope.whole() {
            match place.stands_since(scope) {
                Some(since) => stands.push((place, since)),
                None => others.push(place),
            }
        }
        let still = scope.still_since();
        let moved = |one: &Place<'_>| one.track.is_some_and(|track| track.moved_after(still));
        Self {
            moves: others.iter().any(moved),
            scope,
            stands,
            others,
        }
    }

    fn is_stalled(&self, (place, since): &Stands<'_>) -> bool {
        if self.moves && self.scope.now - *since >= LONG {
            return true;
        }
        let moved = |one: &Place<'_>| one.track.is_some_and(|track| track.moved_after(*since));
        let mut beside = self.others.iter().filter(|one| one.is_owned_with(place));
        self.others.iter().any(moved)
            && beside.all(|one| one.track.is_none_or(|track| self.had_time(track, *since)))
    }

    /// Whether the owner, on this other partition of its, has read what was there when the record began to wait, and what was
    /// there a while ago.
    fn had_time(&self, beside: &Track, since: DateTime<Utc>) -> bool {
        let still = self.scope.still_since();
        caught_up(beside, since, still) && caught_up(beside, still, self.scope.now)
    }

    fn stalled(&self, (place, since): &Stands<'_>) -> Finding {
        let evidence = format!(
            "{} stands at offset {} for {} with {} records waiting, while the group goes on elsewhere: a poison pill?",
            name(place.at),
            place.offset().unwrap_or_default(),
            span(self.scope.now - *since),
            place.waiting()
        );
        about(place, Status::Critical, Rule::Stalled, evidence)
    }

    fn stopped(&self, (place, since): &Stands<'_>) -> Finding {
        let group = self.scope.group;
        let state = match group.state.as_str() {
            "Stable" => String::new(),
            other => format!(" (state {other})"),
        };
        let evidence = format!(
            "{} records wait and the group has members ({}{state}), but has committed nothing for {}: {} stands at offset {}",
            self.scope
                .inside()
                .map(|one| one.waiting())
                .fold(0, i64::saturating_add),
            group.members.len(),
            span(self.scope.now - self.last_commit().unwrap_or(*since)),
            name(place.at),
            place.offset().unwrap_or_default()
        );
        about(place, Status::Critical, Rule::Stopped, evidence)
    }

    /// The last change of any committed offset, as far as the history goes back.
    fn last_commit(&self) -> Option<DateTime<Utc>> {
        let tracks = self.scope.whole().filter_map(|one| one.track);
        tracks.filter_map(Track::committed_since).max()
    }
}

/// Whether by `to` all was read that was there at `from`: it went beyond the end of then, or nothing was left at some moment.
fn caught_up(track: &Track, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
    let (Some(then), Some(later)) = (track.then(from), track.then(to)) else {
        return true;
    };
    let between = track
        .points()
        .iter()
        .filter(|one| from <= one.at && one.at <= to);
    later.committed >= then.stable
        || [then, later]
            .into_iter()
            .chain(between)
            .any(|one| one.readable == 0)
}
