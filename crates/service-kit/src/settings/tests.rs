use std::ffi::OsStr;

use clap::{CommandFactory, FromArgMatches};

use super::empty_variables::{without_defaults, without_variables};
use super::*;

#[derive(Debug, Parser)]
struct Example {
    #[arg(long, env = "EXAMPLE_PORT", default_value_t = 1, value_parser = port)]
    port: u16,
    #[arg(long, env = "EXAMPLE_URL", hide_env_values = true, value_parser = no_url)]
    url: Option<String>,
    #[arg(long, env = "EXAMPLE_TOKEN")]
    token: String,
    #[arg(long, env = "EXAMPLE_POISON", num_args = 0..=1, default_missing_value = "")]
    poison: Option<String>,
    #[arg(long, value_parser = duration_between(1, 90))]
    within: Option<Duration>,
    #[command(flatten)]
    http: HttpSettings,
    #[command(flatten)]
    drain: DrainSettings,
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
    error_line(&command, &parsed.unwrap_err())
}

#[test]
fn the_error_line_names_value_limit_and_variable() {
    for port in ["70000", "0.5", "ten", "-1", ""] {
        let line = message(&["--token=x", &format!("--port={port}")]);
        for part in [port, "--port", "from 0 to 65535", "EXAMPLE_PORT"] {
            assert!(line.contains(part) && !line.contains('\n'), "{line}");
        }
    }
    let line = message(&["--token=x", "--log-format=xml"]);
    for part in ["xml", "text, json", "LOG_FORMAT"] {
        assert!(line.contains(part) && !line.contains('\n'), "{line}");
    }
}

#[test]
fn a_whole_number_is_within_its_bounds_and_its_type() {
    let rate = whole_number::<u32>(1..=1_000_000);
    assert_eq!((rate("1"), rate("1000000")), (Ok(1), Ok(1_000_000)));
    let error = "must be a whole number from 1 to 1000000";
    for wrong in [
        "0",
        "1000001",
        "0.5",
        "1e3",
        " 1",
        "",
        "99999999999999999999999999999999999999999",
    ] {
        assert_eq!(rate(wrong), Err(error.to_owned()), "{wrong}");
    }
    assert!(whole_number::<u8>(0..=256)("256").is_err());
    assert_eq!(whole_number::<i64>(-1..=i64::MAX)("-1"), Ok(-1));
}

#[test]
fn a_time_is_within_its_bounds() {
    let within = duration_between(1, 90);
    assert_eq!(within("1m 30s"), Ok(Duration::from_secs(90)));
    for wrong in ["0s", "91s", "500000000000years", "30", "-1s", "soon", ""] {
        let line = message(&["--token=x", &format!("--within={wrong}")]);
        assert!(line.contains("from 1s to 1m 30s"), "{line}");
        assert!(line.contains("--within") && !line.contains('\n'), "{line}");
    }
}

#[test]
fn the_drain_timeout_has_one_default() {
    let settings = Example::try_parse_from(["example", "--token=x"]).unwrap();
    assert_eq!(settings.drain.drain_timeout, DRAIN_TIMEOUT);
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
fn an_empty_variable_counts_as_not_set_for_required_values() {
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

#[test]
fn the_help_shows_a_default_only_where_no_variable_is_set() {
    let help = |set: &'static str| {
        let mut command = without_defaults(Example::command(), &|name| name == set);
        command.render_long_help().to_string()
    };
    assert!(help("").contains("[default: 1]"));
    assert!(!help("EXAMPLE_PORT").contains("[default: 1]"));
    assert!(help("EXAMPLE_PORT").contains("[default: 10s]"));
}
