//! Every verb of `sandbox`, one line each; what it does is in `commands/<verb>.rs`.

use std::process::ExitCode;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use service_kit::settings::without_empty_variables;

use crate::commands::{
    bench, consumer, demo, dlq, doctor, down, expect, fetch, kafka, lag, load, logs, order,
    psql, rate, report, reset, reset_data, restart, scale, scenario, signals, status, test, topics, up, url,
    wait,
};
use stack::sandbox::{Sandbox, StackSettings};
use stack::terminal::{self, Usage};

/// A small shop on a real Kafka and a real PostgreSQL, to break on purpose and to repair.
#[derive(Debug, Parser)]
#[command(
    name = "sandbox",
    version,
    disable_help_subcommand = true,
    after_help = "Begin with:  ./sandbox demo\nEvery verb explains itself with an example:  ./sandbox up --help\nBefore the verb:  --local or --docker chooses the way to run, and is remembered;  --no-install installs nothing\nExit codes: 0 done, 1 what was asked for failed, 2 asked wrongly"
)]
pub struct Cli {
    /// Where the stack lives.
    #[command(flatten, next_help_heading = "Another stack beside the first")]
    pub stack: StackSettings,

    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build and start everything, or the services named, and wait until all is ready
    Up(up::Up),
    /// Stop everything: services first, broker and database last
    Down(down::Down),
    /// Show every process, setting, topic and group
    Status(status::Status),
    /// Print the address of a service, for curl
    Url(url::Url),
    /// Bring and build all that `up` needs, so that it works without a network
    Fetch(fetch::Fetch),
    /// Show how far each consumer group is behind, how fast, and what that means
    Lag(lag::Lag),
    /// Show the services' logs in order of time, or one order's journey
    Logs(logs::Logs),
    /// Start or stop instances of a service
    Scale(scale::Scale),
    /// Stop a service and start it again, with other settings if asked
    Restart(restart::Restart),
    /// End a process; it stays dead until `up`
    Kill(signals::Kill),
    /// Freeze a process and all its children
    Pause(signals::Pause),
    /// Let a frozen process go on
    Continue(signals::Continue),
    /// Empty topics, groups and databases, and start what ran
    Reset(reset::Reset),
    /// Empty topics and groups
    #[command(hide = true)]
    ResetData(reset_data::ResetData),
    /// Say what is missing or wrong, and how to repair it
    Doctor(doctor::Doctor),
    /// Place an order, or show one
    Order(order::Order),
    /// Measure how fast a group reads
    Rate(rate::Rate),
    /// Wait for a condition
    Wait(wait::Wait),
    /// Check a fact; fails if it is not so in time
    Expect(expect::Expect),
    /// Run a scenario as its README says
    Scenario(scenario::Scenario),
    /// Run a scenario, and write down what was seen as one HTML file
    Report(report::Report),
    /// List, show and replay dead letters
    Dlq(dlq::Dlq),
    /// Run one of Kafka's own command-line tools on the broker
    Kafka(kafka::Kafka),
    /// Open a database with psql
    Psql(psql::Psql),
    /// Produce orders with load-generator
    Load(load::Load),
    /// Make the consumers of a service slow or fast, pause and resume them
    Consumer(consumer::Consumer),
    /// Look into topics; create, grow and delete them
    Topics(topics::Topics),
    /// Start everything and tell the four stories
    Demo(demo::Demo),
    /// Run the tests on a real broker and database
    Test(test::Test),
    /// Measure throughput, latency, recovery, draining and load
    Bench(bench::Bench),
}

impl Verb {
    /// Its name, if it needs the processes, files or tools of the host; `None` if it only asks broker and services.
    fn of_host(&self) -> Option<&'static str> {
        Some(match self {
            Self::Up(_) => "up",
            Self::Down(_) => "down",
            Self::Url(_) => "url",
            Self::Fetch(_) => "fetch",
            Self::Scale(_) => "scale",
            Self::Restart(_) => "restart",
            Self::Kill(_) => "kill",
            Self::Pause(_) => "pause",
            Self::Continue(_) => "continue",
            Self::Reset(_) => "reset",
            Self::Scenario(_) => "scenario",
            Self::Report(_) => "report",
            Self::Kafka(_) => "kafka",
            Self::Psql(_) => "psql",
            Self::Load(_) => "load",
            Self::Test(_) => "test",
            Self::Bench(_) => "bench",
            Self::Status(_)
            | Self::Lag(_)
            | Self::Logs(_)
            | Self::ResetData(_)
            | Self::Doctor(_)
            | Self::Order(_)
            | Self::Rate(_)
            | Self::Wait(_)
            | Self::Expect(_)
            | Self::Dlq(_)
            | Self::Consumer(_)
            | Self::Topics(_)
            | Self::Demo(_) => return None,
        })
    }
}

/// Reads the command line. What is wrong with it is said in one line; help goes to standard output.
pub fn parse() -> Result<Cli, ExitCode> {
    let command = without_empty_variables(Cli::command());
    let parsed = command
        .try_get_matches()
        .and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            terminal::say(error.render().to_string().trim_end());
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            terminal::note(error.render().to_string().trim_end());
            ExitCode::from(2)
        }
        _ => {
            let wrong = one_line(&error);
            terminal::error(&Usage::error(format_args!("{wrong} (see --help)")));
            ExitCode::from(2)
        }
    })
}

/// clap explains in paragraphs: what is wrong (sometimes with a list, sometimes with a tip), the usage, where help is. The first
/// is enough.
pub fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error:").unwrap_or(&text);
    let lines = text.lines().map(str::trim);
    let wrong =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let wrong: Vec<&str> = wrong.filter(|line| !line.is_empty()).collect();
    wrong.join(" ")
}

/// Does it.
pub async fn run(verb: Verb, sandbox: &Sandbox) -> Result<()> {
    if let Some(name) = verb.of_host() {
        sandbox.vantage().require_host(name)?;
    }
    match verb {
        Verb::Up(args) => up::run(args, sandbox).await,
        Verb::Down(args) => down::run(args, sandbox).await,
        Verb::Status(args) => status::run(args, sandbox).await,
        Verb::Url(args) => url::run(args, sandbox).await,
        Verb::Fetch(args) => fetch::run(args, sandbox).await,
        Verb::Lag(args) => lag::run(args, sandbox).await,
        Verb::Logs(args) => logs::run(args, sandbox).await,
        Verb::Scale(args) => scale::run(args, sandbox).await,
        Verb::Restart(args) => restart::run(args, sandbox).await,
        Verb::Kill(args) => signals::kill(args, sandbox).await,
        Verb::Pause(args) => signals::pause(args, sandbox).await,
        Verb::Continue(args) => signals::resume(args, sandbox).await,
        Verb::Reset(args) => reset::run(args, sandbox).await,
        Verb::ResetData(args) => reset_data::run(args, sandbox).await,
        Verb::Doctor(args) => doctor::run(args, sandbox).await,
        Verb::Order(args) => order::run(args, sandbox).await,
        Verb::Rate(args) => rate::run(args, sandbox).await,
        Verb::Wait(args) => wait::run(args, sandbox).await,
        Verb::Expect(args) => expect::run(args, sandbox).await,
        Verb::Scenario(args) => scenario::run(args, sandbox).await,
        Verb::Report(args) => report::run(args, sandbox).await,
        Verb::Dlq(args) => dlq::run(args, sandbox).await,
        Verb::Kafka(args) => kafka::run(args, sandbox).await,
        Verb::Psql(args) => psql::run(args, sandbox).await,
        Verb::Load(args) => load::run(args, sandbox).await,
        Verb::Consumer(args) => consumer::run(args, sandbox).await,
        Verb::Topics(args) => topics::run(args, sandbox).await,
        Verb::Demo(args) => demo::run(args, sandbox).await,
        Verb::Test(args) => test::run(args, sandbox).await,
        Verb::Bench(args) => bench::run(args, sandbox).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_explains_itself_with_an_example() {
        for verb in Cli::command().get_subcommands_mut() {
            let help = verb.render_long_help().to_string();
            assert!(help.contains("./sandbox"), "{}: {help}", verb.get_name());
        }
    }

    #[test]
    fn what_is_wrong_with_a_command_is_said_in_one_line() {
        let error = Cli::try_parse_from(["sandbox", "url", "shop"]).unwrap_err();
        let line = one_line(&error);
        assert!(
            !line.contains('\n') && line.contains("inventory-service"),
            "{line}"
        );
    }
}
