//! A load from the command line: from its settings to its summary.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use kafka_admin::{BrokerHealth, Cluster, Criticality};
use service_kit::{Readiness, output};
use shared_events::Topic;
use tokio_util::sync::CancellationToken;

use crate::delivery_stats::DeliveryStats;
use crate::event_template::EventGenerator;
use crate::http_target::HttpTarget;
use crate::kafka_target::{KafkaTarget, StopSignal};
use crate::key_distribution::{KeyDistribution, PartitionChooser};
use crate::load_plan::LoadPlan;
use crate::load_summary::{LoadInfo, LoadSummary};
use crate::order_generator::OrderGenerator;
use crate::settings::{LoadSettings, Via};

/// How long the broker may take to answer before a load starts.
const BROKER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the last delivery reports may take: a little longer than the 10 s after which a record
/// has failed.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(12);

/// The same after Ctrl-C, when a person waits for the end.
const DELIVERY_TIMEOUT_INTERRUPTED: Duration = Duration::from_secs(3);

/// Runs a load, prints its summary, and returns the exit code of the process. An interrupted load
/// still waits for its delivery reports and prints its summary. An error means that nothing was
/// sent.
pub async fn run_load(
    plan: LoadPlan,
    settings: LoadSettings,
    interrupted: CancellationToken,
) -> Result<u8> {
    let summary = match settings.via {
        Via::Kafka => to_kafka(plan, &settings, interrupted).await?,
        Via::Http => over_http(plan, &settings, interrupted).await?,
    };
    let text = match settings.json {
        true => serde_json::to_string(&summary)?,
        false => summary.to_string(),
    };
    if let Err(error) = output::print(text) {
        error.report();
        return Ok(error.exit_code());
    }
    Ok(summary.exit_code())
}

async fn to_kafka(
    plan: LoadPlan,
    settings: &LoadSettings,
    interrupted: CancellationToken,
) -> Result<LoadSummary> {
    let (target, partitions) = connect(settings).await?;
    let seed = seed(settings);
    let distribution = settings.keys.unwrap_or(KeyDistribution::Uniform);
    let partitions = PartitionChooser::new(distribution, partitions);
    let orders = OrderGenerator::new(seed, partitions, settings.order_spec())?;
    let mut events = EventGenerator::new(orders)?;
    let stats = Arc::<DeliveryStats>::default();
    let stop = StopSignal {
        token: interrupted.clone(),
        deadline: None,
    };
    let (count, load_stats) = (plan.count(), Arc::clone(&stats));
    let info = info("kafka", target.topic().to_owned(), seed, &plan);
    let work = tokio::task::spawn_blocking(move || {
        // Kept until the last delivery report: after it is dropped, reports are not counted.
        let mut load = target.start_load(&load_stats);
        let sent = load.run(&plan, &mut events, &stop);
        let timeout = match stop.is_set() {
            true => DELIVERY_TIMEOUT_INTERRUPTED,
            false => DELIVERY_TIMEOUT,
        };
        target.finish(timeout);
        sent
    });
    let sent = with_progress(count, &stats, work)
        .await
        .context("the load panicked")??;
    Ok(LoadSummary::new(
        info,
        sent,
        stats.counts(),
        interrupted.is_cancelled(),
    ))
}

/// A producer that is ready to send, and the number of partitions of its topic. Fails with one line
/// if the broker does not answer or the topic does not exist.
async fn connect(settings: &LoadSettings) -> Result<(KafkaTarget, u32)> {
    let address = &settings.kafka.bootstrap_servers;
    let cluster = Cluster::new(&settings.kafka)?;
    cluster.ping(BROKER_TIMEOUT).await?;
    let topic = settings.kafka.name_prefix.topic(Topic::Orders);
    let partitions = u32::try_from(cluster.partitions(&topic).await?).unwrap_or_default();
    if partitions == 0 {
        bail!("there is no topic {topic} at {address}: ./sandbox topics create");
    }
    let health = BrokerHealth::new(
        Readiness::new("load-generator").component("kafka"),
        Criticality::Required,
    );
    let target = KafkaTarget::new(&settings.kafka, &settings.bulk(), health, None)?;
    let ready = tokio::task::spawn_blocking(move || {
        let is_ready = target.wait_until_ready(BROKER_TIMEOUT);
        is_ready.then_some(target)
    });
    let target = ready
        .await
        .context("the producer panicked")?
        .with_context(|| {
            format!("the broker at {address} gives the producer no id within {BROKER_TIMEOUT:?}")
        })?;
    Ok((target, partitions))
}

async fn over_http(
    plan: LoadPlan,
    settings: &LoadSettings,
    interrupted: CancellationToken,
) -> Result<LoadSummary> {
    let target = HttpTarget::connect(&settings.order_url).await?;
    let seed = seed(settings);
    // order-service makes the ids, so a load over HTTP cannot choose partitions.
    let partitions = PartitionChooser::new(KeyDistribution::Uniform, 1);
    let mut orders = OrderGenerator::new(seed, partitions, settings.order_spec())?;
    let info = info("http", settings.order_url.to_string(), seed, &plan);
    let stop = StopSignal {
        token: interrupted.clone(),
        deadline: None,
    };
    let work = target.run(&plan, &mut orders, &stop);
    let sent = with_progress(plan.count(), &target.stats, work).await;
    Ok(LoadSummary::new(
        info,
        sent,
        target.stats.counts(),
        interrupted.is_cancelled(),
    ))
}

fn seed(settings: &LoadSettings) -> u64 {
    settings.seed.unwrap_or_else(rand::random)
}

fn info(via: &'static str, to: String, seed: u64, plan: &LoadPlan) -> LoadInfo {
    LoadInfo {
        via,
        to,
        seed,
        planned: plan.count(),
        started: Instant::now(),
    }
}

/// Waits for the work, and shows its progress if stderr is a terminal.
async fn with_progress<T>(count: u64, stats: &DeliveryStats, work: impl Future<Output = T>) -> T {
    if !stderr().is_terminal() {
        return work.await;
    }
    let bar = ProgressBar::new(count);
    let style = "{wide_bar} {pos}/{len} {per_sec} {msg}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let mut work = std::pin::pin!(work);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = ticks.tick() => {
                let (acknowledged, failed) = stats.progress();
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
