//! What may be wrong with a group, one function each.

mod standing;

use chrono::TimeDelta;

use super::scope::{Place, Scope};
use super::{Finding, Rule, Status};
use crate::{NoLag, TopicPartition};

/// Most findings of one rule: the others are of the same kind, and their number is in none of them.
const MOST_OF_A_KIND: usize = 10;

/// The lag must have grown over this long to be called growing.
const GROWING: TimeDelta = TimeDelta::seconds(30);
/// ... and over as many readings.
const GROWING_READINGS: usize = 4;
/// ... and by as many records, and by as many seconds of what the group reads: less is what a batch under way makes.
const GROWN_RECORDS: i64 = 10;
const GROWN_SECONDS: f64 = 2.0;
/// ... and as many seconds of what the group reads must wait.
const WAITING_SECONDS: f64 = 5.0;

/// Everything that is to be said of the group; never nothing.
pub(super) fn findings(scope: &Scope<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    found.extend(no_members(scope));
    found.extend(standing::findings(scope));
    found.extend(
        scope
            .inside()
            .filter_map(|one| rewound(scope, &one))
            .take(MOST_OF_A_KIND),
    );
    found.extend(
        scope
            .inside()
            .filter_map(|one| lost_records(&one))
            .take(MOST_OF_A_KIND),
    );
    found.extend(falling_behind(scope));
    found.extend(hot_partition(scope));
    found.extend(above_threshold(scope));
    found.extend(more_consumers_than_partitions(scope));
    found.extend(not_known(scope));
    if found.is_empty() {
        found.push(keeps_up(scope));
    }
    found
}

fn no_members(scope: &Scope<'_>) -> Option<Finding> {
    let waiting = scope.total.filter(|total| *total > 0)?;
    let state = &scope.group.state;
    scope.group.members.is_empty().then(|| Finding {
        status: Status::Critical,
        rule: Rule::NoMembers,
        partition: None,
        offset: None,
        evidence: format!("{waiting} records wait and the group has no member (state {state})"),
    })
}

fn rewound(scope: &Scope<'_>, place: &Place<'_>) -> Option<Finding> {
    let committed = place.found.committed?;
    let (status, evidence) = match place.found.lag {
        Err(NoLag::CommittedBeyondEnd) => {
            let end = place.found.ends?.high;
            let evidence = format!(
                "{}: offset {committed} is committed, beyond the end {end}: the topic was made anew",
                name(place.at)
            );
            (Status::Critical, evidence)
        }
        _ => {
            let before = place.track?.rewound_from()?;
            let evidence = format!(
                "{}: the committed offset went back from {before}, and is {committed} now",
                name(place.at)
            );
            (by_size(scope), evidence)
        }
    };
    Some(about(place, status, Rule::Rewound, evidence))
}

fn lost_records(place: &Place<'_>) -> Option<Finding> {
    let loss = place.track?.loss()?;
    let (records, committed, low) = (loss.records, loss.committed, loss.low);
    let evidence = format!(
        "{}: {records} records from offset {committed} on were deleted before they were read; the log begins at {low}",
        name(place.at)
    );
    Some(about(place, Status::Critical, Rule::LostRecords, evidence))
}

/// The lag has grown in each third of the last half minute: a burst that is being read grows in one, and then falls.
fn falling_behind(scope: &Scope<'_>) -> Option<Finding> {
    if scope.group.members.is_empty() {
        return None;
    }
    let old = scope
        .readings
        .partition_point(|at| scope.now - *at >= GROWING);
    let few = scope.readings.len().checked_sub(GROWING_READINGS)?;
    let window = scope.readings.get(old.checked_sub(1)?.min(few)..)?;
    let last = window.len().checked_sub(1)?;
    let corner = |third: usize| Some(scope.total_then(*window.get(last * third / 3)?));
    let corners = [corner(0)?, corner(1)?, corner(2)?, corner(3)?];
    let (start, now) = (corners[0], scope.total?);
    let rates = scope.rates?;
    let grown = now.saturating_sub(start);
    let material = grown >= GROWN_RECORDS
        && grown as f64 >= rates.consumed * GROWN_SECONDS
        && now as f64 >= rates.consumed * WAITING_SECONDS;
    let growing = material && corners.is_sorted_by(|one, next| one < next);
    growing.then(|| Finding {
        status: by_size(scope),
        rule: Rule::FallingBehind,
        partition: None,
        offset: None,
        evidence: format!(
            "lag grew from {start} to {now} records in {}: {:.1} records/s come in, {:.1} are read",
            span(scope.now - window.first().map_or(scope.now, |at| *at)),
            rates.produced,
            rates.consumed
        ),
    })
}

/// More than three quarters of a topic's lag on one partition. That alone also happens while one member reads its partitions one
/// after the other; so more than half of what came in must have gone there, too.
fn hot_partition(scope: &Scope<'_>) -> Option<Finding> {
    let known = |one: &Place<'_>| one.records().is_some_and(|records| records > 0);
    let hottest = scope.inside().filter(known).max_by_key(Place::records)?;
    let of_topic = || {
        scope
            .inside()
            .filter(|one| one.at.topic == hottest.at.topic)
    };
    let records = hottest.records()?;
    let all = of_topic()
        .filter_map(|one| one.records())
        .fold(0, i64::saturating_add);
    let growth = scope.growth(&hottest.at.topic)?;
    let (came_here, came_in) = growth.of(hottest.at.partition);
    let is_hot = of_topic().count() >= 2
        && all >= scope.thresholds.warning()
        && records / 3 >= all.saturating_sub(records)
        && came_here > came_in.saturating_sub(came_here);
    let share = |part: i64, whole: i64| 100.0 * part as f64 / whole as f64;
    is_hot.then(|| {
        let evidence = format!(
            "{} has {records} of the {all} records that wait on its topic, and {:.0} % of what came in lately went there: few keys have most of the records",
            name(hottest.at),
            share(came_here, came_in)
        );
        about(&hottest, by_size(scope), Rule::HotPartition, evidence)
    })
}

fn above_threshold(scope: &Scope<'_>) -> Option<Finding> {
    let total = scope.total?;
    let (warning, critical) = (scope.thresholds.warning(), scope.thresholds.critical());
    let (status, rule, limit) = if total >= critical {
        (Status::Critical, Rule::AboveCritical, critical)
    } else if total >= warning {
        (Status::Warning, Rule::AboveWarning, warning)
    } else {
        return None;
    };
    Some(Finding {
        status,
        rule,
        partition: None,
        offset: None,
        evidence: format!("{total} records wait; from {limit} on that is {status}"),
    })
}

/// Told in the state `Stable` only: on the way there a member may own nothing for a moment.
fn more_consumers_than_partitions(scope: &Scope<'_>) -> Option<Finding> {
    let members = &scope.group.members;
    let owned: usize = members.iter().map(|member| member.owns.len()).sum();
    let idle = members
        .iter()
        .filter(|member| member.owns.is_empty())
        .count();
    let too_many = scope.group.state == "Stable" && idle > 0 && owned > 0 && members.len() > owned;
    too_many.then(|| Finding {
        status: Status::Warning,
        rule: Rule::MoreConsumersThanPartitions,
        partition: None,
        offset: None,
        evidence: format!(
            "{} members share {owned} partitions: {idle} of them own nothing and do nothing",
            members.len()
        ),
    })
}

fn not_known(scope: &Scope<'_>) -> Option<Finding> {
    let finding = |evidence: String| Finding {
        status: Status::Unknown,
        rule: Rule::NotKnown,
        partition: None,
        offset: None,
        evidence,
    };
    let mut unknown = scope.inside().filter(Place::is_not_known);
    if let Some(first) = unknown.next() {
        let reason = first
            .found
            .lag
            .err()
            .map_or_else(String::new, |one| one.to_string());
        let more = match unknown.count() {
            0 => String::new(),
            more => format!(", and {more} partitions more"),
        };
        return Some(finding(format!("{}: {reason}{more}", name(first.at))));
    }
    let nothing = scope.inside().next().is_none();
    nothing
        .then(|| finding("the group has no offset committed and no partition assigned".to_owned()))
}

fn keeps_up(scope: &Scope<'_>) -> Finding {
    let unread = scope
        .inside()
        .filter_map(|one| one.lag()?.oldest_unread)
        .min();
    let evidence = match (scope.total.unwrap_or(0), unread) {
        (0, _) if scope.group.members.is_empty() => {
            "nothing waits; the group has no member".to_owned()
        }
        (0, _) => "nothing waits".to_owned(),
        (total, Some(oldest)) if oldest <= scope.now => {
            let age = (scope.now - oldest).as_seconds_f64();
            format!("{total} records wait, the oldest for {age:.1} s")
        }
        (total, _) => format!("{total} records wait"),
    };
    Finding {
        status: Status::Ok,
        rule: Rule::KeepsUp,
        partition: None,
        offset: None,
        evidence,
    }
}

fn about(place: &Place<'_>, status: Status, rule: Rule, evidence: String) -> Finding {
    Finding {
        status,
        rule,
        partition: Some(place.at.clone()),
        offset: place.offset(),
        evidence,
    }
}

/// A cause is as bad as what it has led to.
fn by_size(scope: &Scope<'_>) -> Status {
    let critical = scope.thresholds.critical();
    if scope.total.is_some_and(|total| total >= critical) {
        Status::Critical
    } else {
        Status::Warning
    }
}

fn name(at: &TopicPartition) -> String {
    format!("{}[{}]", at.topic, at.partition)
}

fn span(time: TimeDelta) -> String {
    match time.num_seconds() {
        seconds @ ..=119 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}
