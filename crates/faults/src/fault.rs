//! What one fault of the catalogue is.

use crate::change::Change;
use crate::hold::Hold;
use crate::probe::Probe;

/// One fault: its texts, and the commands that cause it and undo it.
///
/// A command is the words after `./sandbox`, separated by single spaces, and every one of them is a
/// command of that program. Both modes run the same commands: local mode in processes of the
/// program itself, Docker mode through the scripts in `docker/`.
#[derive(Debug)]
pub struct Fault {
    /// The name that a person types: lower-case words with hyphens.
    pub name: &'static str,
    /// The fault in one line of the list.
    pub summary: &'static str,
    /// What really breaks: the mechanism.
    pub mechanism: &'static str,
    /// What a customer of the shop notices.
    pub customer: &'static str,
    /// Where the fault shows.
    pub shows: Shows,
    /// How the fault is repaired, in one sentence, by whatever means.
    pub repair: &'static str,
    /// What a repair cannot bring back. `None` if everything is as before. Then the check still finds
    /// the fault after the repair, or cannot find it any more although something is lost.
    pub remains: Option<&'static str>,
    /// The folder in `scenarios/` that is about this fault or about its symptom.
    pub scenario: &'static str,
    /// Where the fault can be caused.
    pub modes: Modes,
    /// The commands that cause the fault, in order.
    pub cause: &'static [&'static str],
    /// The commands that undo the fault, in order. Each succeeds, too, when the fault was caused only
    /// in part, or its process has ended meanwhile.
    pub undo: &'static [&'static str],
    /// How to find out whether the fault is there now.
    pub check: Check,
    /// What the command `fault hold NAME` does in the background.
    pub hold: Option<Hold>,
    /// What the commands `fault apply NAME` and `fault revert NAME` do.
    pub change: Option<Change>,
}

/// Where a fault shows.
#[derive(Debug, Clone, Copy)]
pub struct Shows {
    /// A dashboard of Grafana, and a panel of it.
    pub panel: (&'static str, &'static str),
    /// The words of a command after `./sandbox`.
    pub command: &'static str,
    /// A part of a log line, and the process that writes it; `None` if no process logs the fault.
    pub log: Option<(&'static str, &'static str)>,
}

/// Where a fault can be caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modes {
    /// In local mode and in Docker mode.
    Both,
    /// In local mode only, for this reason.
    LocalOnly(&'static str),
}

/// How to find out whether a fault is there now.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// This command succeeds if, and only if, the fault is there.
    Command(&'static str),
    /// `fault probe NAME` looks at the broker, the database or a service over the network.
    Probe(Probe),
}

impl Fault {
    /// Whether the fault is in the data of the broker, so that it outlives `down`.
    pub fn outlives_down(&self) -> bool {
        let in_data = ["consumer ", "topics ", "fault apply "];
        let mut starts = self
            .cause
            .iter()
            .flat_map(|command| in_data.map(|beginning| command.starts_with(beginning)));
        starts.any(|is_in_data| is_in_data) || self.change.is_some()
    }

    /// The command that succeeds if, and only if, the fault is there.
    pub fn check_command(&self) -> String {
        match self.check {
            Check::Command(command) => command.to_owned(),
            Check::Probe(_) => format!("fault probe {}", self.name),
        }
    }
}
