//! One stack: its folder, its ports and its names. Two stacks run beside each other when these differ.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use local_runtime::database::DatabaseServer;
use local_runtime::download::Sources;
use kafka_runtime::KafkaSettings;
use service_kit::trace::TraceSettings;
use shared_events::{NamePrefix, Service};

use crate::database::Database;
use crate::interrupt::Interrupt;
use crate::terminal::Usage;
use crate::host_or_container::HostOrContainer;
use crate::workload::Workload;

/// Most instances a service can have.
pub const MAX_SLOTS: u32 = 9;

/// Where a stack lives. The defaults are the ones of the README; a second stack overrides all of them.
#[derive(Debug, Clone, clap::Args)]
pub struct StackSettings {
    /// Folder for data, logs and process records [default: .sandbox in the checkout]
    #[arg(long = "home", env = "SANDBOX_HOME", value_name = "DIR")]
    pub home: Option<PathBuf>,

    /// What stands before the names of topics, groups and transactional ids
    #[arg(long, env = "NAME_PREFIX", default_value = "")]
    pub name_prefix: NamePrefix,

    /// Address that services, broker and database listen on
    #[arg(long, env = "BIND_ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub bind_addr: IpAddr,

    /// Port of order-service; instance n ≥ 2 listens 9 + n above it
    #[arg(long, env = "ORDER_PORT", default_value_t = 3000, value_parser = clap::value_parser!(u16).range(1..=65_000))]
    pub order_port: u16,

    /// Port of payment-service; instance n ≥ 2 listens 17 + n above it
    #[arg(long, env = "PAYMENT_PORT", default_value_t = 3002, value_parser = clap::value_parser!(u16).range(1..=65_000))]
    pub payment_port: u16,

    /// Ports of inventory-service, first to last: one an instance
    #[arg(long, env = "INVENTORY_PORTS", default_value = "8001-8009")]
    pub inventory_ports: PortRange,

    /// Port of load-generator
    #[arg(long, env = "LOAD_GENERATOR_PORT", default_value_t = 8000, value_parser = clap::value_parser!(u16).range(1..))]
    pub load_generator_port: u16,

    /// Port of lag-monitor
    #[arg(long, env = "LAG_MONITOR_PORT", default_value_t = 8010, value_parser = clap::value_parser!(u16).range(1..))]
    pub lag_monitor_port: u16,

    /// Port of the broker
    #[arg(long, env = "KAFKA_PORT", default_value_t = 9092, value_parser = clap::value_parser!(u16).range(1..))]
    pub kafka_port: u16,

    /// Port of the database
    #[arg(long, env = "POSTGRES_PORT", default_value_t = 5432, value_parser = clap::value_parser!(u16).range(1..))]
    pub postgres_port: u16,

    /// Port of Prometheus, which `up --observe` starts
    #[arg(long, env = "PROMETHEUS_PORT", default_value_t = 9090, value_parser = clap::value_parser!(u16).range(1..))]
    pub prometheus_port: u16,

    /// Another installation of Kafka: a folder that holds libs/*.jar
    #[arg(long, env = "KAFKA_HOME", value_name = "DIR")]
    pub kafka_home: Option<PathBuf>,

    /// Another installation of PostgreSQL: the folder that holds initdb and postgres
    #[arg(long, env = "PG_BIN", value_name = "DIR")]
    pub pg_bin: Option<PathBuf>,

    /// Where the services' traces go
    #[command(flatten)]
    pub trace: TraceSettings,

    /// This program runs in the network of docker-compose.yml
    #[arg(long, env = "SANDBOX_INSIDE", hide = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub inside: bool,

    /// The broker's address there
    #[arg(
        long,
        env = "KAFKA_BOOTSTRAP_SERVERS",
        hide = true,
        default_value = "kafka:29092"
    )]
    pub bootstrap_servers: String,
}

/// Ports in a row: `8001-8009`, or one: `8001`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl std::str::FromStr for PortRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "must be one port or first-last, as in 8001-8009";
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let first = first.trim().parse().map_err(|_| wrong)?;
        let last = last.trim().parse().map_err(|_| wrong)?;
        if first == 0 || last < first {
            return Err(wrong);
        }
        Ok(Self { first, last })
    }
}

impl std::fmt::Display for PortRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// A stack.
#[derive(Debug, Clone)]
pub struct Sandbox {
    checkout: PathBuf,
    binaries: PathBuf,
    home: PathBuf,
    settings: StackSettings,
    interrupt: Interrupt,
}

/// A running instance of a program of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Which program.
    pub workload: Workload,
    /// Its number, counted from 1.
    pub slot: u32,
    /// Where it answers: `http://127.0.0.1:8001`, without a slash at the end.
    pub url: String,
}

impl Sandbox {
    /// The stack these settings describe. Nothing is started, and no folder made.
    pub fn new(settings: StackSettings) -> Result<Self> {
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        let here = std::env::current_dir().context("cannot tell the working directory")?;
        let checkout = [program.as_path(), here.as_path()]
            .into_iter()
            .flat_map(Path::ancestors)
            .find(|folder| folder.join("crates/local-runtime/pom.xml").is_file())
            .unwrap_or(&here)
            .to_owned();
        let home = match &settings.home {
            Some(home) => here.join(home),
            None => checkout.join(".sandbox"),
        };
        let binaries = program.parent().unwrap_or(&here).to_owned();
        Ok(Self {
            checkout,
            binaries,
            home,
            settings,
            interrupt: Interrupt::default(),
        })
    }

    /// Ctrl-C of this program.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// The root of the repository.
    pub fn checkout(&self) -> &Path {
        &self.checkout
    }

    /// The folder of the stack: `SANDBOX_HOME`. May not exist yet.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where the binary is: beside this one.
    pub fn binary(&self, workload: Workload) -> PathBuf {
        self.binaries.join(workload.name())
    }

    /// The folder of this program and of the others' binaries.
    pub fn binaries(&self) -> &Path {
        &self.binaries
    }

    /// Where the stack lives, as given.
    pub fn settings(&self) -> &StackSettings {
        &self.settings
    }

    /// Where the stack is seen from.
    pub fn vantage(&self) -> HostOrContainer {
        match self.settings.inside {
            true => HostOrContainer::Inside,
            false => HostOrContainer::Host,
        }
    }

    /// The broker, for clients where this program runs. No slot: a tool is no instance of a service.
    pub fn kafka(&self) -> KafkaSettings {
        let published = SocketAddr::new(self.host(), self.settings.kafka_port);
        KafkaSettings {
            bootstrap_servers: match self.vantage() {
                HostOrContainer::Host => published.to_string(),
                HostOrContainer::Inside => self.settings.bootstrap_servers.clone(),
            },
            name_prefix: self.settings.name_prefix.clone(),
            slot: None,
        }
    }

    /// The port of an instance, or why there is none with this slot.
    pub fn port(&self, workload: impl Into<Workload>, slot: u32) -> Result<u16> {
        let workload = workload.into();
        let limit = self.slots(workload);
        if slot == 0 || slot > limit {
            return Err(Usage::error(match limit {
                1 => format!("{workload}.{slot}: there is one {workload}, slot 1"),
                limit => format!("{workload}.{slot}: {workload} has slots 1 to {limit}"),
            }));
        }
        let settings = &self.settings;
        let (first, offset) = match workload {
            Workload::Service(Service::Order) if slot == 1 => (settings.order_port, 0),
            Workload::Service(Service::Order) => (settings.order_port, 9 + slot),
            Workload::Service(Service::Payment) if slot == 1 => (settings.payment_port, 0),
            Workload::Service(Service::Payment) => (settings.payment_port, 17 + slot),
            Workload::Service(Service::Inventory) => (settings.inventory_ports.first, slot - 1),
            Workload::LoadGenerator => (settings.load_generator_port, 0),
            Workload::LagMonitor => (settings.lag_monitor_port, 0),
        };
        u16::try_from(u32::from(first) + offset).with_context(|| {
            format!("{workload}.{slot} has no port: {first} + {offset} is too high")
        })
    }

    /// How many instances there can be. Two tools of one kind would only say the same twice.
    pub fn slots(&self, workload: impl Into<Workload>) -> u32 {
        match workload.into() {
            Workload::Service(Service::Order | Service::Payment) => MAX_SLOTS,
            Workload::Service(Service::Inventory) => {
                let PortRange { first, last } = self.settings.inventory_ports;
                MAX_SLOTS.min(u32::from(last - first) + 1)
            }
            Workload::LoadGenerator | Workload::LagMonitor => 1,
        }
    }

    /// Where an instance answers, whether it runs or not: `http://127.0.0.1:3000`, without a slash at the end.
    pub fn url(&self, workload: impl Into<Workload>, slot: u32) -> Result<String> {
        Ok(self.http_url(self.port(workload, slot)?))
    }

    /// Where what listens on this port answers.
    pub fn http_url(&self, port: u16) -> String {
        format!("http://{}", SocketAddr::new(self.host(), port))
    }

    /// The database of a service, with user and password; `None` for payment-service, which has none.
    pub fn database_url(&self, service: Service) -> Option<String> {
        Database::of(service).map(|database| self.url_of(database))
    }

    /// A database, with user and password.
    pub fn url_of(&self, database: Database) -> String {
        self.server().url(database.role, database.name)
    }

    /// The database server, as its clients see it.
    pub fn server(&self) -> DatabaseServer {
        DatabaseServer(SocketAddr::new(self.host(), self.settings.postgres_port))
    }

    /// The running instances of a program, by slot; see [`HostOrContainer::instances`].
    pub async fn instances(&self, workload: impl Into<Workload>) -> Result<Vec<Instance>> {
        self.vantage().instances(self, workload.into()).await
    }

    /// Where Kafka and PostgreSQL come from. One copy serves every stack of a checkout.
    pub fn sources(&self) -> Sources {
        Sources {
            dist: self.checkout.join(".sandbox/dist"),
            kafka_home: self.settings.kafka_home.clone(),
            pg_bin: self.settings.pg_bin.clone(),
        }
    }

    /// The address at which this host reaches what listens on `BIND_ADDR`.
    fn host(&self) -> IpAddr {
        match self.settings.bind_addr {
            any if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            one => one,
        }
    }
}
