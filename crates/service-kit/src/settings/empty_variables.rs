//! What environment variables do to a command: an empty one counts as not set, and the help shows the default only of a setting
//! that none of them sets.

use std::ffi::OsStr;

use clap::{Arg, Command};

/// The command without the variables that are set but empty. Docker Compose passes a variable on as
/// empty when it is not set. An argument whose value is optional (`num_args = 0..=1`) keeps its
/// variable: there, an empty value has a meaning.
pub fn without_empty_variables(command: Command) -> Command {
    without_variables(command, &|name| {
        std::env::var_os(name)
            .as_deref()
            .is_some_and(OsStr::is_empty)
    })
}

pub(super) fn without_variables(command: Command, is_empty: &dyn Fn(&OsStr) -> bool) -> Command {
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
    command.mut_subcommands(|subcommand| without_variables(subcommand, is_empty))
}

/// The command whose help shows no default beside the value of an environment variable, which
/// applies instead.
pub fn without_overridden_defaults(command: Command) -> Command {
    without_defaults(command, &|name| std::env::var_os(name).is_some())
}

pub(super) fn without_defaults(command: Command, is_set: &dyn Fn(&OsStr) -> bool) -> Command {
    let command = command.mut_args(|argument| {
        if argument.get_env().is_some_and(is_set) {
            argument.hide_default_value(true)
        } else {
            argument
        }
    });
    command.mut_subcommands(|subcommand| without_defaults(subcommand, is_set))
}
