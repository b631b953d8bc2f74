//! What the members of a service are told to do, and do.

use kafka_admin::member_controls::{AppliedConfig, EffectiveConfig};
use shared_events::Service;
use shared_events::controls::{BATCH_MAX_MAX, PROCESSING_TIME_MS_MAX};

use super::{Seen, at_most};
use stack::ports::MAX_SLOTS;

/// A service whose running members are all told the same, and this if named.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox expect controls inventory-service --processing-time-ms 2000 --batch-max 1 --members 3\n  ./sandbox expect controls inventory-service --applied      whatever it is, and the last batch of each was taken so\n\nBefore a measurement: a member that works at another pace than the others would tell a lie about scaling."
)]
pub struct ControlsAre {
    /// The service
    pub service: Service,

    /// Simulated work of each, in milliseconds
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=i64::from(PROCESSING_TIME_MS_MAX)))]
    pub processing_time_ms: Option<u32>,

    /// Most records of a batch of each
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(BATCH_MAX_MAX)))]
    pub batch_max: Option<u32>,

    /// Whether each is paused
    #[arg(long)]
    pub paused: Option<bool>,

    /// Exactly so many run; without it, one at least
    #[arg(long, value_parser = at_most(MAX_SLOTS as usize))]
    pub members: Option<usize>,

    /// The last batch of each member that has taken one was taken so, too
    #[arg(long)]
    pub applied: bool,
}

/// One running member.
#[derive(Debug, Clone)]
pub struct Member {
    /// Which.
    pub name: String,
    /// What it is told.
    pub told: EffectiveConfig,
    /// What its last batch was taken with, if it has taken one.
    pub applied: Option<AppliedConfig>,
}

impl Member {
    fn values(&self) -> (u32, u32, bool) {
        let told = &self.told;
        (told.processing_time_ms, told.batch_max, told.paused)
    }

    fn does_as_told(&self) -> bool {
        let told = AppliedConfig {
            processing_time_ms: self.told.processing_time_ms,
            batch_max: self.told.batch_max,
        };
        self.applied.is_none_or(|applied| applied == told)
    }

    fn shown(&self) -> String {
        let applied = self.applied.map_or_else(
            || "no batch yet".to_owned(),
            |last| {
                let AppliedConfig {
                    processing_time_ms,
                    batch_max,
                } = last;
                format!("last batch: processing_time_ms={processing_time_ms} batch_max={batch_max}")
            },
        );
        format!("{}: {} ({applied})", self.name, shown(&self.told))
    }
}

/// Settings with where they come from, in one line.
pub fn shown(told: &EffectiveConfig) -> String {
    let from = &told.sources;
    format!(
        "processing_time_ms={} [{}] batch_max={} [{}] paused={} [{}]",
        told.processing_time_ms,
        from.processing_time_ms,
        told.batch_max,
        from.batch_max,
        told.paused,
        from.paused
    )
}

impl ControlsAre {
    /// Whether they are all told the same, and that.
    pub fn check(&self, members: &[Member]) -> Seen {
        let so = |member: &Member| {
            let (time, batch, paused) = member.values();
            self.processing_time_ms.is_none_or(|wanted| wanted == time)
                && self.batch_max.is_none_or(|wanted| wanted == batch)
                && self.paused.is_none_or(|wanted| wanted == paused)
                && (!self.applied || member.does_as_told())
        };
        let first = members.first().map(Member::values);
        let same = members.iter().all(|one| Some(one.values()) == first);
        let enough = match self.members {
            Some(wanted) => members.len() == wanted,
            None => !members.is_empty(),
        };
        let seen: Vec<String> = members.iter().map(Member::shown).collect();
        let seen = format!("{} members; {}", members.len(), seen.join("; "));
        Seen::judge(enough && same && members.iter().all(so), seen)
    }
}

#[cfg(test)]
mod tests {
    use kafka_admin::member_controls::{Source, Sources};

    use super::*;

    fn member(processing_time_ms: u32, batch_max: u32, applied: Option<(u32, u32)>) -> Member {
        let sources = Sources {
            processing_time_ms: Source::Group,
            batch_max: Source::Group,
            paused: Source::Default,
        };
        Member {
            name: "inventory-service.1".to_owned(),
            told: EffectiveConfig {
                processing_time_ms,
                batch_max,
                paused: false,
                sources,
            },
            applied: applied.map(|(processing_time_ms, batch_max)| AppliedConfig {
                processing_time_ms,
                batch_max,
            }),
        }
    }

    fn wanted() -> ControlsAre {
        ControlsAre {
            service: Service::Inventory,
            processing_time_ms: Some(2_000),
            batch_max: Some(1),
            paused: Some(false),
            members: None,
            applied: false,
        }
    }

    fn holds(wanted: &ControlsAre, members: &[Member]) -> bool {
        matches!(wanted.check(members), Seen::Holds(_))
    }

    #[test]
    fn every_member_has_to_be_told_the_same() {
        let slow = || member(2_000, 1, None);
        assert!(holds(&wanted(), &[slow(), slow()]));
        assert!(!holds(&wanted(), &[]));
        for other in [member(0, 1, None), member(2_000, 500, None)] {
            assert!(!holds(&wanted(), &[slow(), other.clone()]));
            let anything = ControlsAre {
                processing_time_ms: None,
                batch_max: None,
                ..wanted()
            };
            assert!(!holds(&anything, &[slow(), other.clone()]));
            assert!(holds(&anything, &[other.clone(), other]));
        }
        let paused = ControlsAre {
            paused: Some(true),
            ..wanted()
        };
        assert!(!holds(&paused, &[slow()]));
        let two = ControlsAre {
            members: Some(2),
            ..wanted()
        };
        assert!(!holds(&two, &[slow()]) && holds(&two, &[slow(), slow()]));
    }

    #[test]
    fn what_a_member_did_last_counts_only_when_asked_for() {
        let before = member(2_000, 1, Some((0, 500)));
        let since = member(2_000, 1, Some((2_000, 1)));
        let applied = ControlsAre {
            applied: true,
            ..wanted()
        };
        assert!(holds(&wanted(), std::slice::from_ref(&before)));
        assert!(!holds(&applied, &[since.clone(), before]));
        assert!(holds(&applied, &[since, member(2_000, 1, None)]));
    }
}
