//! What more members do not solve.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::demand::{Demand, even_number};
use crate::history::History;
use crate::reading::Reading;

/// A partition with at least this part of the lag is hot.
const HOT: f64 = 0.8;

/// One remark, a sentence.
#[derive(Debug, Clone, PartialEq)]
pub enum Advice {
    /// The group makes no progress on a partition.
    Blocked {
        /// `payments[2]`
        partition: String,
        /// The committed offset.
        offset: i64,
        /// Since when it has not moved, as far as the autoscaler has seen.
        since: DateTime<Utc>,
    },
    /// Most of the lag is on one partition, which one member reads.
    Hot {
        /// `payments[2]`
        partition: String,
        /// Its part of the lag, in percent.
        percent: u32,
    },
    /// The members do not share the partitions evenly.
    Uneven {
        /// The members.
        members: u32,
        /// The partitions.
        partitions: u32,
    },
}

/// At most one remark of each kind, besides one for each blocked partition.
pub(crate) fn advice(
    reading: &Reading,
    history: &History,
    demand: &Demand,
    to: u32,
) -> Vec<Advice> {
    let mut advice = Vec::new();
    for one in &reading.partitions {
        if demand.excluded.contains(&one.name()) {
            advice.push(Advice::Blocked {
                partition: one.name(),
                offset: one.committed.unwrap_or_default(),
                since: history.unmoved_since(&one.key()).unwrap_or(reading.at),
            });
        }
    }
    advice.extend(hot(reading, demand));
    let partitions = reading.useful_members();
    // Once for each step.
    let is_step = to != reading.replicas;
    if is_step && to > 1 && to < partitions && !partitions.is_multiple_of(to) {
        advice.push(Advice::Uneven {
            members: to,
            partitions,
        });
    }
    advice
}

/// Only where more than one member is asked for: one member reads all partitions in any case.
fn hot(reading: &Reading, demand: &Demand) -> Option<Advice> {
    let counted = reading.partitions.iter();
    let counted = counted.filter(|one| !demand.excluded.contains(&one.name()));
    let (lag, one) = counted
        .filter_map(|one| Some((one.waiting.at_least()?, one)))
        .max_by_key(|(lag, _)| *lag)?;
    let part = lag as f64 / demand.lag.max(1) as f64;
    let is_hot = demand.rounded > 1 && reading.partitions.len() > 1 && part >= HOT;
    is_hot.then(|| Advice::Hot {
        partition: one.name(),
        percent: (part * 100.0).round() as u32,
    })
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked {
                partition,
                offset,
                since,
            } => write!(
                f,
                "{partition} is stuck at offset {offset} since {}: its records do not count, because more members do not read it either",
                since.format("%H:%M:%S UTC")
            ),
            Self::Hot { partition, percent } => write!(
                f,
                "{partition} has {percent} % of the lag, and one member reads it: more members do not help"
            ),
            Self::Uneven {
                members,
                partitions,
            } => {
                let most = partitions.div_ceil((*members).max(1));
                let more = even_number(*members, *partitions);
                let fewer = (1..*members).rev().find(|one| partitions % one == 0);
                write!(
                    f,
                    "{members} members on {partitions} partitions: one reads {most} of them and is done last; {} or {more} members share them evenly",
                    fewer.unwrap_or(1)
                )
            }
        }
    }
}
