//! `sandbox dlq replay`.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use kafka_admin::dead_letters::{DeadLetter, DeadLetterState, ReplayDecision, dead_letters};
use kafka_admin::replay::Replay;
use kafka_admin::{Cluster, DEFAULT_POISON_LIMIT};
use scenario_runner::conditions::dlq::dead_letter_topic;
use shared_events::Topic;
use stack::terminal::{counted, note, say};

use super::{note_deleted, print_json, table};
use crate::commands::dead_letter_view::{self, DeadLetterId};
use crate::commands::record_text::visible;

/// The dead letters to replay.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox dlq replay inventory.dlq           what would happen\n  ./sandbox dlq replay inventory.dlq --yes\n\nEach dead letter is replayed once, even if the replay is interrupted, and a record at most five times. What cannot be\nreplayed is refused with the reason, and the others are replayed. A refused dead letter waits: the next replay tries it again,\nuntil it is discarded. Exit code 1 if one was refused."
)]
pub struct ReplayArgs {
    /// The dead-letter topic: orders.dlq, payments.dlq or inventory.dlq
    #[arg(value_parser = dead_letter_topic)]
    pub topic: Topic,

    /// Replay; without this option, only show what would happen
    #[arg(long)]
    pub yes: bool,

    /// Print JSON: an array with one object for each dead letter
    #[arg(long)]
    pub json: bool,
}

/// Shows what a replay would do.
pub(super) async fn dry_run(args: ReplayArgs, cluster: &Cluster) -> Result<()> {
    note_deleted(cluster, args.topic).await?;
    let mut waiting = dead_letters(cluster, args.topic).await?;
    waiting.retain(DeadLetter::is_waiting);
    note_halting(&waiting);
    if args.json {
        return print_json(&waiting);
    }
    if !waiting.is_empty() {
        say(table(&waiting));
    }
    let refused: Vec<&DeadLetter> = waiting
        .iter()
        .filter(|one| note_refusal(args.topic, one))
        .collect();
    note(format_args!(
        "{} would be replayed, {} refused; nothing was changed. --yes replays them",
        waiting.len() - refused.len(),
        refused.len()
    ));
    Ok(())
}

/// Replays, and shows what was done.
pub(super) async fn replay(args: ReplayArgs, cluster: &Cluster) -> Result<()> {
    note_deleted(cluster, args.topic).await?;
    let replay = Replay::begin(cluster, args.topic).await?;
    note_halting(replay.dead_letters());
    let (mut processed, mut refused) = (Vec::new(), 0);
    let outcome = replay.run(|batch| {
        for one in batch {
            if note_refusal(args.topic, one) {
                refused += 1;
            } else if !args.json {
                say_replayed(one);
            }
            processed.push(one.clone());
        }
    });
    let outcome = outcome.await;
    if args.json {
        print_json(&processed)?;
    }
    outcome?;
    let replayed = processed.len() - refused;
    if refused > 0 {
        bail!(
            "{replayed} replayed, {} refused: what is refused waits in {}, and the next replay tries it again",
            counted(refused, "dead letter"),
            args.topic
        );
    }
    note(format_args!("{replayed} replayed"));
    Ok(())
}

fn say_replayed(dead_letter: &DeadLetter) {
    if let DeadLetterState::Waiting(ReplayDecision::Replay {
        topic,
        previous_replays,
        ..
    }) = &dead_letter.state
    {
        say(format_args!(
            "{} → {topic} (replay {} of {})",
            DeadLetterId::of(dead_letter),
            previous_replays + 1,
            dead_letter_view::MAX
        ));
    }
}

/// Prints why it is refused, and how to give it up. Returns whether it is refused.
fn note_refusal(topic: Topic, dead_letter: &DeadLetter) -> bool {
    let Some(reason) = dead_letter.refusal() else {
        return false;
    };
    note(format_args!(
        "{} refused: {}; to give it up: {}",
        DeadLetterId::of(dead_letter),
        visible(reason.as_bytes()),
        dead_letter_view::discard_command(topic, dead_letter)
    ));
    true
}

/// Warns before a replay that can halt members: if the cause is not repaired, each record is poison again.
fn note_halting(dead_letters: &[DeadLetter]) {
    for (group, replayed) in halting_groups(dead_letters, DEFAULT_POISON_LIMIT) {
        note(format_args!(
            "warning: {} to {group}: if the cause is not repaired, a member halts after {DEFAULT_POISON_LIMIT} poison records in a row (POISON_LIMIT, unless changed), until POST /resume",
            counted(replayed, "dead letter")
        ));
    }
}

/// The groups that get at least this number of records, with the number.
fn halting_groups(dead_letters: &[DeadLetter], limit: u32) -> BTreeMap<&str, usize> {
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    for one in dead_letters {
        if let DeadLetterState::Waiting(ReplayDecision::Replay { group, .. }) = &one.state {
            *groups.entry(group.as_str()).or_default() += 1;
        }
    }
    groups.retain(|_, replayed| *replayed >= limit as usize);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::record_text::tests::hostile_record;

    fn waiting(decision: ReplayDecision) -> DeadLetter {
        DeadLetter {
            record: hostile_record(0, 0, "value"),
            headers: Err("none".to_owned()),
            state: DeadLetterState::Waiting(decision),
        }
    }

    #[test]
    fn a_replay_that_can_halt_a_member_is_known_before() {
        let of = |group: &str| {
            waiting(ReplayDecision::Replay {
                topic: "payments".to_owned(),
                group: group.to_owned(),
                previous_replays: 0,
            })
        };
        let refused = || waiting(ReplayDecision::Refuse("is too large".to_owned()));
        let all = [of("a"), of("b"), of("a"), refused(), refused(), refused()];
        assert_eq!(halting_groups(&all, 2), BTreeMap::from([("a", 2)]));
        assert!(halting_groups(&all, 3).is_empty());
        assert_eq!(halting_groups(&all, 1).len(), 2);
    }
}
