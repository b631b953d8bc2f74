//! clap's error as one line.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

/// clap's error in one line, with the name of the environment variable and without the value of a
/// secret.
pub(super) fn error_line(command: &Command, error: &clap::Error) -> String {
    if let ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =
        error.kind()
    {
        return missing_subcommand(command);
    }
    let argument = invalid_argument(command, error);
    let message = match argument {
        // The value is a secret, because --help hides it. clap's own message would contain it.
        Some(argument) if argument.is_hide_env_values_set() => {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            format!(
                "invalid value for '{argument}': {}",
                cause.unwrap_or_else(|| error.kind().to_string())
            )
        }
        _ => first_paragraph(&error.render().to_string()),
    };
    let message = match argument {
        Some(argument) if error.kind() == ErrorKind::MissingRequiredArgument => {
            with_possible_values(message, argument)
        }
        _ => message,
    };
    match argument.and_then(|argument| argument.get_env()) {
        Some(variable) => format!(
            "{message} (environment variable {})",
            variable.to_string_lossy()
        ),
        None => message,
    }
}

/// clap lists the values of an argument only where a wrong one was given.
fn with_possible_values(message: String, argument: &Arg) -> String {
    let values = argument.get_possible_values();
    let names: Vec<_> = values.iter().map(|value| value.get_name()).collect();
    match names.is_empty() {
        true => message,
        false => format!("{message} [possible values: {}]", names.join(", ")),
    }
}

/// In the place of the description, which clap prints then.
fn missing_subcommand(command: &Command) -> String {
    let names: Vec<_> = command
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set() && subcommand.get_name() != "help")
        .map(Command::get_name)
        .collect();
    let names = match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "an argument".to_owned(),
    };
    format!("what to do is missing: {names} (see --help)")
}

/// The first lines of clap's message, before its hints on usage, joined to one line.
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

/// The argument that caused the error, of the command or of a subcommand. clap names it as in
/// `--help`: `--port <PORT>`.
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
    let mut subcommands = command.get_subcommands();
    found.or_else(|| subcommands.find_map(|subcommand| named_argument(subcommand, named)))
}
