//! The settings that services were started with.

use std::collections::BTreeMap;

use shared_events::Service;

use super::Observation;
use stack::settings::Assignment;

/// The expected settings of all running instances of a service.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox expect settings inventory-service POISON_PRODUCT=\n  ./sandbox expect settings inventory-service        nothing is changed"
)]
pub struct SettingsCondition {
    /// The service
    pub service: Service,

    /// Settings; without any: `restart --set` has changed nothing
    #[arg(value_name = "NAME=VALUE")]
    pub settings: Vec<Assignment>,
}

/// The environment of an instance, or the settings that `restart --set` changed.
pub type Settings = BTreeMap<String, String>;

impl SettingsCondition {
    /// Whether the environment of each instance has the settings; or, if none are given, whether nothing was changed.
    pub fn check(&self, changed: &Settings, instances: &[(String, Settings)]) -> Observation {
        if self.settings.is_empty() {
            return Observation::judge(
                changed.is_empty(),
                match changed.is_empty() {
                    true => "nothing was changed".to_owned(),
                    false => show("changed", changed.iter()),
                },
            );
        }
        let has = |environment: &Settings| {
            self.settings
                .iter()
                .all(|wanted| environment.get(&wanted.name) == Some(&wanted.value))
        };
        let named = |name: &String| self.settings.iter().any(|wanted| wanted.name == *name);
        let seen: Vec<String> = instances
            .iter()
            .map(|(name, settings)| show(name, settings.iter().filter(|(name, _)| named(name))))
            .collect();
        let all = instances.iter().all(|(_, environment)| has(environment));
        let nobody = format!("no instance of {} runs", self.service);
        let seen = if seen.is_empty() {
            nobody
        } else {
            seen.join("; ")
        };
        Observation::judge(all && !instances.is_empty(), seen)
    }
}

fn show<'a>(whose: &str, settings: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let settings: Vec<String> = settings
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    match settings.as_slice() {
        [] => format!("{whose}: none of these"),
        settings => format!("{whose}: {}", settings.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn every_running_instance_must_have_the_exact_value() {
        let wanted = SettingsCondition {
            service: Service::Inventory,
            settings: vec!["POISON_PRODUCT=".parse().unwrap()],
        };
        let instance = |pairs: &[(&str, &str)]| ("one".to_owned(), settings(pairs));
        let repaired = || instance(&[("POISON_PRODUCT", ""), ("PORT", "1")]);
        let check = |instances: &[(String, Settings)]| wanted.check(&settings(&[]), instances);
        assert_eq!(
            check(&[repaired()]),
            Observation::Holds("one: POISON_PRODUCT=".to_owned())
        );
        for others in [
            &[][..],
            &[repaired(), instance(&[])],
            &[instance(&[("POISON_PRODUCT", "x")])],
        ] {
            assert!(matches!(check(others), Observation::Not(_)), "{others:?}");
        }
    }

    #[test]
    fn without_names_nothing_may_be_changed() {
        let wanted = SettingsCondition {
            service: Service::Inventory,
            settings: Vec::new(),
        };
        assert!(matches!(
            wanted.check(&settings(&[]), &[]),
            Observation::Holds(_)
        ));
        let changed = settings(&[("BATCH_MAX", "1")]);
        assert_eq!(
            wanted.check(&changed, &[]),
            Observation::Not("changed: BATCH_MAX=1".to_owned())
        );
    }
}
