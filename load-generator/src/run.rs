//! A load asked for on the command line: from its settings to its summary.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use kafka_runtime::Need;
use kafka_runtime::client::Connection;
use kafka_admin::Cluster;
use service_kit::Readiness;
use shared_events::Topic;
use tokio_util::sync::CancellationToken;

use crate::kafka::{Sender, Stop};
use crate::keys::{Keys, Spread};
use crate::orders::Orders;
use crate::plan::Plan;
use crate::settings::{Load, Via};
use crate::shop::Shop;
use crate::summary::{About, Summary};
use crate::tally::Tally;
use crate::template::Events;

/// How long a broker may take to answer before a load begins.
const REACHED_WITHIN: Duration = Duration::from_secs(5);

/// How long the last receipts may take: as long as a record may take until it has failed, and a little more.
const RECEIPTS_WITHIN: Duration = Duration::from_secs(12);

/// The same after Ctrl-C: somebody waits.
const RECEIPTS_AFTER_INTERRUPT: Duration = Duration::from_secs(3);

/// Runs a load, prints its summary, and says with which code the process should end. Ends early, in good order, when it is
/// interrupted. An error means that nothing was sent.
pub async fn run(plan: Plan, load: Load, interrupted: CancellationToken) -> Result<u8> {
    let summary = match load.via {
        Via::Kafka => into_kafka(plan, &load, interrupted).await?,
        Via::Http => over_http(plan, &load, interrupted).await?,
    };
    let text = match load.json {
        true => serde_json::to_string(&summary)?,
        false => summary.to_string(),
    };
    // Nobody may be reading any more: then there is nobody to tell that either.
    let _ = writeln!(stdout(), "{text}");
    Ok(summary.exit_code())
}

async fn into_kafka(plan: Plan, load: &Load, asked: CancellationToken) -> Result<Summary> {
    let cluster = Cluster::new(&load.kafka)?;
    cluster.answers(REACHED_WITHIN).await?;
    let topic = load.kafka.name_prefix.topic(Topic::Orders);
    let partitions = u32::try_from(cluster.partitions(&topic).await?).unwrap_or_default();
    if partitions == 0 {
        bail!(
            "there is no topic {topic} at {}: ./sandbox topics create",
            load.kafka.bootstrap_servers
        );
    }
    drop(cluster);
    let seed = seed(load);
    let keys = Keys::new(load.keys.unwrap_or(Spread::Uniform), partitions);
    let mut events = Events::of(Orders::new(seed, keys, load.wanted())?)?;
    let connection = Connection::new(
        Readiness::new("load-generator").component("kafka"),
        Need::Required,
    );
    let sender = Sender::new(&load.kafka, &load.bulk(), connection, None)?;
    let sender = tokio::task::spawn_blocking(move || {
        let ready = sender.wait_until_ready(REACHED_WITHIN);
        ready.then_some(sender)
    });
    let sender = sender.await.context("the producer broke off")?;
    let sender = sender.with_context(|| {
        let address = &load.kafka.bootstrap_servers;
        format!("the broker at {address} gives the producer no id within {REACHED_WITHIN:?}")
    })?;
    let tally = Arc::<Tally>::default();
    let stop = Stop {
        asked: asked.clone(),
        at: None,
    };
    let (count, told) = (plan.count(), Arc::clone(&tally));
    let about = about("kafka", topic, seed, &plan);
    let work = tokio::task::spawn_blocking(move || {
        // Kept until the last receipt: without its job nobody counts it.
        let mut job = sender.job(&told);
        let sent = job.run(&plan, &mut events, &stop);
        let patience = match stop.is_asked() {
            true => RECEIPTS_AFTER_INTERRUPT,
            false => RECEIPTS_WITHIN,
        };
        sender.finish(patience);
        sent
    });
    let sent = watched(count, &tally, work)
        .await
        .context("the load broke off")??;
    Ok(Summary::new(
        about,
        sent,
        tally.counts(),
        asked.is_cancelled(),
    ))
}

async fn over_http(plan: Plan, load: &Load, asked: CancellationToken) -> Result<Summary> {
    let shop = Shop::open(&load.order_url).await?;
    let seed = seed(load);
    // order-service gives the ids, so that no partition can be chosen.
    let mut orders = Orders::new(seed, Keys::new(Spread::Uniform, 1), load.wanted())?;
    let about = about("http", load.order_url.to_string(), seed, &plan);
    let stop = Stop {
        asked: asked.clone(),
        at: None,
    };
    let work = shop.run(&plan, &mut orders, &stop);
    let sent = watched(plan.count(), &shop.tally, work).await;
    Ok(Summary::new(
        about,
        sent,
        shop.tally.counts(),
        asked.is_cancelled(),
    ))
}

fn seed(load: &Load) -> u64 {
    load.seed.unwrap_or_else(rand::random)
}

fn about(via: &'static str, to: String, seed: u64, plan: &Plan) -> About {
    About {
        via,
        to,
        seed,
        asked: plan.count(),
        begun: Instant::now(),
    }
}

/// Waits for the work, and shows on a terminal how far it is.
async fn watched<T>(count: u64, tally: &Tally, work: impl Future<Output = T>) -> T {
    if !stderr().is_terminal() {
        return work.await;
    }
    let bar = ProgressBar::new(count);
    let style = "{wide_bar} {pos}/{len} {per_sec} {msg}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    let mut every = tokio::time::interval(Duration::from_millis(100));
    let mut work = std::pin::pin!(work);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = every.tick() => {
                let (acknowledged, failed) = tally.so_far();
                bar.set_position(acknowledged);
                if failed > 0 {
                    bar.set_message(format!("{failed} failed"));
                }
            }
        }
    };
    bar.finish_and_clear();
    done
}
