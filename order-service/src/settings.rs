//! The settings of order-service.

use clap::Parser;
use kafka_runtime::{
    ConsumerSettings, Criticality, FaultSettings, KafkaSettings, MemberSettings, database,
};
use service_kit::HttpSettings;
use service_kit::settings::{InvalidSettings, port, whole_number};
use service_kit::trace::TraceSettings;
use shared_events::Service;
use sqlx::postgres::PgConnectOptions;

/// Accepts orders over HTTP and shows how each order's saga went.
#[derive(Clone, Parser)]
#[command(name = "order-service", version)]
pub struct Settings {
    /// Port to listen on; 0 takes any free one
    #[arg(long, env = "PORT", default_value_t = 3000, value_parser = port)]
    pub port: u16,

    /// The database of the orders
    #[arg(
        long,
        env = "DATABASE_URL",
        hide_env_values = true,
        default_value = "postgres://orders:orders@127.0.0.1:5432/orders_db",
        value_parser = database::parse_url
    )]
    pub database_url: PgConnectOptions,

    /// Most accepted orders that wait to be published; more are refused with 503 until Kafka is
    /// back
    #[arg(long, env = "OUTBOX_LIMIT", default_value_t = 1_000_000, value_parser = whole_number::<u32>(1..=100_000_000))]
    pub outbox_limit: u32,

    /// Most requests that wait to be accepted; more are refused with 503
    #[arg(long, env = "HTTP_QUEUE", default_value_t = 10_000, value_parser = whole_number::<u32>(1..=1_000_000))]
    pub http_queue: u32,

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

impl Settings {
    /// Checks the rules between the settings and returns the settings of the member. Kafka is
    /// optional: without it orders are accepted all the same, so the service is ready.
    pub fn validate(&self) -> Result<MemberSettings, InvalidSettings> {
        MemberSettings::new(
            Service::Order,
            Criticality::Optional,
            self.kafka.clone(),
            self.consumer.clone(),
            &self.faults,
        )
    }
}
