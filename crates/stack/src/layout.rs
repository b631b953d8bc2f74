//! Where one stack is: its folders, ports, names and addresses. Two stacks run beside each other when all of these differ.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kafka_admin::KafkaSettings;
use local_runtime::database::DatabaseServer;
use local_runtime::download::{KAFKA_VERSION, Sources};
use local_runtime::state_dir::require_usable_name;
use service_kit::trace::TraceSettings;
use shared_events::{NamePrefix, Service};

use crate::host_or_container::HostOrContainer;
use crate::interrupt::Interrupt;
use crate::ports::{CONTAINER_BOOTSTRAP_SERVERS, Ports};
use crate::terminal::Usage;
use crate::workload::Workload;

/// The options that say where a stack is. A second stack overrides all of the defaults.
#[derive(Debug, Clone, clap::Args)]
pub struct StackSettings {
    /// Folder for data, logs and process records [default: .sandbox in the checkout]
    #[arg(long = "home", env = "SANDBOX_HOME", value_name = "DIR")]
    pub home: Option<PathBuf>,

    /// Prefix of the names of topics, groups and transactional ids
    #[arg(long, env = "NAME_PREFIX", default_value = "")]
    pub name_prefix: NamePrefix,

    /// Address that services, broker and database listen on
    #[arg(long, env = "BIND_ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub bind_addr: IpAddr,

    /// The ports on this host.
    #[command(flatten)]
    pub ports: Ports,

    /// The version of Kafka
    #[arg(long, env = "KAFKA_VERSION", default_value = KAFKA_VERSION, value_parser = kafka_version)]
    pub kafka_version: String,

    /// Another installation of Kafka: a folder that holds libs/*.jar
    #[arg(long, env = "KAFKA_HOME", value_name = "DIR")]
    pub kafka_home: Option<PathBuf>,

    /// Another installation of PostgreSQL: the folder that holds initdb and postgres
    #[arg(long, env = "PG_BIN", value_name = "DIR")]
    pub pg_bin: Option<PathBuf>,

    /// Where the services export their traces
    #[command(flatten)]
    pub trace: TraceSettings,

    /// This program runs in the network of docker-compose.yml
    #[arg(long, env = "SANDBOX_INSIDE", hide = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub inside: bool,

    /// The broker's address in that network
    #[arg(
        long,
        env = "KAFKA_BOOTSTRAP_SERVERS",
        hide = true,
        default_value = CONTAINER_BOOTSTRAP_SERVERS
    )]
    pub bootstrap_servers: String,
}

/// A database of a service, and the role that owns it. The role's password is its name: the server listens on the host only,
/// and the data is demonstration data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Database {
    /// The name of the database.
    pub name: &'static str,
    /// The role that owns the database.
    pub role: &'static str,
}

impl Database {
    /// All databases of the shop.
    pub const ALL: [Self; 2] = [
        Self {
            name: "orders_db",
            role: "orders",
        },
        Self {
            name: "inventory_db",
            role: "inventory",
        },
    ];

    /// The database of a service; payment-service has none.
    pub const fn of(service: Service) -> Option<Self> {
        let [orders, inventory] = Self::ALL;
        match service {
            Service::Order => Some(orders),
            Service::Payment => None,
            Service::Inventory => Some(inventory),
        }
    }
}

/// An instance of a workload, and where it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The program of the instance.
    pub workload: Workload,
    /// The number of the instance, counted from 1.
    pub slot: u32,
    /// The address of its HTTP interface: `http://127.0.0.1:8001`, without a slash at the end.
    pub url: String,
}

/// Where one stack is: computed once from the settings, and passed to everything that works on the stack.
#[derive(Debug, Clone)]
pub struct StackLayout {
    checkout: PathBuf,
    binaries: PathBuf,
    home: PathBuf,
    settings: StackSettings,
    /// The number of brokers that `up` asks for.
    pub(crate) brokers: Option<u16>,
    interrupt: Interrupt,
}

impl StackLayout {
    /// The stack that these settings describe. Starts nothing and creates no folder.
    pub fn new(settings: StackSettings) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find the path of this program")?;
        let here = std::env::current_dir().context("cannot find the working directory")?;
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
        // Before any command does anything in it.
        require_usable_name(&home)
            .map_err(|error| Usage::error(format_args!("SANDBOX_HOME: {error:#}")))?;
        let binaries = program.parent().unwrap_or(&here).to_owned();
        Ok(Self {
            checkout,
            binaries,
            home,
            settings,
            brokers: None,
            interrupt: Interrupt::default(),
        })
    }

    /// Ctrl-C of this program. All clones of the layout share it.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// The root of the repository.
    pub fn checkout(&self) -> &Path {
        &self.checkout
    }

    /// The folder of the stack, `SANDBOX_HOME`. It may not exist yet.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The binary of this workload, in the folder of this program.
    pub fn binary(&self, workload: Workload) -> PathBuf {
        self.binaries.join(workload.name())
    }

    /// The folder of this program and of all other binaries.
    pub fn binaries(&self) -> &Path {
        &self.binaries
    }

    /// The settings as given.
    pub fn settings(&self) -> &StackSettings {
        &self.settings
    }

    /// Whether this program runs on the host of the stack or in a container beside it.
    pub fn host_or_container(&self) -> HostOrContainer {
        match self.settings.inside {
            true => HostOrContainer::Container,
            false => HostOrContainer::Host,
        }
    }

    /// The client settings of the broker, for clients in this process. There is no slot, since a tool is no instance of a
    /// service.
    pub fn kafka(&self) -> KafkaSettings {
        let published = || {
            let brokers = self.brokers().into_iter();
            let addresses: Vec<_> = brokers.map(|node| self.broker_address(node)).collect();
            addresses.join(",")
        };
        KafkaSettings {
            bootstrap_servers: match self.host_or_container() {
                HostOrContainer::Host => published(),
                HostOrContainer::Container => self.settings.bootstrap_servers.clone(),
            },
            name_prefix: self.settings.name_prefix.clone(),
            slot: None,
        }
    }

    /// The port of an instance; an error that names the valid slots if there is no such slot.
    pub fn port(&self, workload: impl Into<Workload>, slot: u32) -> Result<u16> {
        self.settings.ports.instance_port(workload.into(), slot)
    }

    /// The highest number of instances of this workload.
    pub fn max_slots(&self, workload: impl Into<Workload>) -> u32 {
        self.settings.ports.max_slots(workload.into())
    }

    /// The address of an instance, whether it runs or not: `http://127.0.0.1:3000`, without a slash at the end.
    pub fn url(&self, workload: impl Into<Workload>, slot: u32) -> Result<String> {
        Ok(self.http_url(self.port(workload, slot)?))
    }

    /// The HTTP address of a port of this host.
    pub fn http_url(&self, port: u16) -> String {
        format!("http://{}", SocketAddr::new(self.host(), port))
    }

    /// The connection URL of a service's database, with role and password; `None` for payment-service, which has none.
    pub fn database_url(&self, service: Service) -> Option<String> {
        Database::of(service).map(|database| self.connection_url(database))
    }

    /// The connection URL of a database, with role and password.
    pub fn connection_url(&self, database: Database) -> String {
        self.postgres_server().url(database.role, database.name)
    }

    /// The database server, as its clients address it.
    pub fn postgres_server(&self) -> DatabaseServer {
        DatabaseServer(SocketAddr::new(
            self.host(),
            self.settings.ports.postgres_port,
        ))
    }

    /// The running instances of a workload, by slot; see [`HostOrContainer::instances`].
    pub async fn instances(&self, workload: impl Into<Workload>) -> Result<Vec<Instance>> {
        let workload = workload.into();
        self.host_or_container().instances(self, workload).await
    }

    /// Where Kafka and PostgreSQL are installed from. All stacks of a checkout share one copy.
    pub fn sources(&self) -> Sources {
        Sources {
            dist: self.checkout.join(".sandbox/dist"),
            kafka_version: self.settings.kafka_version.clone(),
            kafka_home: self.settings.kafka_home.clone(),
            pg_bin: self.settings.pg_bin.clone(),
        }
    }

    /// The address at which this host reaches a listener on `BIND_ADDR`.
    pub(crate) fn host(&self) -> IpAddr {
        match self.settings.bind_addr {
            any if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            one => one,
        }
    }
}

/// A version as Kafka's releases have it: `4.0.2`.
fn kafka_version(text: &str) -> Result<String, String> {
    let numbers: Vec<_> = text.split('.').collect();
    let is_number = |part: &&str| {
        (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    match numbers.len() == 3 && numbers.iter().all(is_number) {
        true => Ok(text.to_owned()),
        false => Err(format!("must be a version like {KAFKA_VERSION}")),
    }
}
