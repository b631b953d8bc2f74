//! Reads the state that conditions check: services over HTTP, the cluster without joining a group, the processes of the stack.

use anyhow::Result;
use cluster_reader::ClusterReader;
use futures::future::{join_all, try_join_all};
use kafka_admin::Cluster;
use kafka_admin::dead_letters::dead_letters;
use kafka_admin::records::{Isolation, Query, Start};
use procfs::process::Process;
use shared_events::{Decoded, OrderId, Service, Topic};
use tokio::sync::Mutex;

use crate::conditions::Observation;
use crate::conditions::consuming::ConsumingCondition;
use crate::conditions::controls::{ControlsCondition, Member};
use crate::conditions::dlq::DeadLetterCount;
use crate::conditions::event_counts::{EventCounts, Records};
use crate::conditions::lag::LagCondition;
use crate::conditions::members::MembersCondition;
use crate::conditions::order::OrderCondition;
use crate::conditions::ready::ReadyCondition;
use crate::conditions::settings::{Settings, SettingsCondition};
use crate::conditions::status::StatusCondition;
use crate::conditions::stock::StockCondition;
use stack::lag_view;
use stack::layout::{Instance, StackLayout};
use stack::readiness_probe::ProbeResult;
use stack::shop_client::ShopClient;
use stack::status_rows::broker::owner_rows;
use stack::target::Target;
use stack::workload::Workload;
use stack::{Stack, StartedInstance, process_name, readiness_probe};

/// The topics that events are published to.
pub const EVENT_TOPICS: [Topic; 3] = [Topic::Orders, Topic::Payments, Topic::Inventory];

/// How much older than the time in its order id a record may be: clocks of producers differ.
const CLOCK_SLACK_MS: i64 = 60_000;

/// Reads the state of one stack.
pub struct Probes<'a> {
    layout: &'a StackLayout,
    shop: ShopClient<'a>,
    cluster: Cluster,
    reader: Mutex<ClusterReader>,
    http: reqwest::Client,
}

impl<'a> Probes<'a> {
    /// Sends no request.
    pub fn new(layout: &'a StackLayout) -> Result<Self> {
        Ok(Self {
            layout,
            shop: ShopClient::new(layout)?,
            cluster: Cluster::new(&layout.kafka())?,
            reader: Mutex::new(lag_view::reader(&layout.kafka())),
            http: reqwest::Client::builder().no_proxy().build()?,
        })
    }

    /// See [`OrderCondition`].
    pub async fn order(&self, wanted: &OrderCondition) -> Result<Observation> {
        let order = self.shop.order(wanted.id).await?;
        Ok(wanted.check(order.as_ref()))
    }

    /// See [`StockCondition`].
    pub async fn stock(&self, wanted: &StockCondition) -> Result<Observation> {
        Ok(wanted.check(self.shop.stock(&wanted.product).await?))
    }

    /// See [`EventCounts`].
    pub async fn event_counts(&self, wanted: &EventCounts) -> Result<Observation> {
        let topics = EVENT_TOPICS.map(|topic| self.cluster.prefix().topic(topic));
        let mut counts = Records::default();
        let query = about(wanted.id);
        let read = self.cluster.read_all_and_missing(&topics, &query).await?;
        for record in read.records {
            if let Ok(Decoded::Event(envelope)) = record.decode() {
                counts.count(envelope.event.event_type());
            }
        }
        Ok(read
            .missing
            .iter()
            .fold(wanted.check(&counts), |seen, missing| seen.with(missing)))
    }

    /// See [`LagCondition`].
    pub async fn lag(&self, wanted: &LagCondition) -> Result<Observation> {
        let prefix = self.cluster.prefix();
        let mut reader = self.reader.lock().await;
        if let Some(typed) = &wanted.group {
            reader.remember(&lag_view::prefixed_group(typed, prefix));
        }
        let snapshot = reader.poll().await?;
        let of_shop = |service| {
            let group = lag_view::service_group(&snapshot, prefix, service);
            (prefix.group(service), group)
        };
        let Some(typed) = &wanted.group else {
            return Ok(wanted.check(&Service::ALL.map(of_shop)));
        };
        let of_others = || {
            let group = snapshot.groups.get(typed).cloned();
            group.map(|group| (typed.clone(), group))
        };
        let found = lag_view::service_of_group(typed, prefix)
            .map_or_else(of_others, |one| Some(of_shop(one)));
        match found {
            Some(found) => Ok(wanted.check(&[found])),
            None => Err(lag_view::unknown_group(typed, &snapshot)),
        }
    }

    /// See [`StatusCondition`].
    pub async fn status(&self, wanted: &StatusCondition) -> Result<Observation> {
        let topic = wanted.topic.as_deref();
        let judged = self.shop.group_status(&wanted.group, topic).await?;
        Ok(wanted.check(&judged))
    }

    /// See [`MembersCondition`].
    pub async fn members(&self, wanted: &MembersCondition) -> Result<Observation> {
        let name = self.cluster.prefix().group(wanted.service);
        let snapshot = self.reader.lock().await.poll().await?;
        Ok(wanted.check(&name, &snapshot.group_on_topics(&name, &[])))
    }

    /// See [`ConsumingCondition`].
    pub async fn consuming(&self, wanted: &ConsumingCondition) -> Result<Observation> {
        let instances = self.layout.instances(wanted.service).await?;
        let snapshot = self.reader.lock().await.poll().await?;
        let group = lag_view::service_group(&snapshot, self.cluster.prefix(), wanted.service);
        let owners = owner_rows(&group, wanted.service, &instances);
        let names: Vec<String> = instances
            .iter()
            .map(|one| process_name(one.workload, one.slot))
            .collect();
        Ok(wanted.check(&names, &group, &owners))
    }

    /// See [`ControlsCondition`].
    pub async fn controls(&self, wanted: &ControlsCondition) -> Result<Observation> {
        let running = self.layout.instances(wanted.service).await?;
        let members = running.iter().map(async |instance| -> Result<Member> {
            let stats = self.shop.stats(instance).await?;
            Ok(Member {
                name: process_name(instance.workload, instance.slot),
                config: self.shop.controls(instance).await?,
                applied: stats.applied,
            })
        });
        Ok(wanted.check(&try_join_all(members).await?))
    }

    /// See [`DeadLetterCount`].
    pub async fn dead_letters(&self, wanted: &DeadLetterCount) -> Result<Observation> {
        Ok(wanted.check(&dead_letters(&self.cluster, wanted.topic).await?))
    }

    /// See [`ReadyCondition`].
    pub async fn ready(&self, wanted: &ReadyCondition) -> Result<Observation> {
        let all = Workload::ALL.map(|of| Target { of, slot: None });
        let targets = if wanted.targets.is_empty() {
            &all[..]
        } else {
            &wanted.targets
        };
        let mut questions = Vec::new();
        for target in targets {
            for (name, url) in self.addresses(*target).await? {
                questions.push(async move { (name, self.ask(url).await) });
            }
        }
        Ok(wanted.check(&join_all(questions).await))
    }

    async fn ask(&self, url: Option<String>) -> ProbeResult {
        match url {
            Some(url) => readiness_probe::probe(&self.http, &url).await,
            None => ProbeResult::NoAnswer("does not run".to_owned()),
        }
    }

    /// The addresses of the running instances; for a service without one, the address of the first, which then does not answer.
    async fn addresses(&self, target: Target<Workload>) -> Result<Vec<(String, Option<String>)>> {
        let running = instances(self.layout, target).await?;
        if running.is_empty() {
            let slot = target.slot.unwrap_or(1);
            let side = self.layout.host_or_container();
            let url = side.expected_url(self.layout, target.of, slot)?;
            return Ok(vec![(process_name(target.of, slot), url)]);
        }
        let address = |one: Instance| (process_name(one.workload, one.slot), Some(one.url));
        Ok(running.into_iter().map(address).collect())
    }

    /// See [`SettingsCondition`].
    pub async fn settings(&self, wanted: &SettingsCondition) -> Result<Observation> {
        self.layout
            .host_or_container()
            .require_host("expect settings")?;
        let stack = Stack::open(self.layout)?;
        let changed = stack.saved_settings()?.settings(wanted.service);
        let mut started_with = Vec::new();
        let known = stack.started_instances(wanted.service)?;
        for record in known
            .into_iter()
            .filter(StartedInstance::is_alive)
            .map(|one| one.record)
        {
            started_with.push((record.name, environment(record.process.pid)?));
        }
        Ok(wanted.check(&changed, &started_with))
    }
}

/// The running instances of a target.
pub async fn instances(
    layout: &StackLayout,
    target: Target<impl Into<Workload>>,
) -> Result<Vec<Instance>> {
    let mut running = layout.instances(target.of).await?;
    running.retain(|instance| target.slot.is_none_or(|slot| slot == instance.slot));
    Ok(running)
}

/// The query for the committed records of one order. An order id contains its time (UUIDv7), so older records are not read.
pub fn about(order: OrderId) -> Query {
    let made = order
        .as_uuid()
        .get_timestamp()
        .filter(|_| order.as_uuid().get_version_num() == 7);
    let start = match made.map(|made| made.to_unix()) {
        Some((seconds, _)) => {
            let made_ms = i64::try_from(seconds)
                .unwrap_or(i64::MAX)
                .saturating_mul(1000);
            Start::Time((made_ms - CLOCK_SLACK_MS).max(0))
        }
        None => Start::Beginning,
    };
    Query {
        start,
        isolation: Isolation::ReadCommitted,
        key: Some(order.to_string().into_bytes()),
    }
}

fn environment(pid: i32) -> Result<Settings> {
    let variables = Process::new(pid)?.environ()?;
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    Ok(variables
        .into_iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect())
}
