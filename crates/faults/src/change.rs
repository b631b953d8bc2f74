//! What a fault changes at once: offsets, settings of a topic, records. Each change has its inverse
//! here, too.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kafka_admin::Cluster;
use kafka_admin::publish::RawRecord;
use shared_events::{GroupControls, Service, Topic};
use stack::layout::StackLayout;

/// The group under which the offsets of inventory-service are saved before they are reset. The
/// broker keeps them, so a repair finds them in both modes, and after a restart of everything.
pub(crate) const SAVED_OFFSETS: &str = "nightly-export";

/// The transactional id of the transaction that is left open.
pub(crate) const TRANSACTION: &str = "nightly-import";

/// Where inventory-service dies: the decisions of a batch are in its database, and no event is
/// published yet.
const CRASH_POINT: &str = "effect-committed";

/// The records that a bad release publishes. The poison limit is 50 in a row, so the members halt,
/// and after `consumer resume` they reach the end.
const BAD_RECORDS: usize = 70;

/// How long the broker may take to delete the saved offsets.
const DELETED_WITHIN: Duration = Duration::from_secs(10);

/// What changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The offsets of inventory-service are set to the end of `payments`. It must have no members.
    OffsetsToEnd,
    /// `payments` keeps its records for a second.
    ShortRetention,
    /// `payments` loses its records: it is deleted and created.
    TopicRecreated,
    /// Records that no consumer can decode are published to `payments`.
    BadRecords,
    /// The controls of inventory-service name the crash point `effect-committed`.
    CrashAt {
        /// Processes that start later die, too.
        repeat: bool,
    },
    /// A transaction is left open. Causing it is the work of a process in the background.
    OpenTransaction,
}

impl Change {
    /// Makes the change.
    pub async fn apply(self, layout: &StackLayout) -> Result<()> {
        let cluster = Cluster::new(&layout.kafka())?;
        match self {
            Self::OffsetsToEnd => offsets_to_end(&cluster).await,
            Self::ShortRetention => {
                let changed = [("retention.ms", "1000"), ("segment.ms", "1000")];
                set_config(&cluster, &changed).await
            }
            Self::TopicRecreated => recreate(&cluster).await,
            Self::BadRecords => bad_records(&cluster).await,
            Self::CrashAt { repeat } => crash_at(&cluster, repeat).await,
            Self::OpenTransaction => bail!("fault hold leaves the transaction open"),
        }
    }

    /// Undoes the change, as far as Kafka can. A change that was not made is no error.
    pub async fn revert(self, layout: &StackLayout) -> Result<()> {
        let cluster = Cluster::new(&layout.kafka())?;
        match self {
            Self::OffsetsToEnd => offsets_back(&cluster).await,
            Self::ShortRetention => set_config(&cluster, &[]).await,
            // Records cannot be brought back. The topic itself may be missing.
            Self::TopicRecreated => {
                cluster.create_topics(&[Topic::Payments], None).await?;
                Ok(())
            }
            Self::BadRecords => Ok(()),
            Self::CrashAt { .. } => crash_no_more(&cluster).await,
            Self::OpenTransaction => {
                let id = cluster.prefix().name(TRANSACTION);
                Ok(cluster.abort_transaction(&id).await?)
            }
        }
    }
}

async fn offsets_to_end(cluster: &Cluster) -> Result<()> {
    let (group, saved, topic) = names(cluster);
    let committed = cluster
        .committed_offsets(&group, std::slice::from_ref(&topic))
        .await?;
    if committed.is_empty() {
        bail!("{group} has committed no offset yet: ./sandbox order --wait makes one");
    }
    // Saved first: a killed command must not leave a group whose offsets nobody knows.
    cluster.commit_offsets(&saved, &committed).await?;
    let ends = cluster.end_offsets(&topic).await?;
    let ends: BTreeMap<_, _> = ends
        .into_iter()
        .map(|(partition, end)| ((topic.clone(), partition), end))
        .collect();
    Ok(cluster.commit_offsets(&group, &ends).await?)
}

async fn offsets_back(cluster: &Cluster) -> Result<()> {
    let (group, saved, topic) = names(cluster);
    let before = cluster.committed_offsets(&saved, &[topic]).await?;
    if before.is_empty() {
        return Ok(());
    }
    cluster.commit_offsets(&group, &before).await?;
    Ok(cluster.delete_groups(&[saved], DELETED_WITHIN).await?)
}

/// The group, the group of its saved offsets, and its topic.
fn names(cluster: &Cluster) -> (String, String, String) {
    let prefix = cluster.prefix();
    (
        prefix.group(Service::Inventory),
        prefix.name(SAVED_OFFSETS),
        prefix.topic(Topic::Payments),
    )
}

/// Gives `payments` the settings of its definition, with these changes.
async fn set_config(cluster: &Cluster, changes: &[(&str, &str)]) -> Result<()> {
    let defined = Topic::Payments.settings().config.iter().copied();
    let all = defined.chain(changes.iter().copied());
    let config = all
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let name = cluster.prefix().topic(Topic::Payments);
    Ok(cluster.set_topic_config(&name, &config).await?)
}

async fn recreate(cluster: &Cluster) -> Result<()> {
    cluster.delete_topics(&[Topic::Payments]).await?;
    cluster.create_topics(&[Topic::Payments], None).await?;
    Ok(())
}

async fn bad_records(cluster: &Cluster) -> Result<()> {
    let record = |number: usize| RawRecord {
        topic: Topic::Payments,
        partition: Some(0),
        key: Some(format!("order-{number}").into_bytes()),
        headers: Vec::new(),
        value: Some(b"{\"type\":\"PaymentSucceeded\",\"amount\":\"12,50\"}".to_vec()),
    };
    let records: Vec<_> = (0..BAD_RECORDS).map(record).collect();
    let published = cluster.publish(&records).await;
    published
        .map(drop)
        .context("cannot publish the bad records")
}

/// The other controls stay as they are.
async fn crash_at(cluster: &Cluster, repeat: bool) -> Result<()> {
    let newer = GroupControls {
        crash_at: Some(CRASH_POINT.parse()?),
        crash_at_repeat: Some(repeat),
        ..GroupControls::default()
    };
    let controls = cluster.controls(Service::Inventory).await?;
    let controls = controls.unwrap_or_default().merged(newer);
    Ok(cluster.set_controls(Service::Inventory, &controls).await?)
}

async fn crash_no_more(cluster: &Cluster) -> Result<()> {
    let Some(controls) = cluster.controls(Service::Inventory).await? else {
        return Ok(());
    };
    let left = GroupControls {
        crash_at: None,
        crash_at_repeat: None,
        crash_at_since: None,
        ..controls
    };
    match left.is_empty() {
        true => Ok(cluster.clear_controls(Service::Inventory).await?),
        false => Ok(cluster.set_controls(Service::Inventory, &left).await?),
    }
}
