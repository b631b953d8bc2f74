//! The settings of payment-gateway.

use clap::Parser;
use service_kit::HttpSettings;
use service_kit::settings::{InvalidSettings, port, whole_number};

/// The name of the program.
pub const NAME: &str = "payment-gateway";

/// A simulated payment gateway: idempotent charges and refunds, with faults on request.
#[derive(Debug, Clone, Parser)]
#[command(name = NAME, version)]
pub struct Settings {
    /// Port to listen on; 0 takes any free one
    #[arg(long, env = "PORT", default_value_t = 8020, value_parser = port)]
    pub port: u16,

    /// How many payments are remembered; the oldest is forgotten first
    #[arg(long, env = "PAYMENT_LIMIT", default_value_t = 1_000_000, value_parser = whole_number::<u32>(1..=10_000_000))]
    pub payment_limit: u32,

    /// Where to listen and how to log
    #[command(flatten)]
    pub http: HttpSettings,
}

impl Settings {
    /// No rules between these settings.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        Ok(())
    }
}
