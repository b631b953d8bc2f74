//! Another program holds the stock in an open transaction.

use crate::fault::{Check, Fault, Modes, Shows};
use crate::hold::Hold;
use crate::probe::Probe;

pub(super) const FAULT: Fault = Fault {
    name: "stock-locked",
    summary: "another program holds the stock in an open transaction",
    mechanism: "A session that calls itself stock-count has updated every row of products and does not commit. inventory-service waits for the rows for 3 s, then its batch fails and is retried.",
    customer: "Paid orders are not confirmed any more.",
    shows: Shows {
        panel: ("Kafka clients", "Batches retried"),
        command: "status",
        log: Some(("batch failed, will retry", "inventory-service")),
    },
    repair: "End the session: pg_stat_activity shows it, pg_terminate_backend ends it.",
    remains: None,
    scenario: "silent-stall",
    modes: Modes::Both,
    cause: &["fault start stock-locked"],
    undo: &["fault stop stock-locked"],
    check: Check::Probe(Probe::RowsLocked("stock-count")),
    hold: Some(Hold::StockRows("stock-count")),
    change: None,
};
