//! `sandbox psql`: opens a database of the stack with psql.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use local_runtime::database::CONNECTION;
use local_runtime::environment;
use stack::layout::Database;
use stack::layout::StackLayout;

/// The database, and the arguments of psql.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox psql orders_db\n  ./sandbox psql inventory_db -c 'SELECT * FROM products'"
)]
pub struct Psql {
    /// orders_db or inventory_db
    #[arg(value_name = "DB", value_parser = database)]
    database: Database,

    /// More arguments of psql
    #[arg(
        value_name = "ARGUMENT",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    arguments: Vec<OsString>,
}

fn database(name: &str) -> Result<Database, String> {
    let found = Database::ALL
        .into_iter()
        .find(|database| database.name == name);
    found.ok_or_else(|| {
        format!(
            "must be {}",
            Database::ALL.map(|database| database.name).join(" or ")
        )
    })
}

/// Replaces this process with psql, so that exit code, output and Ctrl-C are those of psql. Variables and files of the caller
/// that configure psql are not read: they would be about another server.
pub async fn run(args: Psql, layout: &StackLayout) -> Result<()> {
    let mut command = Command::new("psql");
    let error = environment::replace_interactive(&mut command)
        .envs(CONNECTION)
        .arg("--no-psqlrc")
        .arg(layout.connection_url(args.database))
        .args(args.arguments)
        .exec();
    Err(error).context("cannot run psql: install the PostgreSQL client (Debian: apt-get install postgresql-client)")
}
