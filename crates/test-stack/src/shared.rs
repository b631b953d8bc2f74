//! A broker and a database server for all tests.

use crate::backing::Choice;
use crate::own::{OwnStack, exclusive};
use local_runtime::database::Server;
use tokio::sync::OnceCell;

/// `host:port` of a broker that somebody else started for the whole test run.
const KAFKA: &str = "SANDBOX_TEST_KAFKA";
/// `host:port` of the database server of that run.
const POSTGRES: &str = "SANDBOX_TEST_POSTGRES";

/// A broker and a database server that other tests use at the same time: nobody stops or pauses them.
#[derive(Debug)]
pub struct Stack {
    bootstrap: String,
    server: Server,
    /// Held, so that what we started lives as long as this process.
    _own: Option<OwnStack>,
}

/// The stack of this run: the one named by the environment, as `./sandbox test` does, else one of this process' own, started at
/// the first call.
///
/// # Panics
/// When it does not start, or when the environment names only half of it.
pub async fn shared() -> &'static Stack {
    static STACK: OnceCell<Stack> = OnceCell::const_new();
    STACK.get_or_init(start).await
}

#[allow(
    clippy::disallowed_methods,
    reason = "these two are the settings of a test"
)]
async fn start() -> Stack {
    // A setting that means nothing is told also when it would not be needed.
    Choice::made();
    match (std::env::var(KAFKA), std::env::var(POSTGRES)) {
        (Ok(bootstrap), Ok(postgres)) => {
            let address = postgres.parse().unwrap_or_else(|_| {
                panic!("{POSTGRES} must be an address and a port, not {postgres:?}")
            });
            Stack {
                bootstrap,
                server: Server(address),
                _own: None,
            }
        }
        (Err(_), Err(_)) => {
            let own = exclusive().await;
            Stack {
                bootstrap: own.bootstrap(),
                server: own.server(),
                _own: Some(own),
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
    pub fn server(&self) -> Server {
        self.server
    }

    /// A prefix for topics, groups and transactional ids that no other test uses, in this run or an earlier one: at most 64
    /// letters, digits and `-`. It begins with the test's name, so that a broker's log can be read.
    #[must_use]
    pub fn unique_prefix(&self, test: &str) -> String {
        format!("{}-", unique(test, '-'))
    }

    /// A new, empty database; its URL.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn database(&self, test: &str) -> String {
        new_database(self.server, test).await
    }
}

pub(crate) async fn new_database(server: Server, test: &str) -> String {
    let name = unique(test, '_');
    server
        .create_database(&name, &name)
        .await
        .expect("a database for the test");
    server.url(&name, &name)
}

/// At most 50 bytes, in lower case, safe in URLs, SQL and topic names.
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
