//! The environment of everything that belongs to a stack.
//!
//! A variable of the caller could change what a server or a tool does: `JAVA_TOOL_OPTIONS`,
//! `CLASSPATH`, `PGSSLMODE`, a Turkish locale, `LD_PRELOAD`. So a program of a stack gets the
//! variables below and those that its own code sets, and none else.

use std::ffi::OsString;
use std::process::Command;

/// The variables that a program of a stack gets from its caller: where programs are found, and the
/// home folder, in which version managers keep what their `java` needs.
const INHERITED: [&str; 2] = ["PATH", "HOME"];

/// The variables that an interactive tool gets from its caller besides [`INHERITED`].
const INHERITED_INTERACTIVE: [&str; 3] = ["TERM", "EDITOR", "PAGER"];

/// The same on every machine: Java decodes the names of files by the locale, and compares texts by
/// its rules; logs are in UTC.
const FIXED: [(&str, &str); 2] = [("LC_ALL", "C.UTF-8"), ("TZ", "UTC")];

/// Gives a command the environment of a stack's programs, in place of the caller's. Call it before
/// variables of its own are set.
pub fn replace(command: &mut Command) -> &mut Command {
    command.env_clear().envs(inherited(&INHERITED)).envs(FIXED)
}

/// As [`replace`], for a tool that a person uses at a terminal.
pub fn replace_interactive(command: &mut Command) -> &mut Command {
    replace(command).envs(inherited(&INHERITED_INTERACTIVE))
}

fn inherited(names: &[&'static str]) -> impl Iterator<Item = (&'static str, OsString)> {
    names
        .iter()
        .filter_map(|name| Some((*name, std::env::var_os(name)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_a_stack_gets_only_the_listed_variables() {
        let mut command = Command::new("env");
        command.env("JAVA_TOOL_OPTIONS", "-Duser.language=tr");
        replace(&mut command).env("OWN", "1");
        let printed = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let names: Vec<&str> = printed
            .lines()
            .filter_map(|line| Some(line.split_once('=')?.0))
            .collect();
        for name in &names {
            assert!(
                ["PATH", "HOME", "LC_ALL", "TZ", "OWN"].contains(name),
                "{printed}"
            );
        }
        assert!(
            names.contains(&"PATH") && names.contains(&"OWN"),
            "{printed}"
        );
        assert!(printed.contains("LC_ALL=C.UTF-8\n"), "{printed}");
    }
}
