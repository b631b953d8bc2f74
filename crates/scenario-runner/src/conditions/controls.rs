//! The controls of a service's members.

use kafka_admin::member_controls::{AppliedConfig, EffectiveConfig, Source};
use shared_events::Service;
use shared_events::controls::{BATCH_MAX_MAX, PROCESSING_TIME_MS_UNSAFE_MAX};

use super::{Observation, at_most};
use service_kit::settings::whole_number;
use stack::ports::MAX_SLOTS;
use stack::terminal::counted;

/// The expected controls. All running members must have the same.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox expect controls inventory-service --processing-time-ms 2000 --batch-max 1 --members 3\n  ./sandbox expect controls inventory-service --applied      whatever it is, and the last batch of each was taken so\n\nBefore a measurement: a member that works at another pace than the others would tell a lie about scaling."
)]
pub struct ControlsCondition {
    /// The service
    pub service: Service,

    /// Simulated work of each, in milliseconds
    #[arg(long, value_parser = whole_number::<u32>(0..=i64::from(PROCESSING_TIME_MS_UNSAFE_MAX)))]
    pub processing_time_ms: Option<u32>,

    /// Most records of a batch of each
    #[arg(long, value_parser = whole_number::<u32>(1..=i64::from(BATCH_MAX_MAX)))]
    pub batch_max: Option<u32>,

    /// Whether each is paused
    #[arg(long)]
    pub paused: Option<bool>,

    /// Exactly this number of members runs; without it, at least one
    #[arg(long, value_parser = at_most(MAX_SLOTS as usize))]
    pub members: Option<usize>,

    /// The last batch of each member was processed with these controls, too
    #[arg(long)]
    pub applied: bool,
}

/// One running member.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name, `inventory-service.1`.
    pub name: String,
    /// Its effective configuration.
    pub config: EffectiveConfig,
    /// The configuration of its last batch, if it has processed one.
    pub applied: Option<AppliedConfig>,
}

impl Member {
    fn values(&self) -> (u32, u32, bool) {
        let config = &self.config;
        (config.processing_time_ms, config.batch_max, config.paused)
    }

    fn last_batch_agrees(&self) -> bool {
        let config = AppliedConfig {
            processing_time_ms: self.config.processing_time_ms,
            batch_max: self.config.batch_max,
        };
        self.applied.is_none_or(|applied| applied == config)
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
        format!("{}: {} ({applied})", self.name, shown(&self.config))
    }
}

/// Controls with the layer of each value, in one line. Faults only if a source has set them.
pub fn shown(config: &EffectiveConfig) -> String {
    let from = &config.sources;
    let faults = [
        ("crash_at", config.crash_at.to_string(), from.crash_at),
        (
            "protection_off",
            config.protection_off.to_string(),
            from.protection_off,
        ),
    ];
    let mut text = format!(
        "processing_time_ms={} [{}] batch_max={} [{}] paused={} [{}]",
        config.processing_time_ms,
        from.processing_time_ms,
        config.batch_max,
        from.batch_max,
        config.paused,
        from.paused
    );
    for (name, value, source) in faults {
        if source != Source::Default {
            text.push_str(&format!(" {name}={value} [{source}]"));
        }
    }
    if config.faults_ignored {
        text.push_str(" (ignores the faults of the group: runs without SANDBOX_UNSAFE=1)");
    }
    text
}

impl ControlsCondition {
    /// Whether all members have the same controls, and the expected ones.
    pub fn check(&self, members: &[Member]) -> Observation {
        let so = |member: &Member| {
            let (time, batch, paused) = member.values();
            self.processing_time_ms.is_none_or(|wanted| wanted == time)
                && self.batch_max.is_none_or(|wanted| wanted == batch)
                && self.paused.is_none_or(|wanted| wanted == paused)
                && (!self.applied || member.last_batch_agrees())
        };
        let first = members.first().map(Member::values);
        let same = members.iter().all(|one| Some(one.values()) == first);
        let enough = match self.members {
            Some(wanted) => members.len() == wanted,
            None => !members.is_empty(),
        };
        let seen: Vec<String> = members.iter().map(Member::shown).collect();
        let seen = format!("{}; {}", counted(members.len(), "member"), seen.join("; "));
        Observation::judge(enough && same && members.iter().all(so), seen)
    }
}

#[cfg(test)]
mod tests {
    use kafka_admin::member_controls::Sources;

    use super::*;

    fn member(processing_time_ms: u32, batch_max: u32, applied: Option<(u32, u32)>) -> Member {
        let sources = Sources {
            processing_time_ms: Source::Group,
            batch_max: Source::Group,
            paused: Source::Default,
            ..Sources::default()
        };
        Member {
            name: "inventory-service.1".to_owned(),
            config: EffectiveConfig {
                processing_time_ms,
                batch_max,
                paused: false,
                sources,
                ..EffectiveConfig::default()
            },
            applied: applied.map(|(processing_time_ms, batch_max)| AppliedConfig {
                processing_time_ms,
                batch_max,
            }),
        }
    }

    fn wanted() -> ControlsCondition {
        ControlsCondition {
            service: Service::Inventory,
            processing_time_ms: Some(2_000),
            batch_max: Some(1),
            paused: Some(false),
            members: None,
            applied: false,
        }
    }

    fn holds(wanted: &ControlsCondition, members: &[Member]) -> bool {
        matches!(wanted.check(members), Observation::Holds(_))
    }

    #[test]
    fn every_member_must_have_the_same_controls() {
        let slow = || member(2_000, 1, None);
        assert!(holds(&wanted(), &[slow(), slow()]));
        assert!(!holds(&wanted(), &[]));
        for other in [member(0, 1, None), member(2_000, 500, None)] {
            assert!(!holds(&wanted(), &[slow(), other.clone()]));
            let anything = ControlsCondition {
                processing_time_ms: None,
                batch_max: None,
                ..wanted()
            };
            assert!(!holds(&anything, &[slow(), other.clone()]));
            assert!(holds(&anything, &[other.clone(), other]));
        }
        let paused = ControlsCondition {
            paused: Some(true),
            ..wanted()
        };
        assert!(!holds(&paused, &[slow()]));
        let two = ControlsCondition {
            members: Some(2),
            ..wanted()
        };
        assert!(!holds(&two, &[slow()]) && holds(&two, &[slow(), slow()]));
    }

    #[test]
    fn the_last_batch_counts_only_with_applied() {
        let before = member(2_000, 1, Some((0, 500)));
        let since = member(2_000, 1, Some((2_000, 1)));
        let applied = ControlsCondition {
            applied: true,
            ..wanted()
        };
        assert!(holds(&wanted(), std::slice::from_ref(&before)));
        assert!(!holds(&applied, &[since.clone(), before]));
        assert!(holds(&applied, &[since, member(2_000, 1, None)]));
    }
}
