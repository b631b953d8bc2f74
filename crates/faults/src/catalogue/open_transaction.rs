//! A producer leaves a transaction open.

use crate::change::Change;
use crate::fault::{Check, Fault, Modes, Shows};
use crate::hold::Hold;
use crate::probe::Probe;

pub(super) const FAULT: Fault = Fault {
    name: "open-transaction",
    summary: "a producer leaves a transaction open",
    mechanism: "A producer writes one record to partition 0 of payments in a transaction that it neither commits nor aborts. No read_committed consumer can read past the record, for 15 minutes at most.",
    customer: "A third of the paid orders is not confirmed any more.",
    shows: Shows {
        panel: ("Kafka clients", "Open and hanging transactions"),
        command: "transactions list",
        log: None,
    },
    repair: "Abort the transaction: its own producer, or whoever begins one with the same transactional id.",
    remains: None,
    scenario: "hanging-transaction",
    modes: Modes::Both,
    cause: &["fault start open-transaction"],
    undo: &[
        "fault stop open-transaction",
        "fault revert open-transaction",
    ],
    check: Check::Probe(Probe::TransactionOpen),
    hold: Some(Hold::Transaction),
    change: Some(Change::OpenTransaction),
};
