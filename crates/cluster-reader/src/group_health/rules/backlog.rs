//! Rules about the size and the growth of the lag.

use chrono::TimeDelta;

use super::{duration, of_group, of_partition, status_by_lag};
use crate::LagCount;
use crate::group_health::group_view::{GroupView, PartitionView};
use crate::group_health::{Finding, Rule, Status};

/// The time span over which the lag must have grown.
const GROWING: TimeDelta = TimeDelta::seconds(30);
/// The least number of readings in that time span.
const GROWING_READINGS: usize = 4;
/// The least growth, in records and in seconds of the group's consumption. A batch in progress
/// makes the lag grow by less.
const GROWN_RECORDS: i64 = 10;
const GROWN_SECONDS: f64 = 2.0;
/// The least lag, in seconds of the group's consumption.
const WAITING_SECONDS: f64 = 5.0;

pub(super) fn findings(view: &GroupView<'_>) -> Vec<Finding> {
    let rules = [falling_behind, hot_partition, above_threshold];
    rules.into_iter().filter_map(|rule| rule(view)).collect()
}

/// The lag has grown in each third of the last half minute. The lag of a burst that is being read
/// grows in one third only.
fn falling_behind(view: &GroupView<'_>) -> Option<Finding> {
    if view.group.members.is_empty() {
        return None;
    }
    let old = view
        .readings
        .partition_point(|at| view.now - *at >= GROWING);
    let few = view.readings.len().checked_sub(GROWING_READINGS)?;
    let window = view.readings.get(old.checked_sub(1)?.min(few)..)?;
    let last = window.len().checked_sub(1)?;
    let total = |third: usize| view.total_at(*window.get(last * third / 3)?).exact();
    let totals = [total(0)?, total(1)?, total(2)?, total(3)?];
    let (start, now) = (totals[0], view.total?.exact()?);
    let rates = view.rates?;
    let grown = now.saturating_sub(start);
    let is_material = grown >= GROWN_RECORDS
        && grown as f64 >= rates.consumed * GROWN_SECONDS
        && now as f64 >= rates.consumed * WAITING_SECONDS;
    let is_growing = is_material && totals.is_sorted_by(|one, next| one < next);
    is_growing.then(|| {
        let evidence = format!(
            "lag grew from {start} to {now} records in {}: {:.1} records/s come in, {:.1} are read",
            duration(view.now - window.first().map_or(view.now, |at| *at)),
            rates.produced,
            rates.consumed
        );
        of_group(status_by_lag(view), Rule::FallingBehind, evidence)
    })
}

/// At least three quarters of a topic's lag are on one partition, and more than half of the new
/// records went there. The first condition alone is also true while one member reads its partitions
/// one after the other.
fn hot_partition(view: &GroupView<'_>) -> Option<Finding> {
    let records_of = |one: &PartitionView<'_>| one.readable().map_or(0, LagCount::lower);
    let partitions = view.partitions().filter(|one| records_of(one) > 0);
    let hottest = partitions.max_by_key(records_of)?;
    let of_topic = || {
        view.partitions()
            .filter(|one| one.at.topic == hottest.at.topic)
    };
    let waiting = hottest.readable()?;
    let records = waiting.lower();
    let readable = of_topic().filter_map(|one| one.readable());
    let sum: LagCount = readable.sum();
    let all = sum.upper();
    let inflow = view.inflow(&hottest.at.topic)?;
    let (came_here, came_in) = inflow.of(hottest.at.partition);
    let is_hot = of_topic().count() >= 2
        && all >= view.thresholds.warning()
        && records / 3 >= all.saturating_sub(records)
        && came_here > came_in.saturating_sub(came_here);
    is_hot.then(|| {
        let evidence = format!(
            "{} has {waiting} of the {sum} records that wait on its topic, and {:.0} % of what came in lately went there: few keys have most of the records",
            hottest.at,
            100.0 * came_here as f64 / came_in as f64
        );
        of_partition(&hottest, status_by_lag(view), Rule::HotPartition, evidence)
    })
}

fn above_threshold(view: &GroupView<'_>) -> Option<Finding> {
    let total = view.total?;
    let (warning, critical) = (view.thresholds.warning(), view.thresholds.critical());
    let (status, rule, limit) = if total.lower() >= critical {
        (Status::Critical, Rule::AboveCritical, critical)
    } else if total.lower() >= warning {
        (Status::Warning, Rule::AboveWarning, warning)
    } else {
        return None;
    };
    let evidence = format!("{}; from {limit} on that is {status}", total.records_wait());
    Some(of_group(status, rule, evidence))
}
