//! A broker and a database server that all tests share.

use crate::backend::StackMode;
use crate::dedicated::{DedicatedStack, dedicated};
use local_runtime::database::DatabaseServer;
use tokio::sync::OnceCell;

/// The variable with `host:port` of a broker that `./sandbox test` started for the whole test run.
const KAFKA: &str = "SANDBOX_TEST_KAFKA";
/// The variable with `host:port` of the database server of that run.
const POSTGRES: &str = "SANDBOX_TEST_POSTGRES";

/// A broker and a database server that other tests use at the same time. No test may stop or pause
/// them.
#[derive(Debug)]
pub struct Stack {
    bootstrap: String,
    server: DatabaseServer,
    /// Keeps the servers of this process running until the process ends.
    _started: Option<DedicatedStack>,
}

/// The stack that the environment names, as set by `./sandbox test`. Without it, a stack of this
/// process, started by the first call.
///
/// # Panics
/// When the stack does not start, or when the environment names only one of the two servers.
pub async fn shared() -> &'static Stack {
    static STACK: OnceCell<Stack> = OnceCell::const_new();
    STACK.get_or_init(start).await
}

#[allow(
    clippy::disallowed_methods,
    reason = "these two are the settings of a test"
)]
async fn start() -> Stack {
    // An invalid mode is an error also when no server is started here.
    StackMode::from_environment();
    match (std::env::var(KAFKA), std::env::var(POSTGRES)) {
        (Ok(bootstrap), Ok(postgres)) => {
            let address = postgres.parse().unwrap_or_else(|_| {
                panic!("{POSTGRES} must be an address and a port, not {postgres:?}")
            });
            Stack {
                bootstrap,
                server: DatabaseServer(address),
                _started: None,
            }
        }
        (Err(_), Err(_)) => {
            let started = dedicated().await;
            Stack {
                bootstrap: started.bootstrap(),
                server: started.server(),
                _started: Some(started),
            }
        }
        _ => panic!("set both {KAFKA} and {POSTGRES}, or neither"),
    }
}

impl Stack {
    /// `host:port` of the broker.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The database server.
    #[must_use]
    pub fn server(&self) -> DatabaseServer {
        self.server
    }

    /// A prefix for topics, groups and transactional ids that no other test uses, in this run or an
    /// earlier one: at most 64 letters, digits and `-`. It starts with the test's name, which makes
    /// the broker's log readable.
    #[must_use]
    pub fn unique_prefix(&self, test: &str) -> String {
        format!("{}-", unique(test, '-'))
    }

    /// Creates an empty database and returns its URL.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn database(&self, test: &str) -> String {
        new_database(self.server, test).await
    }
}

pub(crate) async fn new_database(server: DatabaseServer, test: &str) -> String {
    let name = unique(test, '_');
    server
        .create_database(&name, &name)
        .await
        .expect("a database for the test");
    server.url(&name, &name)
}

/// The test's name and a random number: at most 50 bytes in lower case, safe in URLs, SQL and topic
/// names.
fn unique(test: &str, separator: char) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            separator
        }
    };
    let name: String = test.chars().map(plain).take(33).collect();
    format!("{name}{separator}{:016x}", fastrand::u64(..))
}
