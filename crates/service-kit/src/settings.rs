//! Settings: read once, and validated before a port is opened. An invalid setting ends the process
//! with one line that says what to do.

mod empty_variables;
mod error_line;

use std::fmt::Display;
use std::io::{Write, stdout};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::{Args, Command, Parser, ValueEnum};

pub use empty_variables::{without_empty_variables, without_overridden_defaults};

use crate::escape::escape_line;
use crate::{health_command, output};
use error_line::error_line;

/// The exit code of invalid settings and invalid usage.
const USAGE: i32 = 2;

/// The subcommand that only validates the settings.
const CHECK: &str = "check";

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line of text for people.
    Text,
    /// One JSON object a line, for log stores.
    Json,
}

/// The settings of every HTTP service. The port is not among them, because each service has its own
/// default.
#[derive(Debug, Clone, Args)]
pub struct HttpSettings {
    /// Address to listen on. With an address other than loopback the whole network can connect
    #[arg(long, env = "BIND_ADDR", default_value = "127.0.0.1")]
    pub bind_addr: IpAddr,

    /// Format of log lines
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// How long a program drains if its setting does not say otherwise.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The setting of a service that drains when it is stopped.
#[derive(Debug, Clone, Args)]
pub struct DrainSettings {
    /// How long open requests and the last batch may take after SIGTERM before they are abandoned
    #[arg(long, env = "DRAIN_TIMEOUT", default_value = "10s", value_parser = duration_between(0, 600))]
    pub drain_timeout: Duration,
}

/// Settings that contradict each other, although each is valid. The text names them and says what
/// to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSettings(pub String);

/// Reads the settings from the command line and the environment. Invalid settings end the process
/// with one line on stderr and exit code 2; `--help` and `--version` print and exit with 0.
/// `validate` checks the rules between settings; its value is dropped.
///
/// Two subcommands end the process: `health` checks the running instance; `check` only validates
/// the settings, so that errors are known before a running instance is stopped.
///
/// An empty variable counts as not set; see [`without_empty_variables`].
pub fn parse<T: Parser, V>(validate: impl Fn(&T) -> Result<V, InvalidSettings>) -> T {
    let command = without_overridden_defaults(without_empty_variables(T::command()));
    let health = health_command::command(&command);
    if is_first(health_command::NAME) {
        run_health(health);
    }
    let mut command = with_own_subcommands(command, health).args_conflicts_with_subcommands(true);
    let parsed = command
        .try_get_matches_from_mut(std::env::args_os())
        .and_then(|mut matches| {
            let only_checked = matches.subcommand_name() == Some(CHECK);
            T::from_arg_matches_mut(&mut matches).map(|settings| (settings, only_checked))
        });
    finish(parsed, validate)
}

/// [`parse`] for a program with subcommands of its own, of which `service` runs a service: `health`
/// checks the instance of that subcommand, and `check` validates its settings.
pub fn parse_with_subcommands<T: Parser, V>(
    service: &str,
    validate: impl Fn(&T) -> Result<V, InvalidSettings>,
) -> T {
    let command = without_overridden_defaults(without_empty_variables(T::command()));
    let settings = command.find_subcommand(service).unwrap_or(&command);
    let health = health_command::command(settings);
    if is_first(health_command::NAME) {
        run_health(health);
    }
    let only_checked = is_first(CHECK);
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if let (true, Some(subcommand)) = (only_checked, arguments.get_mut(1)) {
        // `check` validates what the service would read.
        *subcommand = service.into();
    }
    let parsed = with_own_subcommands(command, health)
        .try_get_matches_from_mut(arguments)
        .and_then(|mut matches| T::from_arg_matches_mut(&mut matches))
        .map(|settings| (settings, only_checked));
    finish(parsed, validate)
}

fn is_first(subcommand: &str) -> bool {
    std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == subcommand)
}

fn with_own_subcommands(command: Command, health: Command) -> Command {
    let about = "Validate the settings and exit: code 2 with one line if one is invalid";
    command
        .subcommand(health)
        .subcommand(Command::new(CHECK).about(about))
}

/// Ends the process if the settings are invalid or were only to be validated.
fn finish<T: Parser, V>(
    parsed: Result<(T, bool), clap::Error>,
    validate: impl Fn(&T) -> Result<V, InvalidSettings>,
) -> T {
    match parsed {
        Ok((settings, only_checked)) => {
            if let Err(invalid) = validate(&settings) {
                usage_error(invalid);
            }
            if only_checked {
                std::process::exit(0);
            }
            settings
        }
        Err(error) if error.exit_code() == 0 => print_help(&error),
        Err(error) => {
            // With all variables again, to name the wrong one. clap names only arguments of a built
            // command.
            let mut command = T::command();
            command.build();
            usage_error(error_line(&command, &error))
        }
    }
}

/// Parsed as a command of its own, so it works even if other settings are invalid.
fn run_health(mut command: Command) -> ! {
    let matches = match command.try_get_matches_from_mut(std::env::args_os().skip(1)) {
        Ok(matches) => matches,
        Err(error) if error.exit_code() == 0 => print_help(&error),
        Err(error) => usage_error(error_line(&command, &error)),
    };
    let Some(address) = health_command::address(&matches) else {
        usage_error("health: this program has no PORT and BIND_ADDR");
    };
    let (line, code) = match health_command::check_ready(address) {
        Ok(line) => (line, 0),
        Err(line) => (line, 1),
    };
    output::exit(output::print(escape_line(&line)), code)
}

/// Prints `--help` or `--version`, which clap returns as errors, and ends the process.
fn print_help(help: &clap::Error) -> ! {
    let printed = help.print().and_then(|()| stdout().flush());
    output::exit(printed.map_err(Into::into), 0)
}

/// A value parser for times in human form (`30s`, `1m 30s`) from `least` to `most` seconds. Its
/// error names both bounds. Without bounds, `Instant::now()` plus the time could overflow, which
/// panics.
pub fn duration_between(
    least: u64,
    most: u64,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync + 'static {
    let bounds = Duration::from_secs(least)..=Duration::from_secs(most);
    move |text| {
        let parsed = humantime::parse_duration(text).ok();
        let valid = parsed.filter(|time| bounds.contains(time));
        valid.ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            let [least, most] = [least, most].map(|end| humantime::format_duration(*end));
            format!("must be a time from {least} to {most}, like 30s or 5m")
        })
    }
}

/// A value parser for a whole number within these bounds, which must fit into `T`. Its error names
/// both bounds, also for `0.5` and `ten`, for which clap's own parsers name none.
pub fn whole_number<T: TryFrom<i128> + 'static>(
    bounds: RangeInclusive<impl Into<i128> + 'static>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    let (least, most) = bounds.into_inner();
    let (least, most) = (least.into(), most.into());
    move |text| {
        let number = text.parse().ok();
        let number = number.filter(|number| (least..=most).contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| format!("must be a whole number from {least} to {most}"))
    }
}

/// A value parser for the port of a service; 0 takes any free one.
pub fn port(text: &str) -> Result<u16, String> {
    whole_number(0..=u16::MAX)(text)
}

/// Ends the process because of an invalid setting: one line on stderr, exit code 2.
pub fn usage_error(message: impl Display) -> ! {
    output::print_error(message);
    std::process::exit(USAGE)
}

#[cfg(test)]
mod tests;
