//! Every verb of `sandbox`, one line each. Its arguments and its output are in `commands/<verb>.rs`.

use anyhow::Result;
use clap::{Parser, Subcommand};
use stack::layout::{StackLayout, StackSettings};

use crate::commands::{
    audit, autoscale, bench, break_fault, consumer, create_databases, demo, dlq, doctor, down,
    expect, fault, fetch, gateway, kafka, lag, load, logs, mystery, order, orders, psql, rate,
    rebalances, repair, report, reset, reset_data, restart, scale, scenario, signals, status, test,
    topics, transactions, up, url, wait,
};

/// A small shop on a real Kafka and a real PostgreSQL, to break on purpose and to repair
#[derive(Debug, Parser)]
#[command(
    name = "sandbox",
    version,
    after_help = "Begin with:  ./sandbox demo\nThe help of every verb has an example:  ./sandbox up --help\nBefore the verb:  --local or --docker chooses the mode, and is saved;  --no-install installs nothing\nExit codes: 0 success, 1 failure, 2 wrong usage, 141 reader of the output gone"
)]
pub struct Cli {
    #[command(flatten, next_help_heading = "Another stack beside the first")]
    pub stack: StackSettings,

    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build and start everything, or only some services, and wait until all is ready
    Up(up::Up),
    /// Stop everything: services first, broker and database last
    Down(down::Down),
    /// Show every process, setting, topic and group
    Status(status::Status),
    /// Print the address of a service, for curl
    Url(url::Url),
    /// Download and build everything that `up` needs, so that it works without a network
    Fetch(fetch::Fetch),
    /// Show the lag, the rates and the health of each consumer group
    Lag(lag::Lag),
    /// Show the services' logs in order of time, or everything about one order
    Logs(logs::Logs),
    /// Start or stop instances of a service
    Scale(scale::Scale),
    /// Scale a service by the lag of its group, with KEDA's settings, until Ctrl-C
    Autoscale(autoscale::Autoscale),
    /// Stop a service and start it again, with changed settings if you like
    Restart(restart::Restart),
    /// End a process; it stays stopped until `up`
    Kill(signals::Kill),
    /// Pause a process and all its children
    Pause(signals::Pause),
    /// Continue a paused process
    Continue(signals::Continue),
    /// List the faults, or cause one
    Break(break_fault::Break),
    /// Undo the faults that `break` caused
    Repair(repair::Repair),
    /// Find a fault that has no name, and repair it
    Mystery(mystery::MysteryArgs),
    /// The parts of a fault that no other command does
    #[command(hide = true)]
    Fault(fault::FaultArgs),
    /// Empty topics, groups and databases, and start what ran before
    Reset(reset::Reset),
    /// Empty topics, groups and databases
    #[command(hide = true)]
    ResetData(reset_data::ResetData),
    /// Create the databases that are missing
    #[command(hide = true)]
    CreateDatabases(create_databases::CreateDatabases),
    /// Show what is missing or wrong, and how to repair it
    Doctor(doctor::Doctor),
    /// Place an order, or show one
    Order(order::Order),
    /// List orders, or only the stuck ones
    Orders(orders::Orders),
    /// Measure how fast a group reads
    Rate(rate::Rate),
    /// Measure what the rebalances of a group cost
    Rebalances(rebalances::Rebalances),
    /// Wait for a condition
    Wait(wait::Wait),
    /// Check a condition; fails if it does not hold in time
    Expect(expect::Expect),
    /// Run the steps of a scenario's README
    Scenario(scenario::Scenario),
    /// Run a scenario, and write a report with charts as one HTML file
    Report(report::Report),
    /// List, show, replay and discard dead letters
    Dlq(dlq::Dlq),
    /// Run one of Kafka's own command-line tools on the broker
    Kafka(kafka::Kafka),
    /// Open a database with psql
    Psql(psql::Psql),
    /// Produce orders with load-generator
    Load(load::Load),
    /// Make payment-gateway fail, be slow, or not answer
    Gateway(gateway::Gateway),
    /// Make the consumers of a service slow or fast; pause and resume them
    Consumer(consumer::Consumer),
    /// Show topics and their records; create, grow and delete topics
    Topics(topics::Topics),
    /// List open transactions; end the hanging ones
    Transactions(transactions::TransactionsArgs),
    /// Start everything and place four orders, one for each outcome of a saga
    Demo(demo::Demo),
    /// Run the tests on a real broker and database
    Test(test::Test),
    /// Check that no order is lost, paid twice or reserved twice, by comparing topics with databases
    Audit(audit::AuditArgs),
    /// Measure throughput, latency, recovery, draining and load
    Bench(bench::Bench),
}

impl Verb {
    /// The name of a verb that needs the processes, files or tools of the host; `None` for a verb that needs only the network.
    fn host_only(&self) -> Option<&'static str> {
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
            Self::Repair(_) => "repair",
            Self::Reset(_) => "reset",
            Self::Scenario(_) => "scenario",
            Self::Report(_) => "report",
            Self::Kafka(_) => "kafka",
            Self::Psql(_) => "psql",
            Self::Load(_) => "load",
            Self::Test(_) => "test",
            Self::Bench(_) => "bench",
            Self::Status(_)
            | Self::Autoscale(_)
            | Self::Break(_)
            | Self::Fault(_)
            | Self::Mystery(_)
            | Self::Lag(_)
            | Self::Logs(_)
            | Self::ResetData(_)
            | Self::CreateDatabases(_)
            | Self::Doctor(_)
            | Self::Order(_)
            | Self::Orders(_)
            | Self::Rate(_)
            | Self::Rebalances(_)
            | Self::Wait(_)
            | Self::Expect(_)
            | Self::Dlq(_)
            | Self::Consumer(_)
            | Self::Gateway(_)
            | Self::Topics(_)
            | Self::Transactions(_)
            | Self::Audit(_)
            | Self::Demo(_) => return None,
        })
    }
}

pub async fn run(verb: Verb, layout: &StackLayout) -> Result<()> {
    if let Some(name) = verb.host_only() {
        layout.host_or_container().require_host(name)?;
    }
    match verb {
        Verb::Up(args) => up::run(args, layout).await,
        Verb::Down(args) => down::run(args, layout).await,
        Verb::Status(args) => status::run(args, layout).await,
        Verb::Url(args) => url::run(args, layout).await,
        Verb::Fetch(args) => fetch::run(args, layout).await,
        Verb::Lag(args) => lag::run(args, layout).await,
        Verb::Logs(args) => logs::run(args, layout).await,
        Verb::Scale(args) => scale::run(args, layout).await,
        Verb::Autoscale(args) => autoscale::run(args, layout).await,
        Verb::Restart(args) => restart::run(args, layout).await,
        Verb::Kill(args) => signals::kill(args, layout).await,
        Verb::Pause(args) => signals::pause(args, layout).await,
        Verb::Continue(args) => signals::resume(args, layout).await,
        Verb::Break(args) => break_fault::run(args, layout).await,
        Verb::Repair(args) => repair::run(args, layout).await,
        Verb::Mystery(args) => mystery::run(args, layout).await,
        Verb::Fault(args) => fault::run(args, layout).await,
        Verb::Reset(args) => reset::run(args, layout).await,
        Verb::ResetData(args) => reset_data::run(args, layout).await,
        Verb::CreateDatabases(args) => create_databases::run(args, layout).await,
        Verb::Doctor(args) => doctor::run(args, layout).await,
        Verb::Order(args) => order::run(args, layout).await,
        Verb::Orders(args) => orders::run(args, layout).await,
        Verb::Rate(args) => rate::run(args, layout).await,
        Verb::Rebalances(args) => rebalances::run(args, layout).await,
        Verb::Wait(args) => wait::run(args, layout).await,
        Verb::Expect(args) => expect::run(args, layout).await,
        Verb::Scenario(args) => scenario::run(args, layout).await,
        Verb::Report(args) => report::run(args, layout).await,
        Verb::Dlq(args) => dlq::run(args, layout).await,
        Verb::Kafka(args) => kafka::run(args, layout).await,
        Verb::Psql(args) => psql::run(args, layout).await,
        Verb::Load(args) => load::run(args, layout).await,
        Verb::Gateway(args) => gateway::run(args, layout).await,
        Verb::Consumer(args) => consumer::run(args, layout).await,
        Verb::Topics(args) => topics::run(args, layout).await,
        Verb::Transactions(args) => transactions::run(args, layout).await,
        Verb::Demo(args) => demo::run(args, layout).await,
        Verb::Audit(args) => audit::run(args, layout).await,
        Verb::Test(args) => test::run(args, layout).await,
        Verb::Bench(args) => bench::run(args, layout).await,
    }
}
