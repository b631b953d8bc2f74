//! How many members a consumer group needs, decided from its lag with the names and the meaning of KEDA's Kafka scaler.
//!
//! Pure functions: no clock and no I/O. The caller reads the cluster, passes the reading and its time, and carries out the
//! decision. `docs/autoscaling.md` explains the rules, and where KEDA decides otherwise.
//!
//! Read the files in this order:
//!
//! 1. `settings.rs`: the settings, with KEDA's defaults. `scaled_object.rs` and `manifest.rs`: the same from a ScaledObject's
//!    YAML.
//! 2. `reading.rs`: what was read of the group. `history.rs`: what is remembered of earlier readings.
//! 3. `demand.rs`: from the reading to the wanted number. `decide.rs`: from the wanted number to the action.
//! 4. `explain.rs`: the decision as one line. `keda.rs`: the number that KEDA would ask for. `advice.rs`: what more members
//!    do not solve. `effect.rs`: whether a step has helped.

#![deny(missing_docs)]

mod advice;
mod decide;
mod demand;
mod effect;
mod explain;
mod history;
mod keda;
mod manifest;
mod reading;
mod scaled_object;
mod settings;
#[cfg(test)]
mod tests;

pub use advice::Advice;
pub use decide::{Decision, Hold, decide};
pub use demand::{Demand, Limit, Signal};
pub use effect::StepEffect;
pub use history::History;
pub use keda::{KedaDemand, KedaReason};
pub use reading::{CountedRecords, PartitionReading, Rates, Reading, Waiting};
pub use scaled_object::{ScaledObject, ScaledObjectError};
pub use settings::{InvalidSetting, OffsetResetPolicy, Settings};
