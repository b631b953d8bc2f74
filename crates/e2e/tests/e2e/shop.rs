//! A shop for one test: the three services as real processes on a real broker and a real database, clients that place orders, and
//! the audit that names violated rules.

pub mod audited;
pub mod clients;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clients::AcceptedRequest;
use futures::future::join_all;
use kafka_admin::Cluster;
use kafka_runtime::KafkaSettings;
use local_runtime::database::DatabaseServer;
use local_runtime::free_ports;
use local_runtime::process::{ProcessState, Processes, Program, StopOutcome};
use local_runtime::state_dir::StateDir;
use shared_events::{Service, Topic};
use test_stack::{DedicatedStack, eventually, shared};

/// The longest that any single step may take on a busy machine. It is not a promise about speed.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// The longest that a service may take to stop: `DRAIN_TIMEOUT`, and a reserve for a busy machine.
const GRACE: Duration = Duration::from_secs(30);

/// An instance of a service, by slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance(pub Service, pub u32);

pub const ORDER: Instance = Instance(Service::Order, 1);
pub const PAYMENT: Instance = Instance(Service::Payment, 1);
pub const INVENTORY: Instance = Instance(Service::Inventory, 1);
/// One of each.
pub const ONE_EACH: [Instance; 3] = [ORDER, PAYMENT, INVENTORY];
pub const ORDER_2: Instance = Instance(Service::Order, 2);
pub const PAYMENT_2: Instance = Instance(Service::Payment, 2);
pub const INVENTORY_2: Instance = Instance(Service::Inventory, 2);
/// Two of each.
pub const TWO_EACH: [Instance; 6] = [ORDER, ORDER_2, PAYMENT, PAYMENT_2, INVENTORY, INVENTORY_2];

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// A shop that no other test uses. Its processes end when it is dropped, and with the test program.
pub struct Shop {
    pub kafka: KafkaSettings,
    pub cluster: Cluster,
    pub server: DatabaseServer,
    pub orders_db: String,
    pub inventory_db: String,
    pub http: reqwest::Client,
    processes: Processes,
    settings: Vec<(String, String)>,
    known: Mutex<Known>,
}

/// What the test has done so far.
#[derive(Default)]
struct Known {
    ports: BTreeMap<Instance, u16>,
    placed: Vec<AcceptedRequest>,
    refused: usize,
}

impl Shop {
    /// A shop on the stack that tests share, with topics and databases of its own. Nothing runs yet.
    pub async fn open(test: &str) -> Self {
        let stack = shared().await;
        let prefix = stack.unique_prefix(test);
        let shop = Self::new(stack.bootstrap(), stack.server(), &prefix);
        shop.create_topics_and_databases().await;
        shop
    }

    /// A shop on a stack that the test may break. Neither topics nor databases are there yet.
    pub fn on(own: &DedicatedStack) -> Self {
        Self::new(&own.bootstrap(), own.server(), "")
    }

    fn new(bootstrap: &str, server: DatabaseServer, prefix: &str) -> Self {
        let kafka = KafkaSettings {
            bootstrap_servers: bootstrap.to_owned(),
            name_prefix: prefix.parse().unwrap(),
            slot: None,
        };
        let folder = tempfile::Builder::new()
            .prefix("saga-sandbox-shop-")
            .tempdir();
        let home = StateDir::at(&folder.unwrap().keep()).unwrap();
        let database = |name: &str| format!("{}{name}", prefix.replace('-', "_"));
        let http = reqwest::Client::builder().no_proxy().timeout(DEADLINE);
        Self {
            cluster: Cluster::new(&kafka).unwrap(),
            kafka,
            server,
            orders_db: database("orders"),
            inventory_db: database("stock"),
            http: http.build().unwrap(),
            processes: Processes::kill_on_drop(&home),
            settings: Vec::new(),
            known: Mutex::default(),
        }
    }

    /// The same with a setting for every service.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Creates topics and databases.
    pub async fn create_topics_and_databases(&self) {
        self.cluster.create_topics(&Topic::ALL, None).await.unwrap();
        for database in [&self.orders_db, &self.inventory_db] {
            self.server
                .create_database(database, database)
                .await
                .unwrap();
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts these instances and waits until all are ready.
    pub async fn run(&self, instances: &[Instance]) {
        join_all(instances.iter().map(|who| self.start(*who, &[]))).await;
        self.ready(instances).await;
    }

    /// Starts an instance. A restart keeps its port and its slot.
    pub async fn start(&self, who: Instance, settings: &[(&str, &str)]) {
        let port = *self
            .known()
            .ports
            .entry(who)
            .or_insert_with(|| free_ports::free::<1>().unwrap()[0]);
        let database = match who.0 {
            Service::Order => &self.orders_db,
            Service::Payment | Service::Inventory => &self.inventory_db,
        };
        // pg_stat_activity then shows which session belongs to which instance.
        let url = format!(
            "{}?application_name={who}",
            self.server.url(database, database)
        );
        let mut program = Program::new(who.to_string(), binaries().join(who.0.name()));
        let own = [
            ("PORT", port.to_string()),
            (
                "KAFKA_BOOTSTRAP_SERVERS",
                self.kafka.bootstrap_servers.clone(),
            ),
            ("NAME_PREFIX", self.kafka.name_prefix.to_string()),
            ("SLOT", who.1.to_string()),
            ("DATABASE_URL", url),
            ("RUST_LOG", "info".to_owned()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let given = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let all = own
            .into_iter()
            .chain(self.settings.iter().cloned())
            .chain(given);
        program.environment = all.map(|(name, value)| (name, value.into())).collect();
        self.processes.start(&program).await.unwrap();
    }

    pub fn url(&self, who: Instance) -> String {
        format!("http://127.0.0.1:{}", self.known().ports[&who])
    }

    /// Waits until all these instances are ready.
    pub async fn ready(&self, instances: &[Instance]) {
        for who in instances {
            let url = format!("{}/health/ready", self.url(*who));
            eventually(DEADLINE, &format!("{who} is ready"), async || {
                let answer = self.http.get(&url).send().await;
                let answer = answer.map_err(|error| error.to_string())?;
                match (answer.status().as_u16(), answer.text().await) {
                    (200, _) => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            })
            .await;
        }
    }

    /// The value of one series of an instance's metrics.
    pub async fn metric(&self, who: Instance, name: &str) -> Option<f64> {
        let answer = self.http.get(format!("{}/metrics", self.url(who))).send();
        let text = answer.await.ok()?.text().await.ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line?.parse().ok()
    }

    /// Waits until an instance has died by SIGKILL. Only a crash point sends it here.
    pub async fn crashed(&self, who: Instance) {
        let name = who.to_string();
        eventually(DEADLINE, &format!("{name} crashes"), async || {
            let record = self.processes.record(&name).unwrap().unwrap();
            match self.processes.state(&record).unwrap() {
                // The supervisor still runs for a moment after the exit code is on disk.
                ProcessState::Ended(Some(137)) if !record.supervisor.is_alive() => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// `kill -9`
    pub async fn kill(&self, who: Instance) {
        assert!(
            self.processes.kill(&who.to_string()).await.unwrap(),
            "{who} runs"
        );
    }

    /// Sends SIGTERM. The instance must stop in time with exit code 0.
    pub async fn terminate(&self, who: Instance) {
        let name = who.to_string();
        let stopped = self.processes.stop(&name, GRACE).await.unwrap();
        assert_eq!(stopped, StopOutcome::InTime, "{who}");
        let record = self.processes.record(&name).unwrap().unwrap();
        assert_eq!(
            self.processes.state(&record).unwrap(),
            ProcessState::Ended(Some(0)),
            "{who}"
        );
    }

    /// `SIGSTOP`
    pub fn freeze(&self, who: Instance) {
        assert!(
            self.processes.pause(&who.to_string()).unwrap(),
            "{who} runs"
        );
    }

    /// `SIGCONT`
    pub fn thaw(&self, who: Instance) {
        assert!(
            self.processes.resume(&who.to_string()).unwrap(),
            "{who} runs"
        );
    }
}

impl Drop for Shop {
    /// A failed test prints the last log lines of the services: the log files are deleted with the shop.
    #[allow(
        clippy::print_stdout,
        reason = "the test's output, which cargo shows on failure"
    )]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for record in self.processes.records().unwrap_or_default() {
            let log = std::fs::read_to_string(&record.log).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let last = lines.len().saturating_sub(25);
            println!("--- {}\n{}", record.name, lines[last..].join("\n"));
        }
    }
}

/// The folder in which cargo puts the services: the parent of the folder of this test program.
fn binaries() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().to_owned()
}
