//! The script `sandbox` in the root of the repository, with a program and a Docker command that only show how they were called.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Shows its path, its mode and its arguments. The verb `bad` is a wrong command line.
const PROGRAM: &str = r#"#!/bin/sh
printf '%s|%s' "$0" "$SANDBOX_MODE"
for word in "$@"; do printf '|%s' "$word"; done
[ "${1-}" != bad ] || exit 2
"#;

/// An engine without containers and volumes, whose Compose prints the file `config`. Other calls are shown.
const DOCKER: &str = r#"#!/bin/sh
case "$* " in
  'version '* | 'ps '* | 'compose ps '*) ;;
  'volume inspect '*) exit 1 ;;
  'compose version '*) echo 2.30.0 ;;
  'compose config ') cat "${0%/*}/config" ;;
  *) printf '%s' "$*" ;;
esac
"#;

/// A checkout whose build is newer than every file of it.
struct Checkout {
    folder: PathBuf,
    /// The folder of the checkout and of whatever else a test creates.
    outside: TempDir,
}

/// Exit code and output of the script.
#[derive(Debug, PartialEq, Eq)]
struct Ran {
    code: i32,
    output: String,
    errors: String,
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

impl Checkout {
    fn in_folder(name: &str) -> Self {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().canonicalize().unwrap().join(name);
        for part in ["docker", "target/release", "bin"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        let repository = Path::new(REPOSITORY);
        for file in ["sandbox", "docker-compose.yml"] {
            fs::copy(repository.join(file), folder.join(file)).unwrap();
        }
        for file in fs::read_dir(repository.join("docker")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.join("docker").join(file.file_name())).unwrap();
        }
        write_program(&folder.join("target/release/sandbox"), PROGRAM);
        write_program(&folder.join("bin/docker"), DOCKER);
        let built = fs::File::create(folder.join("target/release/sandbox.built")).unwrap();
        let later = SystemTime::now() + Duration::from_secs(3_600);
        built.set_modified(later).unwrap();
        Self { folder, outside }
    }

    fn new() -> Self {
        Self::in_folder("checkout")
    }

    /// A command that finds the Docker command of this checkout first. Nothing of the test's own stack reaches it.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let mut path = self.folder.join("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        command.env("PATH", path).current_dir(self.outside.path());
        for name in ["SANDBOX_MODE", "SANDBOX_HOME", "CARGO_TARGET_DIR"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        run(self.command(self.folder.join("sandbox")).args(arguments))
    }

    /// What the program prints when this checkout calls it in local mode.
    fn called(&self, arguments: &str) -> Ran {
        let program = self.folder.join("target/release/sandbox");
        Ran {
            code: 0,
            output: format!("{}|local|{arguments}", program.display()),
            errors: String::new(),
        }
    }

    /// The mode that is saved in a folder of a stack.
    fn saved(&self, home: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(home).join("mode")).ok()
    }
}

fn run(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        output: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn the_checkout_is_found_through_symbolic_links() {
    let checkout = Checkout::new();
    let outside = checkout.outside.path();
    fs::create_dir(outside.join("links")).unwrap();
    symlink("../checkout/sandbox", outside.join("links/second")).unwrap();
    symlink("second", outside.join("links/first")).unwrap();
    symlink(&checkout.folder, outside.join("folder")).unwrap();
    for script in ["links/first", "links/second", "folder/sandbox"] {
        let ran = run(checkout.command(outside.join(script)).arg("url"));
        assert_eq!(ran, checkout.called("url"), "{script}");
    }
    fs::remove_dir_all(outside.join("checkout/docker")).unwrap();
    let ran = run(checkout.command(outside.join("links/first")).arg("url"));
    assert_eq!((ran.code, ran.errors.lines().count()), (1, 1), "{ran:?}");
    assert!(ran.errors.contains("cannot find the checkout"), "{ran:?}");
}

#[test]
fn the_checkout_is_found_whatever_its_path_and_the_shell_contain() {
    for name in ["a b", "-n", "it's \"$(x)\" \\ *", "line\nend\n", "Büro"] {
        let checkout = Checkout::in_folder(name);
        assert_eq!(checkout.run(&["url"]), checkout.called("url"), "{name:?}");
        for shell in ["sh", "bash"] {
            let mut inside = checkout.command(shell);
            inside
                .args(["sandbox", "url"])
                .current_dir(&checkout.folder)
                .env("CDPATH", checkout.outside.path())
                .env("IFS", "/")
                .env("ENV", "/nowhere");
            assert_eq!(
                run(&mut inside),
                checkout.called("url"),
                "{shell}: {name:?}"
            );
        }
    }
}

#[test]
fn the_callers_environment_does_not_change_the_script() {
    let checkout = Checkout::new();
    // Here cd would find another folder of this name first, and print it.
    fs::create_dir_all(checkout.outside.path().join("other/checkout")).unwrap();
    let mut script = checkout.command("sh");
    script
        .args(["checkout/sandbox", "url", "a b", "*"])
        .env("CDPATH", checkout.outside.path().join("other"))
        .env("GREP_OPTIONS", "--invert-match");
    assert_eq!(run(&mut script), checkout.called("url|a b|*"));
    let mut script = checkout.command("bash");
    script
        .args(["--posix", "checkout/sandbox", "url"])
        .env("BASH_FUNC_cd%%", "() { echo elsewhere; }");
    assert_eq!(run(&mut script), checkout.called("url"));
}

#[test]
fn the_mode_belongs_to_the_folder_of_the_stack() {
    let checkout = Checkout::new();
    let home = checkout.folder.join("second").display().to_string();
    let ran = checkout.run(&["--home", &home, "--docker", "scenario", "happy-path"]);
    assert!(
        ran.output.ends_with("|docker|scenario|happy-path"),
        "{ran:?}"
    );
    assert_eq!(checkout.saved("second").as_deref(), Some("docker\n"));
    assert_eq!(checkout.saved(".sandbox"), None);
    assert_eq!(checkout.run(&["url"]), checkout.called("url"));
    for (variable, options) in [(Some(&home), vec![]), (None, vec!["--home", &home])] {
        let mut script = checkout.command(checkout.folder.join("sandbox"));
        script.args(options).args(["scenario"]);
        script.envs(variable.map(|home| ("SANDBOX_HOME", home)));
        let ran = run(&mut script);
        assert!(ran.output.contains("|docker|"), "{ran:?}");
    }
    // The option before it has a value, and does not hide the folder.
    let ran = checkout.run(&["--kafka-port", "9192", "--home", &home, "up"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.errors.contains("in Docker mode"), "{ran:?}");
    for wrong in [&["--home"][..], &["--home", "", "up"], &["--home=", "up"]] {
        let ran = checkout.run(wrong);
        assert_eq!(ran.code, 2, "{wrong:?}: {ran:?}");
        assert_eq!(ran.errors, "error: --home needs a folder\n");
    }
}

#[test]
fn help_and_a_wrong_command_line_leave_the_saved_mode() {
    let checkout = Checkout::new();
    for arguments in [
        &["--docker", "--help"][..],
        &["--docker", "help"],
        &["--docker"],
        &["--docker", "up", "--help"],
        &["--docker", "load", "burst", "--help"],
        &["--docker", "--version"],
        &["--docker", "stop"],
        &["--docker", "up", "--fast"],
        &["--local", "bad"],
    ] {
        checkout.run(arguments);
        assert_eq!(checkout.saved(".sandbox"), None, "{arguments:?}");
    }
    checkout.run(&["--local", "url"]);
    checkout.run(&["--docker", "up", "--fast"]);
    assert_eq!(checkout.saved(".sandbox").as_deref(), Some("local\n"));
}

#[test]
fn help_is_a_verb_in_both_modes() {
    let checkout = Checkout::new();
    assert_eq!(checkout.run(&["help"]), checkout.called("--help"));
    assert_eq!(checkout.run(&["help", "up"]), checkout.called("up|--help"));
    let ran = checkout.run(&["--docker", "help", "scenario"]);
    assert!(ran.output.ends_with(" sandbox scenario --help"), "{ran:?}");
    let ran = checkout.run(&["--docker", "kafka", "topics", "--help"]);
    assert!(ran.errors.contains("kafka does not run"), "{ran:?}");
}

#[test]
fn stop_and_start_name_the_verbs_that_are_meant() {
    let checkout = Checkout::new();
    for (verb, meant) in [("stop", "./sandbox down"), ("start", "./sandbox up")] {
        let ran = checkout.run(&["--docker", verb]);
        assert_eq!((ran.code, ran.errors.lines().count()), (2, 1), "{ran:?}");
        assert!(ran.errors.contains(meant), "{ran:?}");
    }
}

#[test]
fn docker_mode_checks_the_ports_that_compose_read() {
    let checkout = Checkout::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let compose_2 = format!(
        "services:\n  jaeger:\n    ports:\n      - mode: ingress\n        published: \"1\"\n  kafka:\n    ports:\n      - mode: ingress\n        host_ip: 127.0.0.1\n        target: 9092\n        published: \"{port}\"\n        protocol: tcp\n"
    );
    let compose_1 =
        format!("services:\n  kafka:\n    ports:\n    - 127.0.0.1:{port}:9092/tcp\nversion: '3'\n");
    for config in [compose_2, compose_1] {
        fs::write(checkout.folder.join("bin/config"), &config).unwrap();
        // Compose reads this file, and nobody else.
        fs::write(checkout.folder.join(".env"), "KAFKA_PORT=1\n").unwrap();
        let ran = checkout.run(&["--docker", "up"]);
        assert_eq!((ran.code, ran.errors.lines().count()), (1, 1), "{ran:?}");
        let expected = format!("error: port {port} for kafka is taken");
        assert!(ran.errors.starts_with(&expected), "{ran:?}");
        assert!(ran.errors.contains("KAFKA_PORT=…"), "{ran:?}");
    }
}

#[test]
fn a_compose_file_of_another_project_is_named() {
    let checkout = Checkout::new();
    let mut script = checkout.command(checkout.folder.join("sandbox"));
    script.args(["--docker", "up"]);
    let ran = run(script.env("COMPOSE_FILE", "other.yml"));
    assert_eq!((ran.code, ran.errors.lines().count()), (1, 1), "{ran:?}");
    assert!(ran.errors.contains("COMPOSE_FILE"), "{ran:?}");
}

#[test]
fn a_checkout_has_the_same_bytes_whatever_git_makes_of_line_ends() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = format!("--prefix={}/", folder.path().display());
    let git = Command::new("git")
        .args(["-c", "core.autocrlf=true", "checkout-index"])
        .args([&prefix, "--", "sandbox", "docker/verbs.sh", "Dockerfile"])
        .args(["docker-compose.yml", ".env.example", "README.md"])
        .current_dir(REPOSITORY)
        .status();
    assert!(git.unwrap().success());
    for file in ["sandbox", "docker/verbs.sh", ".env.example", "README.md"] {
        let bytes = fs::read(folder.path().join(file)).unwrap();
        assert!(!bytes.contains(&b'\r'), "{file}");
    }
}
