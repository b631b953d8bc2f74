//! Finds the running processes of a stack without their records, by the command lines of their
//! supervisors.

use crate::process::SUPERVISOR_NAME;
use crate::process_record::{Description, ProcessRecord, is_name};
use crate::process_tree::ProcessIdentity;
use anyhow::{Context, Result};
use procfs::process::{Process, Stat, all_processes};
use procfs::{CurrentSI, KernelStats};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A process of a stack: of this one, or of another on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackProcess {
    /// The folder of the stack (`SANDBOX_HOME`).
    pub home: PathBuf,
    /// The name of the process in it.
    pub name: String,
}

/// What the command line of a supervisor says.
#[derive(Debug, PartialEq, Eq)]
struct SupervisorArguments {
    log: PathBuf,
    run: PathBuf,
    name: String,
    description: Vec<u8>,
}

/// The records of all running processes whose exit codes go to the folder `run`, made from the
/// processes.
pub(crate) fn running_in(run: &Path) -> Result<Vec<ProcessRecord>> {
    let all: Vec<(Stat, Option<SupervisorArguments>)> = all_processes()
        .context("cannot read /proc")?
        .filter_map(|process| process.ok()?.stat().ok())
        .map(|stat| {
            let arguments = arguments_of(stat.pid).filter(|arguments| arguments.run == run);
            (stat, arguments)
        })
        .collect();
    let is_supervisor = |pid: i32| {
        all.iter()
            .any(|(stat, arguments)| stat.pid == pid && arguments.is_some())
    };
    let mut found = Vec::new();
    for (supervisor, arguments) in &all {
        let Some(arguments) = arguments else { continue };
        // A process that the shell has forked, and that has not become the program yet or watches
        // the pipe, has the same command line.
        if is_supervisor(supervisor.ppid) {
            continue;
        }
        let children = all
            .iter()
            .filter(|(stat, arguments)| stat.ppid == supervisor.pid && arguments.is_none());
        if let Some((program, _)) = children.min_by_key(|(stat, _)| stat.starttime)
            && let Some(process) = ProcessIdentity::of(program.pid)?
            && let Some(supervisor) = ProcessIdentity::of(supervisor.pid)?
        {
            found.push(record_of(arguments, process, supervisor)?);
        }
    }
    Ok(found)
}

fn record_of(
    arguments: &SupervisorArguments,
    process: ProcessIdentity,
    supervisor: ProcessIdentity,
) -> Result<ProcessRecord> {
    // A supervisor of an earlier version has no description.
    let description: Description =
        serde_json::from_slice(&arguments.description).unwrap_or_default();
    let boot = KernelStats::current()
        .context("cannot read /proc/stat")?
        .btime;
    let uptime_ms = process.started.saturating_mul(1000) / procfs::ticks_per_second().max(1);
    Ok(ProcessRecord {
        name: arguments.name.clone(),
        process,
        supervisor,
        started_at_ms: boot.saturating_mul(1000).saturating_add(uptime_ms),
        starts: description.starts.max(1),
        stop_signal: description.stop_signal,
        log: arguments.log.clone(),
        log_start: description.log_start,
        labels: description.labels,
    })
}

/// The stack to which a process belongs: the nearest supervisor among its ancestors. `None` for a
/// process that no stack has started.
#[must_use]
pub fn stack_process_of(pid: i32) -> Option<StackProcess> {
    let mut pid = pid;
    while pid > 1 {
        if let Some(SupervisorArguments { run, name, .. }) = arguments_of(pid) {
            let home = run.parent()?.to_owned();
            return Some(StackProcess { home, name });
        }
        pid = Process::new(pid).ok()?.stat().ok()?.ppid;
    }
    None
}

/// `None` for a process that is no supervisor, or has ended.
fn arguments_of(pid: i32) -> Option<SupervisorArguments> {
    parse(&fs::read(format!("/proc/{pid}/cmdline")).ok()?)
}

/// Reads `sh -c SCRIPT supervisor LOG EXIT_FILE FOLDER_TO_REMOVE DESCRIPTION PROGRAM …`, separated
/// by zero bytes.
fn parse(command_line: &[u8]) -> Option<SupervisorArguments> {
    let words: Vec<&[u8]> = command_line.split(|byte| *byte == 0).collect();
    let [_, b"-c", _, supervisor, log, exit_file, _, description, ..] = words.as_slice() else {
        return None;
    };
    if *supervisor != SUPERVISOR_NAME.as_bytes() {
        return None;
    }
    let path = |bytes| PathBuf::from(OsStr::from_bytes(bytes));
    let exit_file = path(exit_file);
    let name = exit_file.file_name()?.to_str()?.strip_suffix(".exit")?;
    let run = exit_file.parent()?;
    if !is_name(name) || !run.is_absolute() || !run.ends_with("run") {
        return None;
    }
    Some(SupervisorArguments {
        log: path(log),
        run: run.to_owned(),
        name: name.to_owned(),
        description: description.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_command_line_of_a_supervisor_names_a_process_of_a_stack() {
        let line = |words: &[&str]| words.join("\0").into_bytes();
        let supervisor = [
            "sh",
            "-c",
            "script",
            "supervisor",
            "/a b/logs/kafka.log",
            "/a b/run/kafka.exit",
            "",
            "{}",
            "java",
            "-Xmx1g",
            "",
        ];
        let found = parse(&line(&supervisor)).unwrap();
        assert_eq!(found.run, Path::new("/a b/run"));
        assert_eq!(
            (found.name.as_str(), &*found.description),
            ("kafka", &b"{}"[..])
        );
        for (place, other) in [
            (1, "-x"),
            (3, "else"),
            (5, "/a b/run/kafka"),
            (5, "run/kafka.exit"),
            (5, "/a b/elsewhere/kafka.exit"),
            (5, "/a b/run/.exit"),
        ] {
            let mut words = supervisor;
            words[place] = other;
            assert_eq!(parse(&line(&words)), None, "{other}");
        }
        for short in ["", "sh", "sh\0-c\0script\0supervisor\0/log"] {
            assert_eq!(parse(short.as_bytes()), None, "{short:?}");
        }
    }
}
