//! A stack for tests: its own folder and free ports. It is taken down when the test program ends, also when the program is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use local_runtime::free_ports;
use serde_json::Value;

/// The command, built beside this test program: `target/release/sandbox`.
pub static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = std::env::current_exe().unwrap();
    test.parent()
        .and_then(Path::parent)
        .unwrap()
        .join("sandbox")
});

/// Runs `sandbox down --reset` as soon as its standard input is closed, which also happens when the test program is killed. In a
/// session of its own, so that a Ctrl-C meant for the tests does not end it.
const GUARD: &str = r#"read -r _; "$0" down --reset; rm -rf "$SANDBOX_HOME""#;

/// A stack on free ports.
pub struct Rig {
    environment: Vec<(&'static str, String)>,
    guard: Child,
}

/// Exit code and output of a command.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub output: String,
    pub errors: String,
}

impl Ran {
    /// Runs the command and waits for its end.
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap(),
            output: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Rig {
    /// A stack without running processes.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("saga-sandbox-cli-")
            .tempdir()
            .unwrap()
            .keep();
        let [
            kafka,
            postgres,
            order,
            payment,
            generator,
            monitor,
            gateway,
            prometheus,
        ] = free_ports::free().unwrap();
        let inventory = free_ports::free_in_a_row(9).unwrap();
        let environment = vec![
            ("SANDBOX_HOME", folder.display().to_string()),
            ("KAFKA_PORT", kafka.to_string()),
            ("POSTGRES_PORT", postgres.to_string()),
            ("ORDER_PORT", order.to_string()),
            ("PAYMENT_PORT", payment.to_string()),
            ("LOAD_GENERATOR_PORT", generator.to_string()),
            ("LAG_MONITOR_PORT", monitor.to_string()),
            ("PAYMENT_GATEWAY_PORT", gateway.to_string()),
            ("PROMETHEUS_PORT", prometheus.to_string()),
            ("INVENTORY_PORTS", format!("{inventory}-{}", inventory + 8)),
        ];
        let mut guard = Command::new("setsid");
        guard
            .args(["sh", "-c", GUARD])
            .arg(&*PROGRAM)
            .envs(environment.iter().cloned());
        guard
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let guard = guard.spawn().unwrap();
        Self { environment, guard }
    }

    /// The stack that the tests of this program share: one running instance of everything, default settings. One test at a time uses
    /// it.
    pub fn shared() -> MutexGuard<'static, Self> {
        static SHARED: LazyLock<Mutex<Rig>> = LazyLock::new(|| Mutex::new(Rig::new()));
        // The lock is poisoned after a failed test; the state that the test left is repaired below.
        let rig = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        rig.good(&["up", "--no-build"]);
        for service in ["order-service", "payment-service", "inventory-service"] {
            rig.good(&["scale", &format!("{service}=1")]);
        }
        rig
    }

    /// Without its variables: what a test asks the stack for by name.
    pub fn variable(&self, name: &str) -> &str {
        let found = self.environment.iter().find(|(known, _)| *known == name);
        &found.unwrap().1
    }

    pub fn home(&self) -> &Path {
        Path::new(self.variable("SANDBOX_HOME"))
    }

    pub fn port(&self, name: &str) -> u16 {
        self.variable(name).parse().unwrap()
    }

    /// The command with the environment of this stack.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&*PROGRAM);
        command
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    /// Starts a command and does not wait for its end.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        Running(
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }

    /// Waits for the process record of this name, and returns its process id.
    pub fn recorded(&self, name: &str) -> Option<i64> {
        let record = fs::read_to_string(self.home().join(format!("run/{name}.json"))).ok()?;
        let record: Value = serde_json::from_str(&record).unwrap();
        record["process"]["pid"].as_i64()
    }

    /// Runs a command and waits for its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    /// Runs a command that must succeed, and returns its output.
    pub fn good(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}{}", ran.output, ran.errors);
        ran.output
    }

    /// Places an order and returns its id.
    pub fn order(&self, product: &str, quantity: &str, amount: &str) -> String {
        let what = ["--product", product, "--quantity", quantity];
        let id = self.good(&[&["order"], &what[..], &["--amount", amount]].concat());
        id.trim().to_owned()
    }

    /// `status --json`.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.good(&["status", "--json"])).unwrap()
    }

    /// Waits until a process has this readiness, and returns its row.
    pub fn is(&self, name: &str, readiness: &str) -> Value {
        until(&format!("{name} is {readiness}"), || {
            let row = self.process(name).unwrap();
            match row["readiness"] == readiness {
                true => Ok(row),
                false => Err(row.to_string()),
            }
        })
    }

    /// The row of one process, if it was ever started.
    pub fn process(&self, name: &str) -> Option<Value> {
        let status = self.status();
        let rows = status["processes"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).cloned()
    }

    /// The process id of a running process.
    pub fn pid(&self, name: &str) -> Option<i64> {
        self.process(name)?["pid"].as_i64()
    }

    /// The names of the running processes.
    pub fn alive(&self) -> Vec<String> {
        let status = self.status();
        let rows = status["processes"].as_array().unwrap();
        let alive = rows.iter().filter(|row| row["pid"].is_i64());
        alive
            .map(|row| row["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// A running command; killed when it is dropped.
pub struct Running(Child);

impl Running {
    /// Sends SIGINT.
    pub fn interrupt(&self) {
        use nix::sys::signal::{Signal, kill};
        let pid = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        kill(pid, Signal::SIGINT).unwrap();
    }

    /// Waits for its end, and returns the exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails for a process that has ended, which is expected.
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        self.guard.wait().unwrap();
    }
}

/// The longest that any single step may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// Waits until the condition holds; panics with the last observation if it does not.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(
                Instant::now() < deadline,
                "not in time: {what}; last seen: {seen}"
            ),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The state letter of a process in `/proc`; `None` if there is no such process.
pub fn kernel_state(pid: i64) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The process ids of the children of a process.
pub fn children(pid: i64) -> Vec<i64> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children
        .split_whitespace()
        .map(|child| child.parse().unwrap())
        .collect()
}
