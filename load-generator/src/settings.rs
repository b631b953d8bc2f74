//! The settings of load-generator.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use kafka_admin::KafkaSettings;
use kafka_admin::bulk_producer::{Acks, BulkSettings, Compression};
use reqwest::Url;
use service_kit::HttpSettings;
use service_kit::settings::{DrainSettings, InvalidSettings, duration_between, port, whole_number};
use shared_events::{Amount, CustomerId, ProductId, Quantity};

use crate::key_distribution::KeyDistribution;
use crate::load_plan::{LoadPlan, Profile, RateSchedule};
use crate::order_generator::OrderSpec;

/// The verb that runs the service.
pub const SERVE: &str = "serve";

/// Most orders of a burst, or of all batches: the topic `orders` keeps 3 GiB, which is about 5
/// million events of 500 bytes.
pub const MAX_ORDERS: u64 = 5_000_000;

/// Sends orders at a given rate, to Kafka or over HTTP, and measures how long they take to be
/// acknowledged
#[derive(Debug, Parser)]
#[command(
    name = "load-generator",
    version,
    after_help = "Examples:\n  load-generator burst --count 100000\n  load-generator continuous --events-per-second 500 --duration 1m --keys zipfian\n  load-generator batch --batch-size 500 --batches 20 --via http\n  load-generator serve\n\nExit codes: 0 all acknowledged, 1 some not, 2 wrong arguments, 130 interrupted, 141 reader of the output gone."
)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Orders as fast as they are acknowledged
    #[command(after_help = "Example:  load-generator burst --count 1000000 --keys single")]
    Burst {
        /// Orders
        #[arg(long, default_value_t = 1_000, value_parser = whole_number::<u64>(1..=MAX_ORDERS))]
        count: u64,
        #[command(flatten)]
        load: LoadSettings,
    },
    /// Batches, each sent when the one before is acknowledged
    #[command(after_help = "Example:  load-generator batch --batch-size 500 --batches 20")]
    Batch {
        /// Orders of a batch
        #[arg(long, default_value_t = 100, value_parser = whole_number::<u64>(1..=100_000))]
        batch_size: u64,
        /// Batches
        #[arg(long, default_value_t = 10, value_parser = whole_number::<u64>(1..=1_000_000))]
        batches: u64,
        #[command(flatten)]
        load: LoadSettings,
    },
    /// Orders at a fixed rate: a late acknowledgement delays no order, and its latency counts from
    /// when the order was due
    #[command(
        after_help = "Example:  load-generator continuous --events-per-second 2000 --duration 30s"
    )]
    Continuous {
        /// Orders a second
        #[arg(long, default_value_t = 10, value_parser = whole_number::<u32>(1..=1_000_000))]
        events_per_second: u32,
        /// For how long, up to 24h
        #[arg(long, default_value = "1m", value_parser = duration_between(1, 86_400))]
        duration: Duration,
        #[command(flatten)]
        load: LoadSettings,
    },
    /// Orders at a rate that changes over time
    #[command(after_help = "Example:  load-generator profile burst --duration 2m")]
    Profile {
        /// steady: one rate. burst: a third of the time at the rate, a sixth at ten times the rate,
        /// half at the rate
        #[arg(value_enum)]
        profile: Profile,
        /// Orders a second, except during the burst
        #[arg(long, default_value_t = 50, value_parser = whole_number::<u32>(1..=100_000))]
        events_per_second: u32,
        /// For how long, up to 24h
        #[arg(long, default_value = "1m", value_parser = duration_between(1, 86_400))]
        duration: Duration,
        #[command(flatten)]
        load: LoadSettings,
    },
    /// Run the service: loads over HTTP, and the auto producer
    #[command(after_help = "Example:  load-generator serve --auto-produce true")]
    Serve(ServeSettings),
}

/// How orders are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Via {
    /// As events to the topic `orders`.
    Kafka,
    /// As `POST /orders` to order-service.
    Http,
}

/// The settings of a load: which orders, and how they are sent.
#[derive(Debug, Clone, Args)]
pub struct LoadSettings {
    /// Events straight to Kafka, or requests to order-service
    #[arg(long, value_enum, default_value = "kafka")]
    pub via: Via,

    /// The address of order-service, for --via http
    #[arg(long, env = "ORDER_URL", default_value = "http://127.0.0.1:3000", value_parser = http_url)]
    pub order_url: Url,

    /// The product
    #[arg(long, default_value = "prod_burst")]
    pub product: ProductId,

    /// The customer [default: one of load_0000 to load_9999]
    #[arg(long)]
    pub customer: Option<CustomerId>,

    /// Pieces of an order, 1 to 10000
    #[arg(long, default_value = "1", value_parser = quantity)]
    pub quantity: Quantity,

    /// Price of an order, 0.01 to 1000000.00; above 1000.00 it is declined
    #[arg(long, default_value = "10.00")]
    pub amount: Amount,

    /// The same seed makes the same orders, except for timestamps and, with --keys single or
    /// zipfian, the ends of their ids [default: a random one]
    #[arg(long)]
    pub seed: Option<u64>,

    /// How orders are distributed over the partitions [default: uniform]
    #[arg(long, value_enum)]
    pub keys: Option<KeyDistribution>,

    /// compression.type [default: lz4]
    #[arg(long, value_enum)]
    pub compression: Option<Compression>,

    /// linger.ms: how long a batch waits to become larger [default: 5]
    #[arg(long, value_parser = whole_number::<u32>(0..=1_000))]
    pub linger_ms: Option<u32>,

    /// batch.size: most bytes of a batch before compression [default: 1000000]
    #[arg(long, value_parser = whole_number::<u32>(1..=1_000_000))]
    pub batch_bytes: Option<u32>,

    /// acks: which replicas must have an event before it is acknowledged [default: all]
    #[arg(long, value_enum)]
    pub acks: Option<Acks>,

    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub kafka: KafkaSettings,
}

/// The settings of the service.
#[derive(Debug, Clone, Args)]
pub struct ServeSettings {
    /// Port to listen on; 0 takes any free one
    #[arg(long, env = "PORT", default_value_t = 8000, value_parser = port)]
    pub port: u16,

    /// Milliseconds between two batches of the auto producer
    #[arg(long, env = "PRODUCTION_RATE_MS", default_value_t = 100, value_parser = whole_number::<u32>(RATE_MS))]
    pub production_rate_ms: u32,

    /// Orders of a batch of the auto producer
    #[arg(long, env = "BATCH_SIZE", default_value_t = 1, value_parser = whole_number::<u32>(BATCH_SIZE))]
    pub batch_size: u32,

    /// Start the auto producer with the service
    #[arg(long, env = "AUTO_PRODUCE", default_value_t = false, action = clap::ArgAction::Set)]
    pub auto_produce: bool,

    #[command(flatten)]
    pub drain: DrainSettings,

    #[command(flatten)]
    pub http: HttpSettings,

    #[command(flatten)]
    pub kafka: KafkaSettings,
}

/// Bounds of `PRODUCTION_RATE_MS` and `rate_ms`.
pub const RATE_MS: std::ops::RangeInclusive<i64> = 1..=60_000;

/// Bounds of `BATCH_SIZE` and `batch_size`.
pub const BATCH_SIZE: std::ops::RangeInclusive<i64> = 1..=1_000;

/// What the process does.
pub enum Action {
    Load(LoadPlan, LoadSettings),
    Serve(ServeSettings),
}

impl Cli {
    /// Checks the rules between the settings.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        match &self.verb {
            Verb::Burst { load, .. } | Verb::Profile { load, .. } => load.validate(),
            Verb::Continuous { load, .. } => load.validate(),
            Verb::Batch {
                batch_size,
                batches,
                load,
            } => {
                if batch_size * batches > MAX_ORDERS {
                    return Err(InvalidSettings(format!(
                        "--batch-size times --batches must be at most {MAX_ORDERS}"
                    )));
                }
                load.validate()
            }
            Verb::Serve(_) => Ok(()),
        }
    }
}

impl Verb {
    pub fn into_action(self) -> Action {
        match self {
            Self::Burst { count, load } => {
                let pause = Duration::ZERO;
                Action::Load(LoadPlan::Burst { count, pause }, load)
            }
            Self::Batch {
                batch_size: size,
                batches,
                load,
            } => Action::Load(LoadPlan::Batches { size, batches }, load),
            Self::Continuous {
                events_per_second: rate,
                duration,
                load,
            } => Action::Load(LoadPlan::Open(RateSchedule::steady(rate, duration)), load),
            Self::Profile {
                profile,
                events_per_second: rate,
                duration,
                load,
            } => {
                let schedule = RateSchedule::from_profile(profile, rate, duration);
                Action::Load(LoadPlan::Open(schedule), load)
            }
            Self::Serve(settings) => Action::Serve(settings),
        }
    }
}

impl LoadSettings {
    /// Refuses Kafka's settings for a load over HTTP, where they would have no meaning:
    /// order-service makes the ids and the batches.
    fn validate(&self) -> Result<(), InvalidSettings> {
        let kafka_only = [
            ("--keys", self.keys.is_some()),
            ("--compression", self.compression.is_some()),
            ("--linger-ms", self.linger_ms.is_some()),
            ("--batch-bytes", self.batch_bytes.is_some()),
            ("--acks", self.acks.is_some()),
        ];
        match kafka_only.into_iter().find(|(_, given)| *given) {
            Some((name, _)) if self.via == Via::Http => {
                Err(InvalidSettings(format!("{name} needs --via kafka")))
            }
            _ => Ok(()),
        }
    }

    /// The settings of the producer.
    pub fn bulk(&self) -> BulkSettings {
        BulkSettings {
            compression: self.compression.unwrap_or(DEFAULT_BULK.compression),
            linger_ms: self.linger_ms.unwrap_or(DEFAULT_BULK.linger_ms),
            batch_bytes: self.batch_bytes.unwrap_or(DEFAULT_BULK.batch_bytes),
            acks: self.acks.unwrap_or(DEFAULT_BULK.acks),
        }
    }

    /// What all orders have in common.
    pub fn order_spec(&self) -> OrderSpec {
        OrderSpec {
            customer: self.customer.clone(),
            product: self.product.clone(),
            quantity: self.quantity,
            amount: self.amount,
        }
    }
}

/// The settings of the producer without arguments.
pub const DEFAULT_BULK: BulkSettings = BulkSettings {
    compression: Compression::Lz4,
    linger_ms: 5,
    batch_bytes: 1_000_000,
    acks: Acks::All,
};

fn quantity(text: &str) -> Result<Quantity, String> {
    let pieces = text.parse().ok();
    let quantity = pieces.and_then(|pieces| Quantity::new(pieces).ok());
    quantity.ok_or_else(|| Quantity::LIMIT.to_string())
}

fn http_url(text: &str) -> Result<Url, String> {
    let url: Option<Url> = text.parse().ok();
    let http = url.filter(|url| url.scheme() == "http" && url.has_host());
    http.ok_or_else(|| "must be a URL like http://127.0.0.1:3000".to_owned())
}
