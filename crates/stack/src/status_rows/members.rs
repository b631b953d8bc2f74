//! What the members report about themselves: the controls that they obey, what keeps them from their work, and what they lost.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use kafka_admin::member_controls::{EffectiveConfig, MemberStats, Source};
use serde::Serialize;
use shared_events::Service;

use crate::layout::{Instance, StackLayout};
use crate::process_name;
use crate::shop_client::ShopClient;
use crate::status_rows::ProcessRow;

/// What the running members report about themselves.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MemberRows {
    /// The controls that differ from the defaults.
    pub controls: Vec<ControlRow>,
    /// What keeps members from their work, and what they lost.
    pub conditions: Vec<ConditionRow>,
}

/// One control that was set for a group or for an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlRow {
    /// The service, for a control of its group; `inventory-service.2` for a control of one instance.
    pub of: String,
    /// `group` or `instance`.
    pub source: &'static str,
    /// `processing_time_ms`, `batch_max` or `paused`.
    pub name: &'static str,
    /// The value.
    pub value: String,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
}

/// One thing that keeps a member from its work, or that it lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConditionRow {
    /// `inventory-service.2`
    pub member: String,
    /// The cause in one line.
    pub cause: String,
    /// Since when; of a loss, when it was noticed.
    pub since: DateTime<Utc>,
}

/// Reads `GET /stats` of every instance of a service whose process answered its readiness probe. An instance that does not
/// answer this request has no rows.
pub async fn member_rows(
    layout: &StackLayout,
    instances: &[Instance],
    processes: &[ProcessRow],
) -> anyhow::Result<MemberRows> {
    let shop = ShopClient::new(layout)?;
    let answers = |name: &str| {
        let row = processes.iter().find(|row| row.name == name);
        row.is_some_and(ProcessRow::answers)
    };
    let asked = instances.iter().filter_map(|instance| {
        let service = instance.workload.service()?;
        let name = process_name(instance.workload, instance.slot);
        answers(&name).then_some((service, name, instance))
    });
    let shop = &shop;
    let asked = asked.map(async |(service, name, instance)| {
        let stats = shop.stats(instance).await.ok()?;
        Some((service, name, stats))
    });
    let members: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
    Ok(rows(&members))
}

fn rows(members: &[(Service, String, MemberStats)]) -> MemberRows {
    let mut controls = BTreeSet::new();
    let mut conditions = Vec::new();
    for (service, name, stats) in members {
        controls.extend(control_rows(*service, name, &stats.config));
        conditions.extend(condition_rows(name, stats));
    }
    MemberRows {
        controls: controls.into_iter().collect(),
        conditions,
    }
}

/// A control of the group has the same row for each of its members.
fn control_rows(
    service: Service,
    member: &str,
    config: &EffectiveConfig,
) -> impl Iterator<Item = ControlRow> {
    let EffectiveConfig { sources, since, .. } = config;
    let controls = [
        (
            "processing_time_ms",
            config.processing_time_ms.to_string(),
            sources.processing_time_ms,
            since.processing_time_ms,
        ),
        (
            "batch_max",
            config.batch_max.to_string(),
            sources.batch_max,
            since.batch_max,
        ),
        (
            "paused",
            config.paused.to_string(),
            sources.paused,
            since.paused,
        ),
        (
            "crash_at",
            config.crash_at.to_string(),
            sources.crash_at,
            since.crash_at,
        ),
        (
            "protection_off",
            config.protection_off.to_string(),
            sources.protection_off,
            since.protection_off,
        ),
    ];
    let member = member.to_owned();
    controls
        .into_iter()
        // What `consumer resume` leaves, and faults that were taken back: nothing to know.
        .filter(|(_, value, ..)| !["false", "none"].contains(&value.as_str()))
        .filter_map(move |(name, value, source, since)| {
            let (of, source) = match source {
                Source::Default | Source::Environment => return None,
                Source::Group => (service.name().to_owned(), "group"),
                Source::Instance => (member.clone(), "instance"),
            };
            Some(ControlRow {
                of,
                source,
                name,
                value,
                since,
            })
        })
}

fn condition_rows(member: &str, stats: &MemberStats) -> Vec<ConditionRow> {
    let row = |cause, since| ConditionRow {
        member: member.to_owned(),
        cause,
        since,
    };
    let conditions = stats.conditions.iter();
    let conditions = conditions.map(|one| row(one.cause.clone(), one.since));
    let losses = stats.records_lost.iter().map(|lost| {
        let cause = format!(
            "{}/{}: {} deleted before this member read {} (last: {} to {})",
            lost.topic,
            lost.partition,
            match lost.offsets {
                1 => "1 offset was".to_owned(),
                several => format!("{several} offsets were"),
            },
            if lost.offsets == 1 { "it" } else { "them" },
            lost.first,
            lost.last,
        );
        row(cause, lost.at)
    });
    conditions.chain(losses).collect()
}

#[cfg(test)]
mod tests {
    use kafka_admin::member_controls::{Since, Sources};
    use std::collections::BTreeMap;

    use super::*;

    fn member(slot: u32, sources: Sources, paused: bool) -> (Service, String, MemberStats) {
        let config = EffectiveConfig {
            processing_time_ms: 4_000,
            batch_max: 1,
            paused,
            sources,
            since: Since {
                paused: DateTime::from_timestamp(1_000, 0),
                ..Since::default()
            },
            ..EffectiveConfig::default()
        };
        let stats = MemberStats {
            instance_id: slot.to_string(),
            group_id: "payment-service-group".to_owned(),
            topic: "orders".to_owned(),
            processing_time_ms: 4_000,
            running: true,
            paused,
            messages_processed: 0,
            last_message_time: None,
            assigned_partitions: Vec::new(),
            assignment: BTreeMap::new(),
            applied: None,
            config,
            conditions: Vec::new(),
            records_lost: Vec::new(),
        };
        (Service::Payment, format!("payment-service.{slot}"), stats)
    }

    #[test]
    fn a_control_of_the_group_is_one_row_and_one_of_an_instance_its_own() {
        let of_group = Sources {
            processing_time_ms: Source::Default,
            batch_max: Source::Environment,
            paused: Source::Group,
            ..Sources::default()
        };
        let of_instance = Sources {
            processing_time_ms: Source::Instance,
            ..of_group
        };
        let members = [
            member(1, of_group, true),
            member(2, of_group, true),
            member(3, of_instance, true),
        ];
        let rows = rows(&members).controls;
        let shown: Vec<_> = rows
            .iter()
            .map(|row| (row.of.as_str(), row.source, row.name, row.value.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("payment-service", "group", "paused", "true"),
                (
                    "payment-service.3",
                    "instance",
                    "processing_time_ms",
                    "4000"
                ),
            ]
        );
        assert_eq!(rows[0].since, DateTime::from_timestamp(1_000, 0));
    }
}
