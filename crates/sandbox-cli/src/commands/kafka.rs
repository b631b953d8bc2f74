//! `sandbox kafka`: runs one of Kafka's own command-line tools.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};
use clap::{Args, Command};
use local_runtime::kafka_tools;
use stack::layout::StackLayout;
use stack::terminal::{Usage, say};

/// The tool, with its own arguments.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  ./sandbox kafka consumer-groups --describe --group inventory-service-group\n  ./sandbox kafka topics --list\n  ./sandbox kafka console-consumer --topic orders --from-beginning --timeout-ms 3000\n\nThe address of this stack's broker is filled in. Without a tool, the error lists all tools."
)]
pub struct Kafka {
    /// The name, as in kafka-<TOOL>.sh, then the tool's own arguments
    #[arg(
        value_name = "TOOL",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<OsString>,
}

/// Replaces this process with the tool, so that exit code, output and Ctrl-C are those of the tool.
pub async fn run(args: Kafka, layout: &StackLayout) -> Result<()> {
    // `--help` after a tool belongs to the tool. So clap's own flag is disabled, and `--help` alone is handled here.
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
    let installation = layout.sources().installed()?;
    let bootstrap = layout.kafka().bootstrap_servers;
    let mut command = kafka_tools::command(&installation, &bootstrap, &tool, arguments)?;
    Err(command.exec()).context("cannot run java: install a Java runtime, version 17 or later")
}

fn plain(tool: &str) -> &str {
    let tool = tool.strip_prefix("kafka-").unwrap_or(tool);
    tool.strip_suffix(".sh").unwrap_or(tool)
}
