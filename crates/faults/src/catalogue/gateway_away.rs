//! The payment gateway answers no charge.

use crate::fault::{Check, Fault, Modes, Shows};
use crate::probe::Probe;

pub(super) const FAULT: Fault = Fault {
    name: "gateway-away",
    summary: "the payment gateway answers no charge",
    mechanism: "payment-gateway accepts connections and answers no charge.",
    customer: "Orders are accepted, and stay PENDING.",
    shows: Shows {
        panel: ("Saga & Consumer Lag", "Consumer Lag by Group"),
        command: "gateway",
        log: None,
    },
    repair: "Wait for the provider.",
    remains: None,
    scenario: "retries",
    modes: Modes::Both,
    cause: &["gateway --away"],
    undo: &["gateway --back"],
    check: Check::Probe(Probe::GatewayAway),
    hold: None,
    change: None,
};
