//! The payment gateway takes three seconds for a charge.

use crate::fault::{Check, Fault, Modes, Shows};
use crate::probe::Probe;

pub(super) const FAULT: Fault = Fault {
    name: "gateway-slow",
    summary: "the payment gateway takes three seconds for a charge",
    mechanism: "payment-gateway waits 3 s before it answers a charge.",
    customer: "Orders are paid late.",
    shows: Shows {
        panel: ("Saga & Consumer Lag", "Time for one message (p95)"),
        command: "gateway",
        log: None,
    },
    repair: "Wait for the provider, or send it more charges at once.",
    remains: None,
    scenario: "retries",
    modes: Modes::Both,
    cause: &["gateway --delay-ms 3000"],
    undo: &["gateway --delay-ms 0"],
    check: Check::Probe(Probe::GatewaySlow),
    hold: None,
    change: None,
};
