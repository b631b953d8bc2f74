//! Another program uses up the connections of PostgreSQL.

use crate::fault::{Check, Fault, Modes, Shows};
use crate::hold::Hold;
use crate::probe::Probe;

pub(super) const FAULT: Fault = Fault {
    name: "connections-used-up",
    summary: "another program uses up the connections of PostgreSQL",
    mechanism: "A program opens sessions until the server refuses one, and takes every connection that becomes free. The sessions of the services were ended once, as by a restart of the network.",
    customer: "POST /orders is answered with 503, and paid orders are not confirmed.",
    shows: Shows {
        panel: ("Services", "Connections"),
        command: "status",
        log: Some(("orders cannot be accepted", "order-service")),
    },
    repair: "End the program that leaks connections: pg_stat_activity shows whose they are.",
    remains: None,
    scenario: "database-outage",
    modes: Modes::Both,
    cause: &["fault start connections-used-up"],
    undo: &["fault stop connections-used-up"],
    check: Check::Probe(Probe::ConnectionsUsedUp),
    hold: Some(Hold::Connections),
    change: None,
};
