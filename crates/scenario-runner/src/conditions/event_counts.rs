//! The number of records of each event of an order, read from the topics and not from a service.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use shared_events::{EventType, OrderId};

use super::Observation;

/// The expected number of records of each event of an order; other events must not exist.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:  ./sandbox expect events $ID OrderCreated=1 PaymentSucceeded=1 InventoryReserved=1\n\nCounted are records that read_committed consumers see, on orders, payments and inventory. Events not named must not be there."
)]
pub struct EventCounts {
    /// The order
    pub id: OrderId,

    /// The number of records of each event: `OrderCreated=1`
    #[arg(value_name = "EVENT=COUNT", required = true)]
    pub counts: Vec<Count>,

    /// At least this number of each: after a crash with DELIVERY=at-least-once, events may be published twice
    #[arg(long)]
    pub at_least: bool,
}

/// `OrderCreated=1`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    event: EventType,
    records: u32,
}

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = EventType::ALL.map(EventType::name).join(", ");
        let wrong = || format!("must be EVENT=COUNT, where EVENT is one of {names}");
        let (event, records) = text.split_once('=').ok_or_else(wrong)?;
        Ok(Self {
            event: event.parse().map_err(|()| wrong())?,
            records: records.parse().map_err(|_| wrong())?,
        })
    }
}

/// The number of records of each event type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records(BTreeMap<EventType, u32>);

impl Records {
    /// Counts one record.
    pub fn count(&mut self, event: EventType) {
        *self.0.entry(event).or_default() += 1;
    }

    fn of(&self, event: EventType) -> u32 {
        self.0.get(&event).copied().unwrap_or(0)
    }
}

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<String> = self
            .0
            .iter()
            .map(|(event, records)| format!("{event}={records}"))
            .collect();
        match counts.as_slice() {
            [] => f.write_str("no event was published"),
            counts => f.write_str(&counts.join(" ")),
        }
    }
}

impl EventCounts {
    /// Whether the numbers are as expected.
    pub fn check(&self, records: &Records) -> Observation {
        let holds = EventType::ALL.into_iter().all(|event| {
            let wanted = self.counts.iter().find(|count| count.event == event);
            let (wanted, found) = (wanted.map_or(0, |count| count.records), records.of(event));
            found == wanted || (self.at_least && wanted > 0 && found > wanted)
        });
        Observation::judge(holds, records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts_of(counts: &[&str], at_least: bool) -> EventCounts {
        EventCounts {
            id: OrderId::now(),
            counts: counts.iter().map(|count| count.parse().unwrap()).collect(),
            at_least,
        }
    }

    fn records(events: &[EventType]) -> Records {
        let mut records = Records::default();
        events.iter().for_each(|event| records.count(*event));
        records
    }

    #[test]
    fn an_event_that_is_not_named_must_not_exist() {
        use EventType::{InventoryReserved, OrderCreated};
        let wanted = counts_of(&["OrderCreated=1"], false);
        assert!(matches!(
            wanted.check(&records(&[OrderCreated])),
            Observation::Holds(_)
        ));
        for others in [
            &[][..],
            &[OrderCreated; 2],
            &[OrderCreated, InventoryReserved],
        ] {
            assert!(
                matches!(wanted.check(&records(others)), Observation::Not(_)),
                "{others:?}"
            );
        }
        let at_least = counts_of(&["OrderCreated=1"], true);
        assert!(matches!(
            at_least.check(&records(&[OrderCreated; 2])),
            Observation::Holds(_)
        ));
        let unnamed = records(&[OrderCreated, InventoryReserved]);
        assert!(matches!(at_least.check(&unnamed), Observation::Not(_)));
    }

    #[test]
    fn a_count_names_a_known_event_and_a_number() {
        for bad in [
            "",
            "OrderCreated",
            "OrderCreated=",
            "OrderCreated=-1",
            "Ordered=1",
            "=1",
        ] {
            let error = bad.parse::<Count>().unwrap_err();
            assert!(error.contains("OrderCreated"), "{error}");
        }
    }
}
