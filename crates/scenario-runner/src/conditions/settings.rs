//! What services were started with.

use std::collections::BTreeMap;

use shared_events::Service;

use super::Seen;
use stack::settings::Assignment;

/// A service whose running instances all have these settings.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox expect settings inventory-service POISON_PRODUCT=\n  ./sandbox expect settings inventory-service        nothing is changed"
)]
pub struct SettingsAre {
    /// The service
    pub service: Service,

    /// What is set; without any: nothing was changed by `restart --set`
    #[arg(value_name = "NAME=VALUE")]
    pub settings: Vec<Assignment>,
}

/// What an instance was really started with, or what `restart --set` changed.
pub type Settings = BTreeMap<String, String>;

impl SettingsAre {
    /// Whether each instance has them, given its environment; or, if none are named, whether nothing was changed.
    pub fn check(&self, changed: &Settings, instances: &[(String, Settings)]) -> Seen {
        if self.settings.is_empty() {
            return Seen::judge(
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
        Seen::judge(all && !instances.is_empty(), seen)
    }
}

fn show<'a>(whose: &str, settings: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let settings: Vec<String> = settings
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    match settings.as_slice() {
        [] => format!("{whose}: nothing of it"),
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
    fn every_running_instance_must_have_the_very_value() {
        let wanted = SettingsAre {
            service: Service::Inventory,
            settings: vec!["POISON_PRODUCT=".parse().unwrap()],
        };
        let instance = |pairs: &[(&str, &str)]| ("one".to_owned(), settings(pairs));
        let repaired = || instance(&[("POISON_PRODUCT", ""), ("PORT", "1")]);
        let check = |instances: &[(String, Settings)]| wanted.check(&settings(&[]), instances);
        assert_eq!(
            check(&[repaired()]),
            Seen::Holds("one: POISON_PRODUCT=".to_owned())
        );
        for others in [
            &[][..],
            &[repaired(), instance(&[])],
            &[instance(&[("POISON_PRODUCT", "x")])],
        ] {
            assert!(matches!(check(others), Seen::Not(_)), "{others:?}");
        }
    }

    #[test]
    fn without_names_nothing_may_be_changed() {
        let wanted = SettingsAre {
            service: Service::Inventory,
            settings: Vec::new(),
        };
        assert!(matches!(wanted.check(&settings(&[]), &[]), Seen::Holds(_)));
        let changed = settings(&[("BATCH_MAX", "1")]);
        assert_eq!(
            wanted.check(&changed, &[]),
            Seen::Not("changed: BATCH_MAX=1".to_owned())
        );
    }
}
