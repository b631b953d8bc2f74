//! Parsing of the command line: what is asked for, or the help, or an error of one line that says what is meant.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, FromArgMatches};
use service_kit::settings::{without_empty_variables, without_overridden_defaults};
use stack::terminal::{self, Usage};

use crate::cli::Cli;

/// Verbs of other tools, and what they are called here. clap would suggest the verb with the most similar letters.
const VERBS_OF_OTHERS: [(&str, &str); 10] = [
    ("start", "./sandbox up [SERVICE]"),
    ("run", "./sandbox up [SERVICE]"),
    (
        "stop",
        "./sandbox down stops everything, ./sandbox kill SERVICE one service",
    ),
    (
        "shutdown",
        "./sandbox down stops everything, ./sandbox kill SERVICE one service",
    ),
    ("ps", "./sandbox status"),
    ("list", "./sandbox status"),
    ("clean", "./sandbox reset, or ./sandbox down --reset"),
    ("produce", "./sandbox load"),
    ("consume", "./sandbox topics tail TOPIC"),
    ("groups", "./sandbox lag"),
];

/// Parses the command line. Prints an error as one line to standard error, and help to standard output. Without a verb, the help
/// goes to standard error, and the exit code is 2.
pub fn parse() -> Result<Cli, ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    parsed(command(), &arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            terminal::say(error.render().to_string().trim_end());
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            terminal::note(help(command(), &arguments).trim_end());
            ExitCode::from(2)
        }
        _ => {
            terminal::error(&Usage::error(one_line(&error)));
            ExitCode::from(2)
        }
    })
}

fn command() -> Command {
    without_overridden_defaults(without_empty_variables(Cli::command()))
}

fn parsed(command: Command, arguments: &[OsString]) -> Result<Cli, clap::Error> {
    command
        .try_get_matches_from(arguments)
        .and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches))
}

/// The help of the verb that the arguments name, as far as they name one.
fn help(mut command: Command, arguments: &[OsString]) -> String {
    command.build();
    for argument in arguments.iter().skip(1) {
        let subcommand = command.find_subcommand(argument).cloned();
        command = subcommand.unwrap_or(command);
    }
    command.render_help().to_string()
}

/// The error of clap without the usage and the pointer to help, in one line.
fn one_line(error: &clap::Error) -> String {
    if let Some((verb, here)) = verb_of_others(error) {
        return format!("no verb {verb}: {here}");
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error:").unwrap_or(&text);
    let lines = text.lines().map(str::trim);
    let error =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let error: Vec<&str> = error.filter(|line| !line.is_empty()).collect();
    format!("{} (see --help)", error.join(" "))
}

fn verb_of_others(error: &clap::Error) -> Option<(&'static str, &'static str)> {
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    // Only the verb itself: `topics stop` is another mistake.
    let usage = error.get(ContextKind::Usage).map(ToString::to_string);
    let is_verb = usage.is_none_or(|usage| usage.contains("sandbox [OPTIONS] <COMMAND>"));
    let mut known = VERBS_OF_OTHERS.into_iter();
    known.find(|(verb, _)| is_verb && verb == given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> Vec<OsString> {
        std::iter::once("sandbox")
            .chain(words.iter().copied())
            .map(OsString::from)
            .collect()
    }

    fn error(words: &[&str]) -> clap::Error {
        parsed(Cli::command(), &arguments(words)).unwrap_err()
    }

    #[test]
    fn the_help_of_every_verb_has_an_example() {
        for verb in Cli::command().get_subcommands_mut() {
            let help = verb.render_long_help().to_string();
            assert!(help.contains("./sandbox"), "{}: {help}", verb.get_name());
        }
    }

    #[test]
    fn a_wrong_command_line_is_an_error_of_one_line() {
        let line = one_line(&error(&["url", "shop"]));
        assert!(
            !line.contains('\n') && line.contains("inventory-service"),
            "{line}"
        );
    }

    #[test]
    fn without_a_verb_the_help_is_shown() {
        for (words, shown) in [
            (&[][..], "Begin with:  ./sandbox demo"),
            (&["consumer"], "Simulate long work"),
            (&["topics"], "List the topics"),
            (&["--kafka-port", "9192"], "Begin with:  ./sandbox demo"),
        ] {
            let kind = error(words).kind();
            assert!(
                matches!(
                    kind,
                    ErrorKind::MissingSubcommand
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                ),
                "{words:?}: {kind:?}"
            );
            let help = help(Cli::command(), &arguments(words));
            assert!(
                help.contains(shown) && help.contains("Usage:"),
                "{words:?}: {help}"
            );
            assert!(!help.contains("error:"), "{help}");
        }
    }

    #[test]
    fn every_command_of_the_page_for_the_person_on_call_can_be_typed() {
        let page = include_str!("../../../docs/on-call.md");
        let spans = page.split('`').skip(1).step_by(2);
        let typed: Vec<&str> = spans
            .filter_map(|span| span.strip_prefix("./sandbox "))
            .collect();
        assert!(typed.len() > 20, "{}", typed.len());
        for command in typed {
            let words: Vec<&str> = command
                .split_whitespace()
                .map(|word| match word {
                    "ID" => "0190a7c2-0000-7000-8000-000000000000",
                    "OFFSET" => "7",
                    "SERVICE" => "inventory-service",
                    word => word,
                })
                .collect();
            let parsed = parsed(Cli::command(), &arguments(&words));
            assert!(parsed.is_ok(), "{command}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn help_is_a_verb() {
        for words in [&["help"][..], &["help", "scale"]] {
            let error = error(words);
            assert_eq!(error.kind(), ErrorKind::DisplayHelp, "{words:?}: {error}");
        }
        assert!(error(&["help", "scale"]).to_string().contains("SERVICE=N"));
    }

    #[test]
    fn a_verb_of_another_tool_is_answered_with_the_one_of_this() {
        let verbs: Vec<String> = Cli::command()
            .get_subcommands()
            .map(|verb| verb.get_name().to_owned())
            .collect();
        for (verb, here) in VERBS_OF_OTHERS {
            assert!(!verbs.iter().any(|own| own == verb), "{verb}");
            let line = one_line(&error(&[verb]));
            assert_eq!(line, format!("no verb {verb}: {here}"));
            let mut words = here
                .split_whitespace()
                .skip_while(|word| *word != "./sandbox");
            let own = words.nth(1).unwrap().trim_end_matches(',');
            assert!(verbs.iter().any(|verb| verb == own), "{here}");
        }
        let line = one_line(&error(&["topics", "stop"]));
        assert!(!line.contains("./sandbox down"), "{line}");
    }
}
