//! A PostgreSQL server as its clients see it, however it was started: URLs, databases, SQL.

use crate::environment;
use crate::process::resolve;
use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

/// The superuser and its password. Both are public: only this machine can connect, and the data is
/// test data.
pub const SUPERUSER: &str = "postgres";

/// The variables that `psql` gets for a connection to this server. Without them it would ask for
/// encryption, which the server does not have, and look for certificates in the home folder.
pub const CONNECTION: [(&str, &str); 2] = [("PGSSLMODE", "disable"), ("PGGSSENCMODE", "disable")];

/// A server at an address. Its superuser is `postgres` with the password `postgres`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseServer(pub SocketAddr);

impl DatabaseServer {
    /// The URL of a database for a role whose password is its name, as
    /// [`DatabaseServer::create_database`] creates it.
    #[must_use]
    pub fn url(self, role: &str, database: &str) -> String {
        format!("postgres://{role}:{role}@{}/{database}", self.0)
    }

    /// The URL of a database for the superuser.
    #[must_use]
    pub fn admin_url(self, database: &str) -> String {
        self.url(SUPERUSER, database)
    }

    /// True when the server accepts connections now.
    pub async fn answers(self) -> bool {
        matches!(
            timeout(Duration::from_secs(1), self.accepts_sessions()).await,
            Ok(Ok(true))
        )
    }

    /// Sends a startup message: the server answers with a request for a password (`R`), or with an
    /// error (`E`) while it starts or stops. The session is not completed.
    async fn accepts_sessions(self) -> std::io::Result<bool> {
        let names = format!("user\0{SUPERUSER}\0database\0postgres\0\0");
        let length = u32::try_from(names.len() + 8).unwrap_or(u32::MAX);
        let mut request = length.to_be_bytes().to_vec();
        request.extend([0, 3, 0, 0]); // protocol 3.0
        request.extend(names.as_bytes());
        let mut stream = TcpStream::connect(self.0).await?;
        stream.write_all(&request).await?;
        Ok(stream.read_u8().await? == b'R')
    }

    /// Creates a role whose password is its name, and a database it owns. Existing ones stay
    /// unchanged.
    ///
    /// # Errors
    /// When `psql` is missing or the server refuses.
    pub async fn create_database(self, role: &str, database: &str) -> Result<()> {
        let (role, database) = (quoted(role), quoted(database));
        let script = format!(
            "SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', {role}, {role})
                WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {role}) \\gexec
             SELECT format('CREATE DATABASE %I OWNER %I', {database}, {role})
                WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = {database}) \\gexec\n"
        );
        self.sql("postgres", &script).await.map(drop)
    }

    /// Drops a database and ends its clients' connections. A missing database is no error.
    ///
    /// # Errors
    /// As [`DatabaseServer::create_database`].
    pub async fn drop_database(self, database: &str) -> Result<()> {
        let database = quoted(database);
        let script = format!(
            "SELECT format('DROP DATABASE IF EXISTS %I WITH (FORCE)', {database}) \\gexec\n"
        );
        self.sql("postgres", &script).await.map(drop)
    }

    /// Runs a script as the superuser with `psql` and returns its output: rows only, unaligned.
    ///
    /// # Errors
    /// When `psql` is missing, the server cannot be reached, or a statement fails (the message is
    /// the server's).
    pub async fn sql(self, database: &str, script: &str) -> Result<String> {
        let program = resolve(Path::new("psql")).context("the PostgreSQL client is missing")?;
        let mut command = Command::new(program);
        environment::replace(command.as_std_mut()).envs(CONNECTION);
        command.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
            "--file=-",
        ]);
        command
            .arg(self.admin_url(database))
            .env("PGOPTIONS", "--client-min-messages=warning");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().context("cannot run psql")?;
        if let Some(mut input) = child.stdin.take() {
            // Fails when psql could not connect and has ended: then psql's own message says more.
            let _written = input.write_all(script.as_bytes()).await;
        }
        let output = child
            .wait_with_output()
            .await
            .context("cannot wait for psql")?;
        if !output.status.success() {
            bail!("psql: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned())
    }
}

/// A string literal of SQL. A backslash needs no escape (`standard_conforming_strings`).
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
