//! Reads the stack once a second while a scenario runs. A value that cannot be read is a gap and not an error: the scenario may be
//! killing that process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use cluster_reader::{ClusterReader, Snapshot};
use futures::future::join_all;
use kafka_admin::member_controls::EffectiveConfig;
use shared_events::Service;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::changes::Setting;
use super::samples::Samples;
use stack::Mode;
use stack::lag_view;
use stack::layout::{Instance, StackLayout};
use stack::ports::MAX_SLOTS;
use stack::shop_client::ShopClient;
use stack::workload::Workload;

/// The interval between two samples.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The time limit of a request. A paused instance never answers.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Samples one stack.
pub struct Sampler<'a> {
    layout: &'a StackLayout,
    mode: Mode,
    shop: ShopClient<'a>,
    reader: ClusterReader,
    begun: Instant,
    /// Whether the environment was read before.
    has_looked: bool,
    samples: Samples,
}

impl<'a> Sampler<'a> {
    /// Sends no request; the clock starts now.
    pub fn new(layout: &'a StackLayout, mode: Mode) -> Result<Self> {
        Ok(Self {
            layout,
            mode,
            shop: ShopClient::new(layout)?,
            reader: lag_view::reader(&layout.kafka()),
            begun: Instant::now(),
            has_looked: false,
            samples: Samples::default(),
        })
    }

    /// When the clock started.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// Takes a sample every second until `stop`. A sample in progress is abandoned then.
    pub async fn run(&mut self, stop: &CancellationToken) {
        let mut turns = interval(POLL_INTERVAL);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let look = async {
                turns.tick().await;
                self.look().await;
            };
            if stop.run_until_cancelled(look).await.is_none() {
                return;
            }
        }
    }

    /// The samples, after taking a last one.
    pub async fn finish(mut self) -> Samples {
        // A new reader: the abandoned request may have left half a response in the connection.
        self.reader = lag_view::reader(&self.layout.kafka());
        self.look().await;
        self.samples
    }

    async fn look(&mut self) {
        let (layout, mode) = (self.layout, self.mode);
        let (cluster, controls, orders) = tokio::join!(
            self.reader.poll(),
            controls_of_all(&self.shop, layout, mode),
            orders(&self.shop),
        );
        let at = self.begun.elapsed().as_secs_f64();
        let cluster = cluster.ok().map(|cluster| self.own(cluster));
        self.samples.add(at, cluster.as_ref(), orders);
        for (whose, name, value) in controls {
            self.samples.changes.see(at, (whose, name), value);
        }
        if mode == Mode::Local {
            self.environment(at);
        }
    }

    /// Without the groups and topics of other stacks: a stack with a prefix shares its broker.
    fn own(&self, mut cluster: Snapshot) -> Snapshot {
        let prefix = self.layout.settings().name_prefix.to_string();
        cluster.groups.retain(|name, _| name.starts_with(&prefix));
        cluster.topics.retain(|name, _| name.starts_with(&prefix));
        cluster
    }

    /// The settings that `restart --set` changed. A removed setting has its default again.
    fn environment(&mut self, at: f64) {
        if !self.layout.home().exists() {
            return;
        }
        let Ok(changed) = self
            .layout
            .host_or_container()
            .changed_settings(self.layout)
        else {
            return;
        };
        let set: BTreeMap<Setting, String> = changed
            .into_iter()
            .map(|one| ((of_environment(one.service), one.name), one.value))
            .collect();
        let changes = &mut self.samples.changes;
        let whose = Workload::ALL.map(|workload| of_environment(workload.name()));
        let known: BTreeSet<Setting> = whose.iter().flat_map(|whose| changes.of(whose)).collect();
        for setting in known.iter().chain(set.keys()) {
            let default = "default".to_owned();
            // A setting that appears had its default before, if the environment was read before.
            if self.has_looked && !known.contains(setting) {
                changes.see(0.0, setting.clone(), default.clone());
            }
            let value = set.get(setting).cloned().unwrap_or(default);
            changes.see(at, setting.clone(), value);
        }
        self.has_looked = true;
    }
}

fn of_environment(service: &str) -> String {
    format!("{service} (environment)")
}

/// One control of an instance, as text.
type Value = fn(&EffectiveConfig) -> String;

/// For each service: the number of instances that answer, and their controls. Equal values are listed once.
async fn controls_of_all(
    shop: &ShopClient<'_>,
    layout: &StackLayout,
    mode: Mode,
) -> Vec<(String, String, String)> {
    let mut controls = Vec::new();
    for service in Service::ALL {
        let instances = instances(layout, mode, service).await;
        let asked = instances.iter().map(async |instance| {
            let answer = timeout(TIMEOUT, shop.controls(instance)).await;
            Some((instance.slot, answer.ok()?.ok()?))
        });
        let members: Vec<(u32, EffectiveConfig)> =
            join_all(asked).await.into_iter().flatten().collect();
        if members.is_empty() {
            continue;
        }
        let name = service.name().to_owned();
        let count = members.len().to_string();
        controls.push((name.clone(), "instances".to_owned(), count));
        let settings: [(&str, Value); 3] = [
            ("processing_time_ms", |config| {
                config.processing_time_ms.to_string()
            }),
            ("batch_max", |config| config.batch_max.to_string()),
            ("paused", |config| config.paused.to_string()),
        ];
        for (setting, value) in settings {
            controls.push((name.clone(), setting.to_owned(), together(&members, value)));
        }
    }
    controls
}

/// `2000`, or `2000 (instance 1), 0 (instances 2, 3)`.
fn together(
    members: &[(u32, EffectiveConfig)],
    value: impl Fn(&EffectiveConfig) -> String,
) -> String {
    let mut by_value: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (slot, config) in members {
        let same = by_value.entry(value(config)).or_default();
        same.push(slot.to_string());
    }
    if let (1, Some((value, _))) = (by_value.len(), by_value.first_key_value()) {
        return value.clone();
    }
    let parts = by_value.iter().map(|(value, slots)| {
        let s = if slots.len() == 1 { "" } else { "s" };
        format!("{value} (instance{s} {})", slots.join(", "))
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// The possible addresses of instances. For containers these are the ports that the Compose file publishes.
async fn instances(layout: &StackLayout, mode: Mode, service: Service) -> Vec<Instance> {
    match mode {
        Mode::Local => layout.instances(service).await.unwrap_or_default(),
        Mode::Docker => {
            let slots = match service {
                Service::Inventory => layout.max_slots(service).min(MAX_SLOTS),
                Service::Order | Service::Payment => 1,
            };
            let at = |slot| {
                let url = layout.url(service, slot).ok()?;
                let workload = Workload::Service(service);
                Some(Instance {
                    workload,
                    slot,
                    url,
                })
            };
            (1..=slots).filter_map(at).collect()
        }
    }
}

/// The number of orders of each status, as order-service counts them.
async fn orders(shop: &ShopClient<'_>) -> Vec<(String, f64)> {
    let asked = timeout(TIMEOUT, shop.metrics(Service::Order)).await;
    let metrics = asked.ok().and_then(Result::ok).unwrap_or_default();
    let of_status = |line: &str| {
        let (status, count) = line.strip_prefix("orders{status=\"")?.split_once("\"} ")?;
        Some((status.to_owned(), count.parse().ok()?))
    };
    metrics.lines().filter_map(of_status).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(processing_time_ms: u32) -> EffectiveConfig {
        EffectiveConfig {
            processing_time_ms,
            batch_max: 500,
            ..EffectiveConfig::default()
        }
    }

    #[test]
    fn equal_controls_are_listed_once_others_with_their_instances() {
        let time = |config: &EffectiveConfig| config.processing_time_ms.to_string();
        let same = [(1, config(2_000)), (2, config(2_000))];
        assert_eq!(together(&same, time), "2000");
        let different = [(1, config(2_000)), (2, config(0)), (3, config(0))];
        assert_eq!(
            together(&different, time),
            "0 (instances 2, 3), 2000 (instance 1)"
        );
    }
}
