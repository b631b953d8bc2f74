//! The settings of payment-service.

use clap::Parser;
use kafka_runtime::{
    ConsumerSettings, Criticality, FaultSettings, KafkaSettings, MemberSettings, RetrySettings,
};
use reqwest::Url;
use service_kit::HttpSettings;
use service_kit::settings::{InvalidSettings, port};
use service_kit::trace::TraceSettings;
use shared_events::Service;

/// Charges each order or declines it, and refunds orders that are out of stock.
#[derive(Debug, Clone, Parser)]
#[command(name = "payment-service", version)]
pub struct Settings {
    /// Port to listen on; 0 takes any free one
    #[arg(long, env = "PORT", default_value_t = 3002, value_parser = port)]
    pub port: u16,

    /// Base URL of the payment gateway. Without it no other system is called: the rule decides
    #[arg(long, env = "PAYMENT_GATEWAY_URL", value_parser = http_url)]
    pub payment_gateway_url: Option<Url>,

    /// Where to listen and how to log
    #[command(flatten)]
    pub http: HttpSettings,

    /// Which broker
    #[command(flatten)]
    pub kafka: KafkaSettings,

    /// How the member of the consumer group behaves
    #[command(flatten)]
    pub consumer: ConsumerSettings,

    /// What becomes of a record that failed for now
    #[command(flatten)]
    pub retry: RetrySettings,

    /// What is broken on purpose
    #[command(flatten)]
    pub faults: FaultSettings,

    /// Where traces go
    #[command(flatten)]
    pub trace: TraceSettings,
}

impl Settings {
    /// Checks the rules between the settings and returns the settings of the member.
    pub fn validate(&self) -> Result<MemberSettings, InvalidSettings> {
        let settings = MemberSettings::new(
            Service::Payment,
            Criticality::Required,
            self.kafka.clone(),
            self.consumer.clone(),
            &self.faults,
        )?;
        Ok(MemberSettings {
            retry: self.retry.clone(),
            ..settings
        })
    }
}

fn http_url(text: &str) -> Result<Url, String> {
    let url: Option<Url> = text.parse().ok();
    let http = url.filter(|url| url.scheme() == "http" && url.has_host());
    http.ok_or_else(|| "must be a URL like http://127.0.0.1:8020".to_owned())
}
