//! The payment gateway fails for half of all charges.

use crate::fault::{Check, Fault, Modes, Shows};
use crate::probe::Probe;

pub(super) const FAULT: Fault = Fault {
    name: "gateway-failing",
    summary: "the payment gateway fails for half of all charges",
    mechanism: "payment-gateway answers half of the charges with an error, as a provider in trouble does.",
    customer: "Orders are paid late. None is paid twice: a charge is idempotent by its payment id.",
    shows: Shows {
        panel: ("Saga & Consumer Lag", "Answers of payment and inventory"),
        command: "gateway",
        log: None,
    },
    repair: "Wait for the provider, with retries that give it time.",
    remains: None,
    scenario: "retries",
    modes: Modes::Both,
    cause: &["gateway --fail-percent 50"],
    undo: &["gateway --fail-percent 0"],
    check: Check::Probe(Probe::GatewayFails),
    hold: None,
    change: None,
};
