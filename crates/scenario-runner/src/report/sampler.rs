//! Looks at the stack once a second while a scenario is played. Whatever cannot be seen is a gap, and no fault: the scenario may
//! just be killing it.

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

/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long an instance may take for an answer. One that is paused never answers.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Looks at one stack.
pub struct Sampler<'a> {
    layout: &'a StackLayout,
    mode: Mode,
    shop: ShopClient<'a>,
    reader: ClusterReader,
    begun: Instant,
    /// Whether the environment was seen before.
    has_looked: bool,
    samples: Samples,
}

impl<'a> Sampler<'a> {
    /// Nothing is asked yet; the time begins now.
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

    /// When the time began.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// Looks every second until `stop`. A look under way is given up then.
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

    /// What was seen, with a last look.
    pub async fn finish(mut self) -> Samples {
        // Anew: the call that was given up may have left half an answer behind.
        self.reader = lag_view::reader(&self.layout.kafka());
        self.look().await;
        self.samples
    }

    async fn look(&mut self) {
        let (layout, mode) = (self.layout, self.mode);
        let (cluster, told, orders) = tokio::join!(
            self.reader.poll(),
            told(&self.shop, layout, mode),
            orders(&self.shop),
        );
        let at = self.begun.elapsed().as_secs_f64();
        let cluster = cluster.ok().map(|cluster| self.own(cluster));
        self.samples.add(at, cluster.as_ref(), orders);
        for (whose, name, value) in told {
            self.samples.changes.see(at, (whose, name), value);
        }
        if mode == Mode::Local {
            self.environment(at);
        }
    }

    /// Without what is of others: a stack with a prefix shares its broker.
    fn own(&self, mut cluster: Snapshot) -> Snapshot {
        let prefix = self.layout.settings().name_prefix.to_string();
        cluster.groups.retain(|name, _| name.starts_with(&prefix));
        cluster.topics.retain(|name, _| name.starts_with(&prefix));
        cluster
    }

    /// What `restart --set` changed. What it takes back is the default again.
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
            // What is set for the first time was not set before, if anybody looked.
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

/// One setting of those that an instance is told, as text.
type Value = fn(&EffectiveConfig) -> String;

/// Of each service: how many instances answer, and what they are told. Where they are told the same, it is said once.
async fn told(
    shop: &ShopClient<'_>,
    layout: &StackLayout,
    mode: Mode,
) -> Vec<(String, String, String)> {
    let mut told = Vec::new();
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
        told.push((name.clone(), "instances".to_owned(), count));
        let settings: [(&str, Value); 3] = [
            ("processing_time_ms", |told| {
                told.processing_time_ms.to_string()
            }),
            ("batch_max", |told| told.batch_max.to_string()),
            ("paused", |told| told.paused.to_string()),
        ];
        for (setting, value) in settings {
            told.push((name.clone(), setting.to_owned(), together(&members, value)));
        }
    }
    told
}

/// `2000`, or `2000 (instance 1), 0 (instances 2, 3)`.
fn together(
    members: &[(u32, EffectiveConfig)],
    value: impl Fn(&EffectiveConfig) -> String,
) -> String {
    let mut by_value: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (slot, told) in members {
        let same = by_value.entry(value(told)).or_default();
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

/// Where instances may answer. Of containers this program knows nothing but the ports that the Compose file publishes.
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

/// How many orders there are of each status, as order-service counts them.
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

    fn told(processing_time_ms: u32) -> EffectiveConfig {
        let sources =
            r#"{"processing_time_ms":"default","batch_max":"default","paused":"default"}"#;
        EffectiveConfig {
            processing_time_ms,
            batch_max: 500,
            paused: false,
            sources: serde_json::from_str(sources).unwrap(),
        }
    }

    #[test]
    fn what_all_instances_are_told_is_said_once_and_else_whose_it_is() {
        let time = |told: &EffectiveConfig| told.processing_time_ms.to_string();
        let same = [(1, told(2_000)), (2, told(2_000))];
        assert_eq!(together(&same, time), "2000");
        let different = [(1, told(2_000)), (2, told(0)), (3, told(0))];
        assert_eq!(
            together(&different, time),
            "0 (instances 2, 3), 2000 (instance 1)"
        );
    }
}
