//! Measurements on a running stack. This program makes the load itself, sends it only to this
//! machine, and bounds it in count and in time.
//!
//! What is measured:
//!
//! * **POST→202**: from the moment an order *is due to be sent* until its response is read. The
//!   load is an open loop: orders are due at a steady rate, whether or not earlier ones were
//!   answered. A pause of the shop therefore counts for every order that is due during the pause
//!   (no coordinated omission).
//! * **POST→CONFIRMED**: from the same moment until `GET /orders/{id}` returns `CONFIRMED`, which
//!   is the end of a saga that a customer can see: order-service has stored the fact. Polling every
//!   order all the time would be a load of its own. Therefore a [tail](kafka_admin::tail_new) of
//!   the topic `inventory`, which joins no group, reports when the last event of an order can be
//!   read. After that, the order is polled without a pause until it is `CONFIRMED`. So the figure
//!   includes the last hop and one request of the measurement itself (well below a millisecond).
//! * **accepted/s** and **finished/s**: a bounded number of orders over many connections. Each
//!   connection sends its next order when the one before is answered. Accepted: until the last 202.
//!   Finished: until every saga has ended. That is the case when the last order of each partition
//!   of `inventory` is final, because order-service consumes a partition in order. After the clock
//!   has stopped, all orders are listed. The measurement fails if one of them is not `CONFIRMED`.
//! * **processor time**: user and system time from `/proc`, of each process with its descendants
//!   and of this program, over the whole of such a run, divided by the number of orders. Nothing is
//!   subtracted.
//! * **drained/s**: how fast inventory-service consumes a backlog of payments; see [`drain`].
//! * **burst, and rates**: how fast load-generator produces; see [`load`].
//! * **recovery**: from `kill -9` of a service, which is restarted at once, until an order placed
//!   after the kill has passed the service.
//!
//! Read in this order: [`http_client`] (places and reads orders), [`saga_completion`] (when a saga
//! ends), [`latency`], [`throughput`], [`recovery`], [`drain`] with `payment_backlog`, [`load`],
//! [`warmup`], [`usage`] (processor time and memory), [`measurements`] (min, median and max of all
//! runs; the file and the table), [`temporary_setting`] and [`isolated_instances`] (change settings
//! and instances for a measurement, and restore them).

pub mod drain;
pub mod http_client;
pub mod isolated_instances;
pub mod latency;
pub mod load;
pub mod measurements;
mod payment_backlog;
pub mod recovery;
pub mod saga_completion;
pub mod temporary_setting;
pub mod throughput;
pub mod usage;
pub mod warmup;

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use kafka_admin::Cluster;
use shared_events::{Service, Topic};

use http_client::OrderClient;
use saga_completion::SagaCompletions;
use stack::layout::StackLayout;
use stack::{Stack, process_name, readiness_probe};

/// The highest number of orders of one measurement.
pub const MAX_ORDERS: u64 = 100_000;

/// The shop under test: places orders, and observes the end of their sagas. Clones share the
/// connections and the tail.
#[derive(Debug, Clone)]
pub struct SagaBench {
    pub orders: Arc<OrderClient>,
    pub completions: Arc<SagaCompletions>,
}

impl SagaBench {
    /// Connects to the running shop of this stack.
    ///
    /// # Errors
    /// An instance of a service is not ready, a service has no instance, or order-service does not
    /// listen on the loopback interface.
    pub async fn open(layout: &StackLayout) -> Result<Self> {
        require_ready(layout).await?;
        let urls = layout.instances(Service::Order).await?.into_iter();
        let orders = OrderClient::new(urls.map(|instance| instance.url))?;
        let cluster = Cluster::new(&layout.kafka())?;
        let topic = cluster.prefix().topic(Topic::Inventory);
        let tail = cluster.tail_new(&topic).await?;
        Ok(Self {
            orders: Arc::new(orders),
            completions: Arc::new(SagaCompletions::start(tail)?),
        })
    }
}

async fn require_ready(layout: &StackLayout) -> Result<()> {
    let http = Stack::open(layout)?.http;
    for service in Service::ALL {
        let instances = layout.instances(service).await?;
        if instances.is_empty() {
            bail!("{service} does not run: ./sandbox up");
        }
        for instance in instances {
            let name = process_name(service, instance.slot);
            let result = readiness_probe::probe(&http, &instance.url).await;
            if result != readiness_probe::ProbeResult::Ready {
                bail!(
                    "{name} is {result}: a measurement needs every service to be ready (./sandbox up)"
                );
            }
        }
    }
    Ok(())
}

/// The delivery mode with which the services were started: one word, or one for each service if
/// they differ.
pub fn delivery_modes(layout: &StackLayout) -> Result<String> {
    let saved = Stack::open(layout)?.saved_settings()?;
    let mut modes: Vec<String> = Service::ALL
        .into_iter()
        .map(|service| saved.settings(service).remove(temporary_setting::DELIVERY))
        .map(|mode| mode.unwrap_or_else(|| temporary_setting::DEFAULT_DELIVERY.to_owned()))
        .collect();
    modes.dedup();
    Ok(modes.join(" / "))
}

/// The median; the upper one of the two middle values if their number is even.
///
/// # Errors
/// There is no value.
pub fn median(values: &[f64]) -> Result<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied();
    median.context("nothing was measured")
}
