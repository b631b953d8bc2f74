//! What payment-service can be told.

use clap::Parser;
use kafka_runtime::{ConsumerSettings, FaultSettings, KafkaSettings, MemberSettings, Need};
use service_kit::HttpSettings;
use service_kit::settings::WrongSettings;
use service_kit::trace::TraceSettings;
use shared_events::Service;

/// Answers each order with a payment or a refusal, and each shortage with a refund.
#[derive(Debug, Clone, Parser)]
#[command(name = "payment-service", version)]
pub struct Settings {
    /// Port to listen on; 0 takes any free one
    #[arg(long, env = "PORT", default_value_t = 3002)]
    pub port: u16,

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
    /// Checks the rules between the settings. What comes out is what the member is told.
    pub fn validate(&self) -> Result<MemberSettings, WrongSettings> {
        MemberSettings::new(
            Service::Payment,
            Need::Required,
            self.kafka.clone(),
            self.consumer.clone(),
            &self.faults,
        )
    }
}
