//! The records that the members of a service receive, by their metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use shared_events::Service;
use stack::layout::StackLayout;
use stack::shop_client::ShopClient;
use tokio::time::timeout;

/// How long a member may take to answer. A frozen one does not answer at all.
const MEMBER_TIMEOUT: Duration = Duration::from_millis(500);

/// The metric of a member: records that it has received, committed or not.
const RECEIVED: &str = r#"kafka_client_received_records_total{client="consumer"} "#;

/// The records that the members have received.
pub(super) struct ReceivedRecords<'a> {
    shop: &'a ShopClient<'a>,
    layout: &'a StackLayout,
    service: Service,
    counters: Counters,
}

impl<'a> ReceivedRecords<'a> {
    /// Counts what is received from now on.
    pub(super) async fn begin(
        shop: &'a ShopClient<'a>,
        layout: &'a StackLayout,
        service: Service,
    ) -> Result<Self> {
        let mut received = Self {
            shop,
            layout,
            service,
            counters: Counters::default(),
        };
        received.look().await?;
        received.counters.total = 0;
        Ok(received)
    }

    pub(super) fn total(&self) -> i64 {
        self.counters.total
    }

    /// Reads the counter of each instance. One that does not answer may be starting or stopping.
    pub(super) async fn look(&mut self) -> Result<()> {
        for instance in self.layout.instances(self.service).await? {
            let metrics = timeout(MEMBER_TIMEOUT, self.shop.instance_metrics(&instance)).await;
            if let Some(counter) = metrics
                .ok()
                .and_then(Result::ok)
                .as_deref()
                .and_then(counter)
            {
                self.counters.add(instance.url, counter);
            }
        }
        Ok(())
    }
}

/// A counter of several processes.
#[derive(Debug, Default)]
struct Counters {
    /// The value of each instance when it was read last, by its address.
    last: BTreeMap<String, i64>,
    total: i64,
}

impl Counters {
    /// A counter that is smaller than before is that of another process, which began at 0.
    fn add(&mut self, instance: String, counter: i64) {
        let before = self.last.insert(instance, counter).unwrap_or(0);
        self.total += match counter >= before {
            true => counter - before,
            false => counter,
        };
    }
}

fn counter(metrics: &str) -> Option<i64> {
    let mut lines = metrics.lines();
    lines
        .find_map(|line| line.strip_prefix(RECEIVED))
        .and_then(|value| value.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_process_counts_from_zero() {
        let mut received = Counters::default();
        for (instance, value) in [("a", 100), ("b", 50), ("a", 120), ("a", 30), ("b", 50)] {
            let line = format!("x 1\n{RECEIVED}{value}\n");
            received.add(instance.to_owned(), counter(&line).unwrap());
        }
        assert_eq!(received.total, 100 + 50 + 20 + 30);
        assert_eq!(counter("kafka_client_received_records_total 3"), None);
    }
}
