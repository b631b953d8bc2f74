//! Programs that end with the test, however that ends.

use std::process::{Child, ChildStdout, Command, Stdio};

/// Starts the program with a folder of its own for what is temporary, and kills it and all that it has started when standard input
/// ends: when the test drops the other end, or has ended itself. `setsid` makes the program lead a process group. What was being
/// written while it was removed is removed at the second try.
const GUARD: &str = r#"exec 3<&0
folder=$(mktemp -d) || exit 1
TMPDIR=$folder setsid "$@" </dev/null &
program=$!
read -r _ <&3
kill -s KILL -- "-$program"
wait
rm -rf "$folder" || rm -rf "$folder""#;

/// A program under guard.
pub struct Kept(Child);

impl Kept {
    pub fn start(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new("setsid");
        command
            .args(["sh", "-c", GUARD, "guard", program])
            .args(arguments)
            .envs(variables.iter().copied());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Self(command.spawn().expect("setsid runs"))
    }

    pub fn output(&mut self) -> ChildStdout {
        self.0.stdout.take().unwrap()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Until nothing of it is left: what comes next may want its port.
        let _ = self.0.wait();
    }
}
