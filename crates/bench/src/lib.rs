//! Measurements on a real stack, with the load made here. All load goes to this machine, and is bounded in count and in time.
//!
//! What is measured:
//!
//! * **POST→202**: from the moment an order *was due to be sent* until its answer is read. The load is an open loop: orders are
//!   due at a steady rate whether or not earlier ones were answered, so a pause of the shop counts for every order that was due
//!   in it (no coordinated omission).
//! * **POST→CONFIRMED**: from the same moment until a customer can read `CONFIRMED` at `GET /orders/{id}`, which is the only end
//!   that a customer knows: order-service has stored the fact. Asking for every order all the time would be a load of its own,
//!   so a [tail](kafka_admin::tail_new) of the topic `inventory`, which joins no group, tells when the last event of an
//!   order can be read; from then on the order is asked for, one question after the other, until the answer says `CONFIRMED`. So
//!   the figure includes the last hop, and one question (well below a millisecond) of the measurement itself.
//! * **accepted/s** and **finished/s**: a bounded number of orders sent over many connections, each as soon as the one before is
//!   answered. Accepted: until the last 202. Finished: until every order has ended, which is so when the last order of each
//!   partition of `inventory` is `CONFIRMED`, since order-service takes a partition in order. Afterwards, with the clock
//!   stopped, all orders are listed, and a single one that is not `CONFIRMED` makes the measurement an error.
//! * **processor time**: user and system time from `/proc`, of each process with its descendants and of this program, over the
//!   whole of such a run, divided by its orders. Nothing is subtracted.
//! * **drained/s**: what inventory-service takes of payments that wait for it; see [`drain`].
//! * **burst, and rates**: what load-generator gets into Kafka; see [`load`].
//! * **recovery**: from `kill -9` until an order placed after it has passed the service that was killed and restarted.
//!
//! Read in this order: [`http_client`] (the HTTP client), [`saga_completion`] (when a saga ends), [`latency`], [`throughput`], [`recovery`],
//! [`drain`], [`load`], [`warmup`], [`usage`] (processor and memory), [`figures`] (min, median and max of all runs; the file and the
//! table), [`temporary_setting`] and [`isolated_instances`] (settings changed, instances started and ended, and put back).

pub mod drain;
pub mod figures;
pub mod http_client;
pub mod isolated_instances;
pub mod latency;
pub mod load;
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

use http_client::Customers;
use saga_completion::Ends;
use stack::layout::StackLayout;
use stack::{Stack, process_name, readiness_probe};

/// Most orders of one measurement.
pub const MOST_ORDERS: u64 = 100_000;

/// The shop under test, as its customers see it, and the end of its sagas.
#[derive(Debug, Clone)]
pub struct Scene {
    /// They order.
    pub customers: Arc<Customers>,
    /// They learn how it ended.
    pub ends: Arc<Ends>,
}

impl Scene {
    /// The running shop of this stack. Refuses one that is not whole, and one that is not on this machine.
    pub async fn open(layout: &StackLayout) -> Result<Self> {
        require_ready(layout).await?;
        let urls = layout.instances(Service::Order).await?.into_iter();
        let customers = Customers::new(urls.map(|instance| instance.url))?;
        let cluster = Cluster::new(&layout.kafka())?;
        let topic = cluster.prefix().topic(Topic::Inventory);
        Ok(Self {
            customers: Arc::new(customers),
            ends: Arc::new(Ends::of(cluster.tail_new(&topic).await?)?),
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
            let answer = readiness_probe::probe(&http, &instance.url).await;
            if answer != readiness_probe::ProbeResult::Ready {
                bail!("{name} is {answer}: measure a shop that is whole (./sandbox up)");
            }
        }
    }
    Ok(())
}

/// How the services settle their batches, as they were started: one word, or one for each if they differ.
pub fn delivery(layout: &StackLayout) -> Result<String> {
    let saved = Stack::open(layout)?.saved_settings()?;
    let mut modes: Vec<String> = Service::ALL
        .into_iter()
        .map(|service| saved.settings(service).remove("DELIVERY"))
        .map(|mode| mode.unwrap_or_else(|| temporary_setting::DEFAULT_DELIVERY.to_owned()))
        .collect();
    modes.dedup();
    Ok(modes.join(" / "))
}

/// The middle one of what was measured; the upper one of two.
pub fn median(values: &[f64]) -> Result<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.get(sorted.len() / 2).copied();
    middle.context("nothing was measured")
}
