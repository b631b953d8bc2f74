//! `sandbox autoscale`: scales a service by the lag of its group. The decision is [`autoscaler::decide`]; `control_loop`
//! reads, prints and scales.

mod control_loop;
mod group_reading;
mod scaling;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use autoscaler::{ScaledObject, Settings};
use service_kit::settings::{duration_between, whole_number};
use shared_events::{NamePrefix, Service};
use stack::interrupt::Interrupted;
use stack::lag_view;
use stack::layout::StackLayout;
use stack::terminal::{Usage, note};

use control_loop::ControlLoop;
use group_reading::WatchedGroup;
use scaling::Scaling;

/// The service, and KEDA's settings.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox autoscale inventory-service\n  ./sandbox autoscale inventory-service --dry-run --lag-threshold 300 --max-replicas 3\n  ./sandbox autoscale --from kubernetes/keda/inventory-scaledobject.yaml\n  ./sandbox autoscale inventory-service --target-drain 30s\n\nRuns until Ctrl-C, which leaves the instances as they are. Prints a line for each decision that differs from the one before:\nreading → formula → limits → window → action, and what KEDA would ask for where that is another number. With --from, fields\nthat the file leaves out have KEDA's defaults, and options of this command replace fields of the file (docs/autoscaling.md)."
)]
pub struct Autoscale {
    /// The service; with --from the name in scaleTargetRef
    #[arg(required_unless_present = "from")]
    service: Option<Service>,

    /// Read the settings from a ScaledObject in YAML; `-` is standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,

    /// Decide and explain, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// The group whose lag is read [default: the group of the service]
    #[arg(long, value_name = "GROUP")]
    consumer_group: Option<String>,

    /// Only the lag on this topic [default: every topic that the group consumes]
    #[arg(long)]
    topic: Option<String>,

    /// The fewest instances [default: 0]
    #[arg(long, value_name = "N", value_parser = whole_number::<u32>(0..=1000))]
    min_replicas: Option<u32>,

    /// The most instances [default: 10]
    #[arg(long, value_name = "N", value_parser = whole_number::<u32>(1..=1000))]
    max_replicas: Option<u32>,

    /// The records that one instance may have waiting: 912 records / 300 = 3.04, so 4 instances [default: 10]
    #[arg(long, value_name = "RECORDS", value_parser = whole_number::<i64>(1..=1_000_000_000_000_i64))]
    lag_threshold: Option<i64>,

    /// The lag that must be exceeded to start the first instance [default: 0]
    #[arg(long, value_name = "RECORDS", value_parser = whole_number::<i64>(0..=1_000_000_000_000_i64))]
    activation_lag_threshold: Option<i64>,

    /// The time between two readings [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = duration_between(1, 3_600))]
    polling_interval: Option<Duration>,

    /// How long a group must be idle before its last instances are stopped [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration_between(0, 86_400))]
    cooldown_period: Option<Duration>,

    /// How long no reading may have asked for more before some instances are stopped [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration_between(0, 86_400))]
    stabilization_window: Option<Duration>,

    /// Allow more instances than partitions
    #[arg(long)]
    allow_idle_consumers: bool,

    /// No more instances than partitions with lag; needs --topic
    #[arg(long)]
    limit_to_partitions_with_lag: bool,

    /// Leave out partitions whose committed offset has not moved since the last reading
    #[arg(long)]
    exclude_persistent_lag: bool,

    /// Count a partition without a committed offset as lag 0 instead of holding
    #[arg(long)]
    scale_to_zero_on_invalid_offset: bool,

    /// Only numbers of instances that divide the number of partitions
    #[arg(long)]
    ensure_even_distribution_of_partitions: bool,

    /// Instead of the lag threshold: as many instances as read the backlog within this time, by measured rates
    #[arg(long, value_name = "TIME", value_parser = duration_between(1, 86_400))]
    target_drain: Option<Duration>,
}

/// What the command line and the file say.
struct Plan {
    service: Service,
    group: WatchedGroup,
    settings: Settings,
    dry_run: bool,
}

/// Decides and scales until Ctrl-C.
pub async fn run(args: Autoscale, layout: &StackLayout) -> Result<()> {
    let prefix = layout.kafka().name_prefix;
    let mut plan = args.plan(&prefix)?;
    let scaling = Scaling::new(layout, plan.service)?;
    plan.settings.most_instances = scaling.most_instances();
    if plan.settings.min_replicas == 0 && scaling.is_static()? {
        return Err(static_and_zero(plan.service));
    }
    announce(&plan, &prefix);
    match ControlLoop::new(plan, scaling, layout)?.run().await {
        Err(error) if error.is::<Interrupted>() => {
            note("ended; the instances stay as they are");
            Ok(())
        }
        other => other,
    }
}

/// A member that is stopped for good keeps its static membership, and its partitions, until its session ends.
fn static_and_zero(service: Service) -> anyhow::Error {
    Usage::error(format_args!(
        "{service} has STATIC_MEMBERSHIP=true, and scaling to 0 stops its members for good: --min-replicas 1, or ./sandbox restart {service} --unset STATIC_MEMBERSHIP"
    ))
}

fn announce(plan: &Plan, prefix: &NamePrefix) {
    let Settings {
        min_replicas,
        max_replicas,
        most_instances,
        polling_interval,
        cooldown_period,
        stabilization_window,
        ..
    } = plan.settings;
    let time = humantime::format_duration;
    let to_zero = match min_replicas {
        0 => format!(", to 0 after {} without work", time(cooldown_period)),
        _ => String::new(),
    };
    note(format_args!(
        "{} by the lag of {}: {min_replicas} to {} instances, read every {}{to_zero}, down after {} without demand",
        plan.service,
        plan.group.group,
        max_replicas.min(most_instances),
        time(polling_interval),
        time(stabilization_window),
    ));
    let own = prefix.group(plan.service);
    if plan.group.group != own {
        note(format_args!(
            "warning: {} is not the group of {}, which is {own}: its instances do not reduce this lag",
            plan.group.group, plan.service
        ));
    }
}

impl Autoscale {
    fn plan(&self, prefix: &NamePrefix) -> Result<Plan> {
        let from = self
            .from
            .as_deref()
            .map(scaling::read_manifest)
            .transpose()?;
        let service = self.service(from.as_ref())?;
        let group = self.consumer_group.as_deref();
        let group = group.or(from.as_ref().map(|one| &*one.consumer_group));
        let group = group.map_or_else(
            || prefix.group(service),
            |group| lag_view::prefixed_group(group, prefix),
        );
        let topic = self
            .topic
            .clone()
            .or(from.as_ref().and_then(|one| one.topic.clone()));
        let settings = self.settings(from.map(|one| one.settings));
        settings.validate(topic.is_some()).map_err(Usage::error)?;
        Ok(Plan {
            service,
            group: WatchedGroup::new(group, topic.as_deref(), prefix),
            settings,
            dry_run: self.dry_run,
        })
    }

    fn service(&self, from: Option<&ScaledObject>) -> Result<Service> {
        let named = from.map(|one| {
            let service = one.target.parse::<Service>();
            service.map_err(|_| {
                Usage::error(format_args!(
                    "scaleTargetRef.name is {}: must be order-service, payment-service or inventory-service",
                    one.target
                ))
            })
        });
        match (self.service, named.transpose()?) {
            (Some(typed), Some(named)) if typed != named => Err(Usage::error(format_args!(
                "the file scales {named}, not {typed}"
            ))),
            (Some(service), _) | (None, Some(service)) => Ok(service),
            (None, None) => Err(Usage::error(
                "which service? as in autoscale inventory-service",
            )),
        }
    }

    /// Those of the file, or the defaults of this command; options replace single ones.
    fn settings(&self, file: Option<Settings>) -> Settings {
        let base = file.unwrap_or(Settings {
            max_replicas: 10,
            polling_interval: Duration::from_secs(5),
            cooldown_period: Duration::from_secs(30),
            stabilization_window: Duration::from_secs(30),
            offset_reset_policy: autoscaler::OffsetResetPolicy::Earliest,
            ..Settings::default()
        });
        Settings {
            min_replicas: self.min_replicas.unwrap_or(base.min_replicas),
            max_replicas: self.max_replicas.unwrap_or(base.max_replicas),
            lag_threshold: self.lag_threshold.unwrap_or(base.lag_threshold),
            activation_lag_threshold: self
                .activation_lag_threshold
                .unwrap_or(base.activation_lag_threshold),
            polling_interval: self.polling_interval.unwrap_or(base.polling_interval),
            cooldown_period: self.cooldown_period.unwrap_or(base.cooldown_period),
            stabilization_window: self
                .stabilization_window
                .unwrap_or(base.stabilization_window),
            allow_idle_consumers: self.allow_idle_consumers || base.allow_idle_consumers,
            limit_to_partitions_with_lag: self.limit_to_partitions_with_lag
                || base.limit_to_partitions_with_lag,
            exclude_persistent_lag: self.exclude_persistent_lag || base.exclude_persistent_lag,
            scale_to_zero_on_invalid_offset: self.scale_to_zero_on_invalid_offset
                || base.scale_to_zero_on_invalid_offset,
            ensure_even_distribution_of_partitions: self.ensure_even_distribution_of_partitions
                || base.ensure_even_distribution_of_partitions,
            target_drain: self.target_drain.or(base.target_drain),
            ..base
        }
    }
}
