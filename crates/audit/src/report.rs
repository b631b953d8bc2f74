//! The result of an audit: figures, and one result for each rule.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use shared_events::OrderId;

use crate::Rule;

/// What the audit counted and found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The counts.
    pub figures: Figures,
    /// The result of each rule that was checked.
    pub rules: BTreeMap<Rule, RuleResult>,
    /// What a reader must know to judge the figures, a sentence each.
    pub notes: Vec<String>,
}

/// The counts. `accepted = ended + waiting + lost`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Orders with an `OrderCreated`, in the database of order-service or in the topic.
    pub accepted: u64,
    /// Accepted orders with a final status in the database of order-service.
    pub ended: u64,
    /// Accepted orders that have not ended, and that something can still continue.
    pub waiting: u64,
    /// Accepted orders that have not ended, and that nothing can continue.
    pub lost: u64,
    /// Records beyond the first of the same event of an order, without replayed ones.
    pub doubled: u64,
    /// Orders with two events in one topic whose order contradicts the saga: by offset on one partition, by timestamp on two.
    pub out_of_order: u64,
    /// What the waiting orders wait for.
    pub waiting_for: WaitingFor,
    /// The doubled records, by topic.
    pub doubled_in: BTreeMap<String, u64>,
    /// Orders whose records in one topic are on more than one partition: their order is not guaranteed.
    pub split_over_partitions: u64,
    /// Records that a replay of dead letters has published.
    pub replayed: u64,
    /// Records of an event type that this release does not know. Every service skips them.
    pub unknown_type: u64,
    /// Orders of which a record may have been deleted: what is missing in a topic is not judged.
    pub older_than_log: u64,
}

/// The first reason that is found for each waiting order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingFor {
    /// Its event is in the outbox.
    pub outbox: u64,
    /// A group has not read one of its records: lag.
    pub unread: u64,
    /// A record in a retry topic is not due yet, or unread.
    pub retry: u64,
    /// A dead letter waits to be replayed.
    pub dead_letter: u64,
    /// A person has discarded its dead letter.
    pub discarded: u64,
    /// An open transaction hides records of a topic.
    pub open_transaction: u64,
}

/// The result of one rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleResult {
    /// How many orders, records, products or partitions were checked, whichever the rule is about.
    pub checked: u64,
    /// How many of them violate the rule.
    pub violations: u64,
    /// The violation of the oldest order, or the first one found.
    pub first: Option<Violation>,
}

/// A violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The order; `None` if the violation concerns a product, a partition or a record without an order.
    pub order: Option<OrderId>,
    /// What is wrong, with the figures.
    pub what: String,
    /// The command that shows more.
    pub look: String,
}

impl Violation {
    pub(crate) fn of_order(order: OrderId, what: String) -> Self {
        Self {
            order: Some(order),
            what: format!("order {order}: {what}"),
            look: format!("./sandbox logs --order {order}"),
        }
    }
}

impl Report {
    /// Whether no rule is violated.
    pub fn is_kept(&self) -> bool {
        self.rules.values().all(|result| result.violations == 0)
    }

    /// The violated rules.
    pub fn violated(&self) -> Vec<Rule> {
        let violated = self.rules.iter().filter(|(_, one)| one.violations > 0);
        violated.map(|(rule, _)| *rule).collect()
    }

    /// Counts one more that was checked; `what` describes the violation if the rule is not `kept`.
    pub(crate) fn check(&mut self, rule: Rule, kept: bool, what: impl FnOnce() -> Violation) {
        let result = self.rules.entry(rule).or_default();
        result.checked += 1;
        if kept {
            return;
        }
        result.violations += 1;
        result.note(what());
    }

    /// Adds what was found about other orders.
    pub(crate) fn add(&mut self, other: Self) {
        self.figures.add(other.figures);
        for (rule, found) in other.rules {
            let result = self.rules.entry(rule).or_default();
            result.checked += found.checked;
            result.violations += found.violations;
            if let Some(first) = found.first {
                result.note(first);
            }
        }
        self.notes.extend(other.notes);
    }
}

impl Figures {
    fn add(&mut self, other: Self) {
        let Self {
            accepted,
            ended,
            waiting,
            lost,
            doubled,
            out_of_order,
            waiting_for,
            doubled_in,
            split_over_partitions,
            replayed,
            unknown_type,
            older_than_log,
        } = other;
        self.accepted += accepted;
        self.ended += ended;
        self.waiting += waiting;
        self.lost += lost;
        self.doubled += doubled;
        self.out_of_order += out_of_order;
        self.waiting_for.add(waiting_for);
        for (topic, doubled) in doubled_in {
            *self.doubled_in.entry(topic).or_default() += doubled;
        }
        self.split_over_partitions += split_over_partitions;
        self.replayed += replayed;
        self.unknown_type += unknown_type;
        self.older_than_log += older_than_log;
    }
}

impl WaitingFor {
    fn add(&mut self, other: Self) {
        let Self {
            outbox,
            unread,
            retry,
            dead_letter,
            discarded,
            open_transaction,
        } = other;
        self.outbox += outbox;
        self.unread += unread;
        self.retry += retry;
        self.dead_letter += dead_letter;
        self.discarded += discarded;
        self.open_transaction += open_transaction;
    }
}

/// The line of figures, and a line for each rule.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures {
            accepted,
            ended,
            waiting,
            lost,
            doubled,
            out_of_order,
            ..
        } = &self.figures;
        write!(
            f,
            "orders: accepted {accepted} · ended {ended} · waiting {waiting} · lost {lost} · doubled {doubled} · out of order {out_of_order}"
        )?;
        for (rule, result) in &self.rules {
            write!(f, "\n{}", result.line(*rule))?;
        }
        Ok(())
    }
}

impl RuleResult {
    /// Keeps the violation of the oldest order, or the first one. Order ids begin with the time, so the least is the oldest.
    fn note(&mut self, found: Violation) {
        let is_older = |first: &Violation| match (found.order, first.order) {
            (Some(found), Some(first)) => found < first,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if self.first.as_ref().is_none_or(is_older) {
            self.first = Some(found);
        }
    }

    fn line(&self, rule: Rule) -> String {
        let Self {
            checked,
            violations,
            first,
        } = self;
        let Some(first) = first else {
            return format!("PASS {rule} checked {checked}");
        };
        let Violation { what, look, .. } = first;
        format!(
            "FAIL {rule} checked {checked} violated {violations}  first violation: {what}; look: {look}"
        )
    }
}
