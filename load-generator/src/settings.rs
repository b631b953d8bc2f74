//! What load-generator can be told.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, value_parser};
use kafka_runtime::KafkaSettings;
use kafka_admin::bulk::{Acks, BulkSettings, Compression};
use reqwest::Url;
use service_kit::HttpSettings;
use service_kit::settings::{WrongSettings, span};
use shared_events::{Amount, CustomerId, ProductId, Quantity};

use crate::keys::Spread;
use crate::orders::Wanted;
use crate::plan::{Plan, Profile, Schedule};

/// The subcommand that is a service.
pub const SERVE: &str = "serve";

/// Most orders of a burst or of all batches: 5 million events of about 500 bytes are what the topic `orders` holds (3 GiB).
pub const MOST_ORDERS: u64 = 5_000_000;

/// Makes orders at a rate asked for, into Kafka or over HTTP, and measures how long they take
#[derive(Debug, Parser)]
#[command(
    name = "load-generator",
    version,
    after_help = "Examples:\n  load-generator burst --count 100000\n  load-generator continuous --events-per-second 500 --duration 1m --keys zipfian\n  load-generator batch --batch-size 500 --batches 20 --via http\n  load-generator serve\n\nExit codes: 0 all acknowledged, 1 some not, 2 asked wrongly, 130 interrupted."
)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Orders as fast as they are acknowledged
    #[command(after_help = "Example:  load-generator burst --count 1000000 --keys single")]
    Burst {
        /// Orders
        #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u64).range(1..=MOST_ORDERS))]
        count: u64,
        /// How
        #[command(flatten)]
        load: Load,
    },
    /// Batches, each when the one before is acknowledged
    #[command(after_help = "Example:  load-generator batch --batch-size 500 --batches 20")]
    Batch {
        /// Orders of a batch
        #[arg(long, default_value_t = 100, value_parser = value_parser!(u64).range(1..=100_000))]
        batch_size: u64,
        /// Batches
        #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..=1_000_000))]
        batches: u64,
        /// How
        #[command(flatten)]
        load: Load,
    },
    /// Orders at a rate, whatever becomes of those before: late answers delay nothing, and are counted as late
    #[command(
        after_help = "Example:  load-generator continuous --events-per-second 2000 --duration 30s"
    )]
    Continuous {
        /// Orders a second
        #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=1_000_000))]
        events_per_second: u32,
        /// For how long, up to 24h
        #[arg(long, default_value = "1m", value_parser = span(1, 86_400))]
        duration: Duration,
        /// How
        #[command(flatten)]
        load: Load,
    },
    /// Orders at rates that change as those of a shop do
    #[command(after_help = "Example:  load-generator profile burst --duration 2m")]
    Profile {
        /// steady: one rate. burst: a third of the time at the rate, a sixth at ten times the rate, half at the rate
        #[arg(value_enum)]
        profile: Profile,
        /// Orders a second, but for the burst
        #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=100_000))]
        events_per_second: u32,
        /// For how long, up to 24h
        #[arg(long, default_value = "1m", value_parser = span(1, 86_400))]
        duration: Duration,
        /// How
        #[command(flatten)]
        load: Load,
    },
    /// Make orders when asked over HTTP, and by itself
    #[command(after_help = "Example:  load-generator serve --auto-produce true")]
    Serve(Serve),
}

/// Which way orders go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Via {
    /// As events straight into the topic `orders`.
    Kafka,
    /// As `POST /orders` to order-service.
    Http,
}

/// What orders, and how they are sent.
#[derive(Debug, Clone, Args)]
pub struct Load {
    /// Straight into Kafka, or to order-service
    #[arg(long, value_enum, default_value = "kafka")]
    pub via: Via,

    /// Where order-service is, for --via http
    #[arg(long, env = "ORDER_URL", default_value = "http://127.0.0.1:3000", value_parser = http_url)]
    pub order_url: Url,

    /// What is ordered
    #[arg(long, default_value = "prod_burst")]
    pub product: ProductId,

    /// Who orders [default: one of load_0000 to load_9999]
    #[arg(long)]
    pub customer: Option<CustomerId>,

    /// Pieces of an order, 1 to 10000
    #[arg(long, default_value = "1", value_parser = quantity)]
    pub quantity: Quantity,

    /// What an order costs, 0.01 to 1000000.00; above 1000.00 it is declined
    #[arg(long, default_value = "10.00")]
    pub amount: Amount,

    /// The same seed makes the same orders, but for their time stamps and, with --keys single or zipfian, the ends of their ids
    /// [default: a random one]
    #[arg(long)]
    pub seed: Option<u64>,

    /// How orders are spread over the partitions [default: uniform]
    #[arg(long, value_enum)]
    pub keys: Option<Spread>,

    /// compression.type [default: lz4]
    #[arg(long, value_enum)]
    pub compression: Option<Compression>,

    /// linger.ms: how long a batch waits to become larger [default: 5]
    #[arg(long, value_parser = value_parser!(u32).range(0..=1_000))]
    pub linger_ms: Option<u32>,

    /// batch.size: most bytes of a batch before compression [default: 1000000]
    #[arg(long, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub batch_bytes: Option<u32>,

    /// Who must have an event before it counts as acknowledged [default: all]
    #[arg(long, value_enum)]
    pub acks: Option<Acks>,

    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,

    /// Which broker
    #[command(flatten)]
    pub kafka: KafkaSettings,
}

/// The service.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// Port to listen on; 0 takes any free one
    #[arg(long, env = "PORT", default_value_t = 8000)]
    pub port: u16,

    /// Milliseconds between two batches of what is made by itself
    #[arg(long, env = "PRODUCTION_RATE_MS", default_value_t = 100, value_parser = value_parser!(u32).range(RATE_MS))]
    pub production_rate_ms: u32,

    /// Orders of such a batch
    #[arg(long, env = "BATCH_SIZE", default_value_t = 1, value_parser = value_parser!(u32).range(BATCH_SIZE))]
    pub batch_size: u32,

    /// Begin to make orders at the start
    #[arg(long, env = "AUTO_PRODUCE", default_value_t = false, action = clap::ArgAction::Set)]
    pub auto_produce: bool,

    /// How long requests under way may take after SIGTERM
    #[arg(long, env = "DRAIN_TIMEOUT", default_value = "10s", value_parser = span(0, 600))]
    pub drain_timeout: Duration,

    /// Where to listen and how to log
    #[command(flatten)]
    pub http: HttpSettings,

    /// Which broker
    #[command(flatten)]
    pub kafka: KafkaSettings,
}

/// Bounds of `PRODUCTION_RATE_MS` and `rate_ms`.
pub const RATE_MS: std::ops::RangeInclusive<i64> = 1..=60_000;

/// Bounds of `BATCH_SIZE` and `batch_size`.
pub const BATCH_SIZE: std::ops::RangeInclusive<i64> = 1..=1_000;

impl Cli {
    /// Checks the rules between the settings.
    pub fn validate(&self) -> Result<(), WrongSettings> {
        match &self.verb {
            Verb::Burst { load, .. } | Verb::Profile { load, .. } => load.validate(),
            Verb::Continuous { load, .. } => load.validate(),
            Verb::Batch {
                batch_size,
                batches,
                load,
            } => {
                if batch_size * batches > MOST_ORDERS {
                    return Err(WrongSettings(format!(
                        "--batch-size times --batches must be at most {MOST_ORDERS}"
                    )));
                }
                load.validate()
            }
            Verb::Serve(_) => Ok(()),
        }
    }
}

impl Verb {
    /// The load that is asked for; `None` for the service.
    pub fn load(self) -> Result<(Plan, Load), Serve> {
        match self {
            Self::Burst { count, load } => {
                let pause = Duration::ZERO;
                Ok((Plan::Burst { count, pause }, load))
            }
            Self::Batch {
                batch_size: size,
                batches,
                load,
            } => Ok((Plan::Batches { size, batches }, load)),
            Self::Continuous {
                events_per_second: rate,
                duration,
                load,
            } => Ok((Plan::Open(Schedule::steady(rate, duration)), load)),
            Self::Profile {
                profile,
                events_per_second: rate,
                duration,
                load,
            } => Ok((Plan::Open(Schedule::of(profile, rate, duration)), load)),
            Self::Serve(serve) => Err(serve),
        }
    }
}

impl Load {
    /// What is only about Kafka is not taken silently for HTTP: order-service chooses ids, and packs its batches itself.
    fn validate(&self) -> Result<(), WrongSettings> {
        let of_kafka = [
            ("--keys", self.keys.is_some()),
            ("--compression", self.compression.is_some()),
            ("--linger-ms", self.linger_ms.is_some()),
            ("--batch-bytes", self.batch_bytes.is_some()),
            ("--acks", self.acks.is_some()),
        ];
        match of_kafka.into_iter().find(|(_, given)| *given) {
            Some((name, _)) if self.via == Via::Http => {
                Err(WrongSettings(format!("{name} needs --via kafka")))
            }
            _ => Ok(()),
        }
    }

    /// How events are sent.
    pub fn bulk(&self) -> BulkSettings {
        BulkSettings {
            compression: self.compression.unwrap_or(BULK.compression),
            linger_ms: self.linger_ms.unwrap_or(BULK.linger_ms),
            batch_bytes: self.batch_bytes.unwrap_or(BULK.batch_bytes),
            acks: self.acks.unwrap_or(BULK.acks),
        }
    }

    /// What every order asks for.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            customer: self.customer.clone(),
            product: self.product.clone(),
            quantity: self.quantity,
            amount: self.amount,
        }
    }
}

/// How events are sent, unless asked otherwise.
pub const BULK: BulkSettings = BulkSettings {
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
