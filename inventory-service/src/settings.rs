//! The settings of inventory-service.

use std::str::FromStr;

use clap::Parser;
use kafka_runtime::{
    ConsumerSettings, Criticality, FaultSettings, KafkaSettings, MemberSettings, database,
};
use service_kit::HttpSettings;
use service_kit::settings::{InvalidSettings, port};
use service_kit::trace::TraceSettings;
use shared_events::{OutOfBounds, ProductId, Service};
use sqlx::postgres::PgConnectOptions;

/// Reserves stock for paid orders.
#[derive(Clone, Parser)]
#[command(name = "inventory-service", version)]
pub struct Settings {
    /// Port to listen on; 0 takes any free one
    #[arg(long, env = "PORT", default_value_t = 8001, value_parser = port)]
    pub port: u16,

    /// The database of the stock
    #[arg(
        long,
        env = "DATABASE_URL",
        hide_env_values = true,
        default_value = "postgres://inventory:inventory@127.0.0.1:5432/inventory_db",
        value_parser = database::parse_url
    )]
    pub database_url: PgConnectOptions,

    /// The product whose orders go to the dead-letter topic, on purpose; empty for none
    #[arg(
        long,
        env = "POISON_PRODUCT",
        default_value = "prod_ignore",
        num_args = 0..=1,
        default_missing_value = ""
    )]
    pub poison_product: PoisonProduct,

    /// Where to listen and how to log
    #[command(flatten)]
    pub http: HttpSettings,

    /// Which broker
    #[command(flatten)]
    pub kafka: KafkaSettings,

    /// How the member of the consumer group behaves
    #[command(flatten)]
    pub consumer: ConsumerSettings,

    /// What is broken on purpose
    #[command(flatten)]
    pub faults: FaultSettings,

    /// Where traces go
    #[command(flatten)]
    pub trace: TraceSettings,
}

/// The product whose orders are poison, if there is one.
#[derive(Debug, Clone)]
pub struct PoisonProduct(pub Option<ProductId>);

impl FromStr for PoisonProduct {
    type Err = OutOfBounds;

    fn from_str(text: &str) -> Result<Self, OutOfBounds> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        text.parse().map(|product| Self(Some(product)))
    }
}

impl Settings {
    /// Checks the rules between the settings and returns the settings of the member.
    pub fn validate(&self) -> Result<MemberSettings, InvalidSettings> {
        MemberSettings::new(
            Service::Inventory,
            Criticality::Required,
            self.kafka.clone(),
            self.consumer.clone(),
            &self.faults,
        )
    }
}
