//! Mysteries: faults of the catalogue under names that say nothing about the fault, each with the
//! complaint of a customer and three hints.
//!
//! Which name means which fault stands in the list in `mystery_list.rs`, and nowhere else: a running
//! mystery is recorded by its name, and its process in the background gets that name as its
//! argument. Nothing is encrypted. Whoever opens that file knows the answer.

use anyhow::{Context, Result};

use crate::mystery_list::ALL;
use crate::{Fault, catalogue};

/// How much a player has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `./sandbox status` names the cause.
    Easy,
    /// The cause is in another tool, or its repair needs a second step.
    Medium,
    /// The cause is outside of the shop, or in the past.
    Hard,
}

/// One fault to find without its name.
#[derive(Debug)]
pub struct Mystery {
    /// The name that a person types: lower-case words with hyphens.
    pub name: &'static str,
    /// How much a player has to know.
    pub level: Level,
    /// What a customer or a colleague says.
    pub complaint: &'static str,
    /// From general to nearly the answer.
    pub hints: [&'static str; 3],
    /// The name of the fault in the catalogue.
    pub(crate) fault: &'static str,
    /// Whether the fault's check finds out about every repair. If not, a mystery is solved as soon as no
    /// more orders wait than before.
    pub sees_every_repair: bool,
    /// Commands that follow the cause: orders of customers, without which nothing shows. A failure is
    /// no failure of the mystery.
    pub(crate) customers: &'static [&'static str],
}

impl Level {
    /// Every level.
    pub const ALL: [Self; 3] = [Self::Easy, Self::Medium, Self::Hard];

    /// The word that a person types.
    pub fn name(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::Medium => "medium",
            Self::Hard => "hard",
        }
    }
}

impl Mystery {
    /// The fault.
    ///
    /// # Errors
    /// The list names a fault that is not in the catalogue. A test compares the two.
    pub fn fault(&self) -> Result<&'static Fault> {
        catalogue::find(self.fault).with_context(|| format!("{} has no fault", self.name))
    }

    /// The commands that cause the fault, in order.
    pub fn cause(&self) -> Result<Vec<String>> {
        Ok(self.renamed(self.fault()?.cause))
    }

    /// The commands that undo the fault, in order.
    pub fn undo(&self) -> Result<Vec<String>> {
        Ok(self.renamed(self.fault()?.undo))
    }

    /// The commands that end what the fault holds in the background, and change nothing of the shop.
    pub fn stop_background(&self) -> Result<Vec<String>> {
        let mut commands = self.undo()?;
        commands.retain(|command| command.starts_with("fault stop "));
        Ok(commands)
    }

    /// The commands of customers that follow the cause.
    pub fn customers(&self) -> &'static [&'static str] {
        self.customers
    }

    /// The command that succeeds if, and only if, the fault is there.
    pub fn check_command(&self) -> Result<String> {
        Ok(self.renamed_one(&self.fault()?.check_command()))
    }

    /// What it was, where it showed and how it is repaired: a line for each.
    pub fn explanation(&self) -> Result<Vec<String>> {
        let fault = self.fault()?;
        let (dashboard, panel) = fault.shows.panel;
        let mut lines = vec![
            format!("It was {}: {}.", fault.name, fault.summary),
            fault.mechanism.to_owned(),
            format!(
                "Where it showed: ./sandbox {}; panel \"{panel}\" of the dashboard {dashboard}.",
                fault.shows.command
            ),
        ];
        if let Some((line, process)) = fault.shows.log {
            lines.push(format!("In the log of {process}: {line}"));
        }
        lines.push(format!("Repair: {}", fault.repair));
        lines.push(format!(
            "Read on: docs/faults.md#{}, scenarios/{}/README.md. To cause it by name: ./sandbox break {}",
            fault.name, fault.scenario, fault.name
        ));
        Ok(lines)
    }

    fn renamed(&self, commands: &[&str]) -> Vec<String> {
        commands.iter().map(|one| self.renamed_one(one)).collect()
    }

    /// `fault start FAULT` as `fault start MYSTERY`. Another command does not name the fault.
    fn renamed_one(&self, command: &str) -> String {
        match command.strip_suffix(self.fault) {
            Some(words) if words.starts_with("fault ") => format!("{words}{}", self.name),
            _ => command.to_owned(),
        }
    }
}

/// All mysteries, in the order of the list. The number of one is its place, from 1.
pub fn all() -> &'static [Mystery] {
    ALL
}

/// The mystery of this name or number.
pub fn find(name_or_number: &str) -> Option<&'static Mystery> {
    let number = name_or_number.parse::<usize>().ok();
    let index = number.and_then(|number| number.checked_sub(1));
    match index {
        Some(index) => ALL.get(index),
        None => ALL.iter().find(|one| one.name == name_or_number),
    }
}

/// A mystery of this level, or of any. The same seed chooses the same one, as long as the list stays
/// as it is.
pub fn choose(level: Option<Level>, seed: u64) -> Option<&'static Mystery> {
    let fits = |one: &&Mystery| level.is_none_or(|level| level == one.level);
    let count = u64::try_from(ALL.iter().filter(fits).count()).ok()?;
    let index = mixed(seed).checked_rem(count)?;
    ALL.iter().filter(fits).nth(usize::try_from(index).ok()?)
}

/// The output function of SplitMix64: seeds that follow each other choose mysteries that do not.
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Modes;

    #[test]
    fn every_mystery_has_a_fault_of_both_modes_and_a_name_of_its_own() {
        let names: BTreeSet<_> = ALL.iter().map(|one| one.name).collect();
        let faults: BTreeSet<_> = ALL.iter().map(|one| one.fault).collect();
        assert_eq!((names.len(), faults.len()), (ALL.len(), ALL.len()));
        assert!(ALL.len() >= 12, "{}", ALL.len());
        for one in ALL {
            let fault = one.fault().unwrap();
            assert_eq!(fault.modes, Modes::Both, "{}", one.name);
            // What remains for ever cannot be repaired by a player.
            assert!(fault.remains.is_none(), "{}", one.name);
            assert!(catalogue::find(one.name).is_none(), "{}", one.name);
        }
        for level in Level::ALL {
            let of_level = ALL.iter().filter(|one| one.level == level).count();
            assert!(of_level >= 3, "{}", level.name());
        }
    }

    #[test]
    fn neither_texts_nor_process_arguments_name_the_fault() {
        for one in ALL {
            let said = [one.name, one.complaint].into_iter().chain(one.hints);
            for text in said {
                assert!(!text.contains(one.fault), "{}: {text}", one.name);
            }
            let lists = [one.cause().unwrap(), one.undo().unwrap()];
            for command in lists
                .iter()
                .flatten()
                .chain([&one.check_command().unwrap()])
            {
                let leaks = command.contains(one.fault);
                assert!(!leaks, "{}: {command}", one.name);
            }
        }
    }

    #[test]
    fn a_seed_repeats_its_choice_and_other_seeds_choose_all() {
        let chosen: BTreeSet<_> = (0..200)
            .map(|seed| {
                let first = choose(None, seed).unwrap();
                assert_eq!(first.name, choose(None, seed).unwrap().name);
                first.name
            })
            .collect();
        assert_eq!(chosen.len(), ALL.len());
        for level in Level::ALL {
            assert!((0..50).all(|seed| choose(Some(level), seed).unwrap().level == level));
        }
    }

    #[test]
    fn a_mystery_is_found_by_name_and_by_number() {
        for (number, one) in (1..).zip(ALL) {
            assert_eq!(find(&number.to_string()).unwrap().name, one.name);
            assert_eq!(find(one.name).unwrap().name, one.name);
        }
        let beyond = (ALL.len() + 1).to_string();
        for unknown in ["0", "-1", "", "stock-locked", &beyond] {
            assert!(find(unknown).is_none(), "{unknown}");
        }
    }
}
