//! A stack that Prometheus scrapes, after every kind of event has happened once.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::prometheus::{Prometheus, program};
use crate::rig::{Rig, until};

/// The stack, and its Prometheus.
pub struct Observed {
    rig: Rig,
    pub prometheus: Prometheus,
    /// The lag series that existed before any group had committed.
    pub lag_of_nothing: Vec<Value>,
}

/// Started at the first use; taken down with the test program.
pub static OBSERVED: LazyLock<Observed> = LazyLock::new(|| {
    program("prometheus");
    let rig = Rig::new();
    rig.good(&["up", "--no-build", "--observe", "--gateway"]);
    let prometheus = Prometheus::at(rig.good(&["url", "prometheus"]).trim());
    let mut observed = Observed {
        rig,
        prometheus,
        lag_of_nothing: Vec::new(),
    };
    observed.is_scraped();
    observed.lag_of_nothing = observed.lag();
    observed.busy();
    observed
});

impl Observed {
    /// Waits until every program was scraped, so that later increases of counters are visible.
    fn is_scraped(&self) {
        until("Prometheus scrapes all programs", || {
            self.prometheus.has_data("count(up == 1) == 6")?;
            self.prometheus
                .has_data("count(count by (job) (dead_letters_total)) == 3")?;
            self.prometheus
                .has_data("lag_monitor_last_success_timestamp_seconds")
        });
    }

    /// The present lag series.
    fn lag(&self) -> Vec<Value> {
        let lag = r#"{__name__=~"kafka_consumer_group_lag|kafka_partition_committed_offset"}"#;
        let data = self.prometheus.ask("query", &[("query", lag)]).unwrap();
        data["result"].as_array().unwrap().clone()
    }

    fn at(&self, service: &str, path: &str) -> String {
        format!("{}{path}", self.rig.good(&["url", service]).trim())
    }

    fn status_of(&self, method: &str, url: &str, body: &Value) -> u16 {
        self.prometheus.call(method, url, Some(body)).0
    }

    /// The four orders of the demo, one of them poison; refused requests; load; members that join, leave, are slow and paused.
    fn busy(&self) {
        let shelf = self.at("inventory-service", "/products/prod_123");
        assert_eq!(self.status_of("PUT", &shelf, &json!({"quantity": 9})), 200);
        let ends = [
            (self.rig.order("prod_123", "2", "250.50"), "CONFIRMED"),
            (self.rig.order("prod_123", "10", "250.00"), "CANCELLED"),
            (self.rig.order("prod_123", "1", "1500.00"), "FAILED"),
        ];
        let poison = self.rig.order("prod_ignore", "1", "99.00");
        for (id, status) in &ends {
            self.rig.good(&["wait", "order", id, "--status", status]);
        }
        self.rig
            .good(&["wait", "dlq", "inventory.dlq", "--order", &poison]);
        for (service, path) in [
            ("order-service", "/orders/none"),
            ("payment-service", "/none"),
        ] {
            let (status, _) = self.prometheus.call("GET", &self.at(service, path), None);
            assert!((400..500).contains(&status), "{service}{path}: {status}");
        }

        self.rig.good(&["load", "burst", "--count", "300"]);
        self.rig.good(&[
            "load",
            "continuous",
            "--events-per-second",
            "50",
            "--duration",
            "3s",
            "--via",
            "http",
        ]);
        self.rig
            .good(&["consumer", "slow", "inventory-service", "--time-ms", "20"]);
        self.rig.good(&["scale", "inventory-service=2"]);
        self.rig.good(&["consumer", "pause", "payment-service"]);
        self.rig.good(&["consumer", "resume", "payment-service"]);
        self.rig.good(&["consumer", "clear", "inventory-service"]);

        // The gauges of the autoscaler are present while its report is current.
        let autoscaler = self.at("lag-monitor", "/services/inventory-service/autoscaler");
        let report = json!({"desired": 2, "actual": 2, "reason": "lag", "explanation": "lag 15 / 10 = 1.50 → 2", "valid_seconds": 14_400});
        assert_eq!(self.status_of("PUT", &autoscaler, &report), 200);

        // The load continues during the queries: rates over the last seconds have no value without traffic.
        let generator = |path| self.at("load-generator", path);
        assert_eq!(
            self.status_of("POST", &generator("/config"), &json!({"rate_ms": 20})),
            200
        );
        assert_eq!(
            self.status_of("POST", &generator("/start"), &json!({})),
            200
        );
    }

    /// Places an order over HTTP; load-generator publishes directly to Kafka.
    pub fn order(&self) {
        let order =
            json!({"customerId": "cust_1", "productId": "prod_burst", "quantity": 1, "amount": 10});
        let orders = self.at("order-service", "/orders");
        assert_eq!(self.status_of("POST", &orders, &order), 202);
    }

    /// The metric families that the programs export, with their types.
    pub fn exported(&self) -> BTreeMap<String, String> {
        let data = self
            .prometheus
            .ask("targets", &[("state", "active")])
            .unwrap();
        let targets = data["activeTargets"].as_array().unwrap();
        let pages = targets.iter().map(|target| {
            let url = target["scrapeUrl"].as_str().unwrap();
            self.prometheus.call("GET", url, None).1
        });
        let mut families = BTreeMap::new();
        for page in pages {
            let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
            let types = types.map(|line| line.split_once(' ').unwrap());
            families.extend(types.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
        }
        families
    }
}
