//! From the wanted number to the action.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::advice::{Advice, advice};
use crate::demand::Demand;
use crate::history::History;
use crate::keda::KedaDemand;
use crate::reading::{Reading, Waiting};
use crate::settings::Settings;

/// What to do, and why. Its `Display` is one line with the numbers of each step.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The time of the reading.
    pub at: DateTime<Utc>,
    /// The number of members now.
    pub from: u32,
    /// The number of members to scale to; the same number to hold.
    pub to: u32,
    /// The number that the lag asks for.
    pub demand: Demand,
    /// Why `to` is not the wanted number.
    pub hold: Option<Hold>,
    /// What KEDA asks for, if it is another number.
    pub keda: Option<KedaDemand>,
    /// What more members do not solve.
    pub advice: Vec<Advice>,
}

/// Why a decision differs from what the lag asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// The lag of a partition is not known.
    Unknown,
    /// The lag is not known, and no member runs that could commit a first offset: one is started.
    FirstCommit,
    /// The lag is at least so great, but not counted to its end: enough to add members, not to remove some.
    NotCounted,
    /// The group has not committed since the last step, or rebalances.
    AfterStep {
        /// The time since the step.
        since: Duration,
        /// The state of the group.
        state: String,
    },
    /// More members were wanted within the stabilization window.
    Stabilization {
        /// The greatest number that was wanted.
        highest: u32,
        /// How long it still counts.
        left: Duration,
    },
}

/// Decides about a reading that the history has observed ([`History::observe`]).
///
/// * The number is never raised above a cap.
/// * A greater lag never leads to a smaller number.
/// * If the lag of a partition is not known, the number is held. Only from 0, where nothing would ever be committed, one member
///   is started.
/// * 0 is reached when the lag of all partitions has been 0 for the cooldown and nothing was read meanwhile, and not before.
/// * After a step the number is held until the group is stable and has committed: what a rebalance costs looks like lag, and
///   answering it with a further step would cause the next rebalance.
pub fn decide(settings: &Settings, reading: &Reading, history: &History) -> Decision {
    let demand = Demand::of(settings, reading, history);
    let (to, hold) = action(settings, reading, history, &demand);
    Decision {
        at: reading.at,
        from: reading.replicas,
        to,
        hold,
        keda: KedaDemand::unless_equal(settings, reading, history, &demand),
        advice: advice(reading, history, &demand, to),
        demand,
    }
}

fn action(
    settings: &Settings,
    reading: &Reading,
    history: &History,
    demand: &Demand,
) -> (u32, Option<Hold>) {
    let from = reading.replicas;
    if !demand.unknown.is_empty() {
        let mut reasons = demand.unknown.iter();
        let needs_commit = reasons.any(|(_, why)| *why == Waiting::NothingCommitted);
        return match from == 0 && needs_commit {
            true => (first_member(settings), Some(Hold::FirstCommit)),
            false => (from, Some(Hold::Unknown)),
        };
    }
    if let Some(step) = history.open_step() {
        let hold = Hold::AfterStep {
            since: (reading.at - step.at).to_std().unwrap_or_default(),
            state: reading.state.clone(),
        };
        return (from, Some(hold));
    }
    let wanted = demand.wanted;
    // The cooldown is the window before 0.
    if wanted >= from || wanted == 0 {
        return (wanted, None);
    }
    if !demand.is_exact {
        return (from, Some(Hold::NotCounted));
    }
    match history.highest_wanted(settings, reading.at) {
        Some((highest, left)) if highest > wanted => {
            let hold = Hold::Stabilization { highest, left };
            (from.min(highest), Some(hold))
        }
        _ => (wanted, None),
    }
}

/// One, and not fewer than the settings ask for.
fn first_member(settings: &Settings) -> u32 {
    let most = settings.max_replicas.min(settings.most_instances);
    settings.min_replicas.max(1).min(most)
}
