//! What lag-monitor says about the groups. It has read the cluster for a while and has asked the members, so it knows rates and
//! causes, which one reading cannot show.

use cluster_reader::group_health::Rates;

use super::lag_rows::{GroupLagView, time_to_drain};
use crate::shop_client::monitored_groups::{MonitorReading, MonitoredGroup};

impl MonitorReading {
    /// Sets the health of each group on all its topics. Returns the groups that lag-monitor does not have.
    pub fn set_health(&self, views: &mut [GroupLagView]) -> Vec<String> {
        let mut unknown = Vec::new();
        for view in views {
            match self.find(view) {
                Some(found) => view.set_health(found.health.clone()),
                None => unknown.push(view.group.clone()),
            }
        }
        unknown
    }

    /// Sets the rates of each partition, and their sums.
    pub fn set_rates(&self, views: &mut [GroupLagView]) {
        for view in views {
            let Some(found) = self.find(view) else {
                continue;
            };
            for one in &mut view.partitions {
                let topic = found.partition_rates.get(&one.topic);
                let rates = topic.and_then(|topic| topic.get(&one.partition)).copied();
                one.rates = rates.map(Rates::from);
                one.time_to_drain_seconds = time_to_drain(one.count(), one.rates);
            }
            view.sum_rates();
        }
    }

    fn find(&self, view: &GroupLagView) -> Option<&MonitoredGroup> {
        self.groups.iter().find(|one| one.group_id == view.group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag_view::lag_rows::PartitionLagView;
    use crate::lag_view::test_views::{partition, view};

    fn reading(rates: &str) -> MonitorReading {
        let body = format!(
            r#"{{"timestamp":"2026-11-28T03:58:28.123Z","count":1,"groups":[{{"group_id":"g","state":"Stable",
            "status":"warning","rule":"slow_member","evidence":"a member is slow","partition_rates":{rates}}}]}}"#
        );
        serde_json::from_str(&body).unwrap()
    }

    const BOTH: &str = r#"{"payments":{"0":{"rate_of_change":-2.0,"consumed_per_second":5.0,"produced_per_second":3.0},
        "1":{"rate_of_change":1.0,"consumed_per_second":0.0,"produced_per_second":1.0}}}"#;

    #[test]
    fn rates_and_health_are_those_of_the_monitor() {
        let second = PartitionLagView {
            partition: 1,
            ..partition()
        };
        let mut views = [view()];
        views[0].partitions.push(second);
        let monitor = reading(BOTH);
        assert!(monitor.set_health(&mut views).is_empty());
        monitor.set_rates(&mut views);
        let [view] = &views;
        assert_eq!(
            (
                view.status.as_str(),
                view.rule.as_str(),
                view.evidence.as_str()
            ),
            ("warning", "slow_member", "a member is slow")
        );
        let rates = view.rates.unwrap();
        assert_eq!(
            (rates.lag, rates.consumed, rates.produced),
            (-1.0, 5.0, 4.0)
        );
        let drained: Vec<_> = view
            .partitions
            .iter()
            .map(|one| one.time_to_drain_seconds)
            .collect();
        assert_eq!(drained, [Some(1.5), None]);
        assert_eq!(view.time_to_drain_seconds, Some(6.0));
    }

    #[test]
    fn a_partition_without_rates_leaves_the_group_without_rates() {
        let mut views = [view()];
        reading("{}").set_rates(&mut views);
        assert_eq!(
            (views[0].rates, views[0].time_to_drain_seconds),
            (None, None)
        );
        let mut other = [view()];
        other[0].group = "other".to_owned();
        assert_eq!(reading(BOTH).set_health(&mut other), ["other"]);
        assert_eq!(other[0].rule, "keeps_up");
    }
}
