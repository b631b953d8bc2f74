//! Settings: read once, checked before anything is bound. A wrong one ends the process with one line that says what to do.

use std::ffi::OsStr;
use std::fmt::Display;
use std::net::IpAddr;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Args, Command, Parser, ValueEnum};

use crate::health;

/// The exit code of wrong settings and wrong usage.
const USAGE: i32 = 2;

/// The subcommand that only reads the settings.
const CHECK: &str = "check";

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line a person can read.
    Text,
    /// One JSON object a line, for a log store.
    Json,
}

/// What every HTTP service can be told, but for its port, whose default is the service's own.
#[derive(Debug, Clone, Args)]
pub struct HttpSettings {
    /// Address to listen on. Other than a loopback address lets the whole network in
    #[arg(long, env = "BIND_ADDR", default_value = "127.0.0.1")]
    pub bind_addr: IpAddr,

    /// How log lines are written
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// Settings that are right each for itself, but not together. The text says which, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongSettings(pub String);

/// Reads the settings from the command line and the environment. Wrong ones: one line on stderr, exit code 2. `--help` and
/// `--version` print and exit with 0. `validate` holds the rules between settings; what it makes of them is made again by whoever
/// needs it.
///
/// Two subcommands end the process: `health` asks the instance that listens here, `check` only reads the settings, so that wrong
/// ones are known before a running instance is stopped for them.
///
/// A variable that is empty counts as not set; see [`without_empty_variables`].
pub fn parse<T: Parser, V>(validate: impl Fn(&T) -> Result<V, WrongSettings>) -> T {
    let command = without_empty_variables(T::command());
    let health = health::command(&command);
    if is_first(health::NAME) {
        answer_health(health);
    }
    let mut command = with_verbs(command, health).args_conflicts_with_subcommands(true);
    let parsed = command
        .try_get_matches_from_mut(std::env::args_os())
        .and_then(|mut matches| {
            let only_checked = matches.subcommand_name() == Some(CHECK);
            T::from_arg_matches_mut(&mut matches).map(|settings| (settings, only_checked))
        });
    finish(parsed, validate)
}

/// [`parse`] for a program of several subcommands, of which the one called `service` is a service: `health` asks that one's
/// instance, and `check` reads its settings.
pub fn parse_with_verbs<T: Parser, V>(
    service: &str,
    validate: impl Fn(&T) -> Result<V, WrongSettings>,
) -> T {
    let command = without_empty_variables(T::command());
    let settings = command.find_subcommand(service).unwrap_or(&command);
    let health = health::command(settings);
    if is_first(health::NAME) {
        answer_health(health);
    }
    let only_checked = is_first(CHECK);
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if let (true, Some(verb)) = (only_checked, arguments.get_mut(1)) {
        // What is checked is what the service would read.
        *verb = service.into();
    }
    let parsed = with_verbs(command, health)
        .try_get_matches_from_mut(arguments)
        .and_then(|mut matches| T::from_arg_matches_mut(&mut matches))
        .map(|settings| (settings, only_checked));
    finish(parsed, validate)
}

fn is_first(verb: &str) -> bool {
    std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == verb)
}

fn with_verbs(command: Command, health: Command) -> Command {
    let about = "Read the settings, say what is wrong with them, and end";
    command
        .subcommand(health)
        .subcommand(Command::new(CHECK).about(about))
}

/// Ends the process unless the settings are right, and are to be used.
fn finish<T: Parser, V>(
    parsed: Result<(T, bool), clap::Error>,
    validate: impl Fn(&T) -> Result<V, WrongSettings>,
) -> T {
    match parsed {
        Ok((settings, only_checked)) => {
            if let Err(wrong) = validate(&settings) {
                usage_error(wrong);
            }
            if only_checked {
                std::process::exit(0);
            }
            settings
        }
        Err(error) if error.exit_code() == 0 => error.exit(),
        Err(error) => {
            // With all variables again, to name the one that is wrong; clap names arguments of a built command only.
            let mut command = T::command();
            command.build();
            usage_error(one_line(&command, &error))
        }
    }
}

/// A command of its own: whatever is wrong with the other settings, the instance can be asked.
fn answer_health(mut command: Command) -> ! {
    let matches = match command.try_get_matches_from_mut(std::env::args_os().skip(1)) {
        Ok(matches) => matches,
        Err(error) if error.exit_code() == 0 => error.exit(),
        Err(error) => usage_error(one_line(&command, &error)),
    };
    let Some(address) = health::address(&matches) else {
        usage_error("health: this program has no PORT and BIND_ADDR");
    };
    let (line, code) = match health::ask(address) {
        Ok(line) => (line, 0),
        Err(line) => (line, 1),
    };
    println!("{line}");
    std::process::exit(code)
}

/// The command without the variables that are set, but empty: Docker Compose can only pass an empty one on, not leave it out.
/// An argument whose value may be left out (`num_args = 0..=1`) keeps its variable: there, empty is a value.
pub fn without_empty_variables(command: Command) -> Command {
    without_variables(command, &|name| {
        std::env::var_os(name)
            .as_deref()
            .is_some_and(OsStr::is_empty)
    })
}

fn without_variables(command: Command, is_empty: &dyn Fn(&OsStr) -> bool) -> Command {
    let may_be_empty = |argument: &Arg| {
        let values = argument.get_num_args();
        values.is_some_and(|range| range.min_values() == 0)
    };
    let command = command.mut_args(|argument| {
        let empty = argument.get_env().is_some_and(is_empty);
        if empty && !may_be_empty(&argument) {
            argument.env(None::<&'static str>)
        } else {
            argument
        }
    });
    command.mut_subcommands(|verb| without_variables(verb, is_empty))
}

/// A value parser for times as people write them (`30s`, `1m 30s`), from `least` to `most` seconds. What it refuses is told with both
/// bounds. Without them `Instant::now()` plus the time could overflow, which panics.
pub fn span(
    least: u64,
    most: u64,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync + 'static {
    let bounds = Duration::from_secs(least)..=Duration::from_secs(most);
    move |text| {
        let parsed = humantime::parse_duration(text).ok();
        let within = parsed.filter(|span| bounds.contains(span));
        within.ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            let [least, most] = [least, most].map(|end| humantime::format_duration(*end));
            format!("must be a time from {least} to {most}, like 30s or 5m")
        })
    }
}

/// Ends the process because of a setting: one line on stderr, exit code 2. For the rules between settings, which a service
/// checks after [`parse`].
pub fn usage_error(message: impl Display) -> ! {
    eprintln!("error: {message}");
    std::process::exit(USAGE)
}

/// What is wrong, in one line that also names the environment variable; never with the value of a secret.
fn one_line(command: &Command, error: &clap::Error) -> String {
    let argument = invalid_argument(command, error);
    let message = match argument {
        // A value that --help hides is a secret: clap would print it.
        Some(argument) if argument.is_hide_env_values_set() => {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            format!(
                "invalid value for '{argument}': {}",
                cause.unwrap_or_else(|| error.kind().to_string())
            )
        }
        _ => first_paragraph(&error.render().to_string()),
    };
    match argument.and_then(|argument| argument.get_env()) {
        Some(variable) => format!(
            "{message} (environment variable {})",
            variable.to_string_lossy()
        ),
        None => message,
    }
}

/// clap's first lines, up to its hints on usage, as one.
fn first_paragraph(rendered: &str) -> String {
    let text = rendered.strip_prefix("error: ").unwrap_or(rendered);
    let lines = text.lines().map(str::trim);
    let paragraph = lines.take_while(|line| {
        !line.starts_with("Usage:") && !line.starts_with("For more information")
    });
    paragraph
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The one argument that the error is about, of the command or of one below it. clap names it as in `--help`: `--port <PORT>`.
fn invalid_argument<'a>(command: &'a Command, error: &clap::Error) -> Option<&'a Arg> {
    let named = match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(name) => name,
        ContextValue::Strings(names) => names.first()?,
        _ => return None,
    };
    match error.kind() {
        ErrorKind::InvalidValue
        | ErrorKind::ValueValidation
        | ErrorKind::MissingRequiredArgument => named_argument(command, named),
        _ => None,
    }
}

fn named_argument<'a>(command: &'a Command, named: &str) -> Option<&'a Arg> {
    let mut own = command.get_arguments();
    let found = own.find(|argument| argument.to_string() == named);
    let mut below = command.get_subcommands();
    found.or_else(|| below.find_map(|verb| named_argument(verb, named)))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;

    #[derive(Debug, Parser)]
    struct Example {
        #[arg(long, env = "EXAMPLE_PORT", default_value_t = 1)]
        port: u16,
        #[arg(long, env = "EXAMPLE_URL", hide_env_values = true, value_parser = no_url)]
        url: Option<String>,
        #[arg(long, env = "EXAMPLE_TOKEN")]
        token: String,
        #[arg(long, env = "EXAMPLE_POISON", num_args = 0..=1, default_missing_value = "")]
        poison: Option<String>,
        #[arg(long, value_parser = span(1, 90))]
        within: Option<Duration>,
        #[command(flatten)]
        http: HttpSettings,
    }

    fn no_url(_: &str) -> Result<String, &'static str> {
        Err("must be a URL like postgres://host/database")
    }

    fn message(arguments: &[&str]) -> String {
        let mut command = Example::command();
        let all = std::iter::once("example").chain(arguments.iter().copied());
        let parsed = command
            .try_get_matches_from_mut(all)
            .and_then(|mut matches| Example::from_arg_matches_mut(&mut matches));
        one_line(&command, &parsed.unwrap_err())
    }

    #[test]
    fn a_wrong_setting_is_one_line_that_names_value_limit_and_variable() {
        let line = message(&["--token=x", "--port=70000"]);
        for part in ["70000", "--port", "0..=65535", "EXAMPLE_PORT"] {
            assert!(line.contains(part) && !line.contains('\n'), "{line}");
        }
        let line = message(&["--token=x", "--log-format=xml"]);
        for part in ["xml", "text, json", "LOG_FORMAT"] {
            assert!(line.contains(part) && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn a_time_is_within_its_bounds() {
        let within = span(1, 90);
        assert_eq!(within("1m 30s"), Ok(Duration::from_secs(90)));
        for wrong in ["0s", "91s", "500000000000years", "30", "-1s", "soon", ""] {
            let line = message(&["--token=x", &format!("--within={wrong}")]);
            assert!(line.contains("from 1s to 1m 30s"), "{line}");
            assert!(line.contains("--within") && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn a_missing_setting_names_its_variable() {
        let line = message(&[]);
        assert!(
            line.contains("--token") && line.contains("EXAMPLE_TOKEN"),
            "{line}"
        );
    }

    #[test]
    fn a_wrong_secret_is_not_printed() {
        let line = message(&["--token=x", "--url=postgres://me:secret@host"]);
        assert!(!line.contains("secret"), "{line}");
        assert!(
            line.contains("must be a URL") && line.contains("EXAMPLE_URL"),
            "{line}"
        );
    }

    #[test]
    fn an_empty_variable_counts_as_not_set_where_a_value_is_needed() {
        let empty = ["EXAMPLE_PORT", "EXAMPLE_POISON"];
        let command = without_variables(Example::command(), &|name| {
            empty.iter().any(|empty| name == *empty)
        });
        let variable = |id: &str| {
            let argument = command.get_arguments().find(|one| one.get_id() == id);
            argument.unwrap().get_env().and_then(OsStr::to_str)
        };
        assert_eq!(variable("port"), None);
        assert_eq!(variable("token"), Some("EXAMPLE_TOKEN"));
        assert_eq!(variable("poison"), Some("EXAMPLE_POISON"));
    }
}
