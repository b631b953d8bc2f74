//! A program that ends with the test, even if the test is killed.

use std::process::{Child, ChildStdout, Command, Stdio};

/// Starts the program in a process group (`setsid`) with a temporary folder. When standard input
/// ends, kills the group and removes the folder. Standard input ends when the test drops the other
/// end, and also when the test process dies. The folder is removed with a second try, since a
/// killed process may still have been writing at the first.
const GUARD: &str = r#"exec 3<&0
folder=$(mktemp -d) || exit 1
TMPDIR=$folder setsid "$@" </dev/null &
program=$!
read -r _ <&3
kill -s KILL -- "-$program"
wait
rm -rf "$folder" || rm -rf "$folder""#;

pub struct ChildProgram(Child);

impl ChildProgram {
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

    pub fn stdout(&mut self) -> ChildStdout {
        self.0.stdout.take().unwrap()
    }
}

impl Drop for ChildProgram {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Waits for the end, so that the port is free for the next program.
        let _ = self.0.wait();
    }
}
