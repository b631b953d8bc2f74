//! `sandbox kafka`: Kafka's own command-line tools.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};
use clap::{Args, Command};
use local_runtime::kafka_tools;

use stack::sandbox::Sandbox;
use stack::terminal::{Usage, say};

/// Which tool, with its own arguments.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  ./sandbox kafka consumer-groups --describe --group inventory-service-group\n  ./sandbox kafka topics --list\n  ./sandbox kafka console-consumer --topic orders --from-beginning --timeout-ms 3000\n\nThe broker of this stack is filled in. Without a tool: the list of tools."
)]
pub struct Kafka {
    /// Its name, as in kafka-<TOOL>.sh, then whatever it takes
    #[arg(
        value_name = "TOOL",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<OsString>,
}

/// Becomes the tool, so that its exit code, its output and Ctrl-C are its own.
pub async fn run(args: Kafka, sandbox: &Sandbox) -> Result<()> {
    // Help that is asked of a tool is the tool's; so clap's own flag is off, and this is in its place.
    if let [word] = args.words.as_slice()
        && (word == "--help" || word == "-h")
    {
        let mut command = Kafka::augment_args(Command::new("./sandbox kafka"));
        say(command.render_long_help().to_string().trim_end());
        return Ok(());
    }
    let Some((tool, arguments)) = args.words.split_first() else {
        let names: Vec<_> = kafka_tools::names().collect();
        return Err(Usage::error(format_args!(
            "which tool? There are {}",
            names.join(", ")
        )));
    };
    let tool = tool.to_string_lossy();
    if !kafka_tools::names().any(|name| name == plain(&tool)) {
        let names: Vec<_> = kafka_tools::names().collect();
        return Err(Usage::error(format_args!(
            "no Kafka tool {tool}: there are {}",
            names.join(", ")
        )));
    }
    let installation = sandbox.sources().installed()?;
    let bootstrap = sandbox.kafka().bootstrap_servers;
    let mut command = kafka_tools::command(&installation, &bootstrap, &tool, arguments)?;
    Err(command.exec()).context("cannot run java: install a Java runtime, version 17 or later")
}

fn plain(tool: &str) -> &str {
    let tool = tool.strip_prefix("kafka-").unwrap_or(tool);
    tool.strip_suffix(".sh").unwrap_or(tool)
}
