//! Log files of several processes, read as one: in order of time, each line with the name of the process that wrote it.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result};
use chrono::{DateTime, NaiveDateTime, Utc};
use shared_events::OrderId;

use crate::Stack;

/// The log file of one process, and how far it was read.
#[derive(Debug)]
pub struct Journal {
    name: String,
    file: PathBuf,
    offset: u64,
    unfinished: Vec<u8>,
    last: Option<DateTime<Utc>>,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whose.
    pub name: String,
    /// When it was written; for a line without a time (a stack trace), that of the line before it.
    pub at: Option<DateTime<Utc>>,
    /// As written.
    pub text: String,
}

impl Journal {
    /// The log of the process of this name, from its beginning.
    pub fn new(name: String, file: PathBuf) -> Self {
        Self {
            name,
            file,
            offset: 0,
            unfinished: Vec::new(),
            last: None,
        }
    }

    /// Whose it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The finished lines written since the last call. A file that is not there has none; one that became shorter was begun
    /// anew, and is read from its beginning.
    pub fn read(&mut self) -> Result<Vec<Line>> {
        let mut file = match File::open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| self.unreadable()),
        };
        let length = file.metadata().with_context(|| self.unreadable())?.len();
        if length < self.offset {
            self.offset = 0;
            self.unfinished.clear();
        }
        file.seek(SeekFrom::Start(self.offset))
            .with_context(|| self.unreadable())?;
        let mut bytes = std::mem::take(&mut self.unfinished);
        let read = file
            .read_to_end(&mut bytes)
            .with_context(|| self.unreadable())?;
        self.offset += read as u64;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        self.unfinished = bytes.split_off(whole);
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.lines().map(|line| self.line(line)).collect())
    }

    fn line(&mut self, text: &str) -> Line {
        self.last = time_of(text).or(self.last);
        Line {
            name: self.name.clone(),
            at: self.last,
            text: text.to_owned(),
        }
    }

    fn unreadable(&self) -> String {
        format!("cannot read {}", self.file.display())
    }
}

/// Puts lines in order of time. Lines of one process keep their order, also when their times are equal.
pub fn in_order_of_time(mut lines: Vec<Line>) -> Vec<Line> {
    lines.sort_by(|one, other| match (one.at, other.at) {
        (Some(one), Some(other)) => one.cmp(&other),
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    });
    lines
}

/// The time at the beginning of a line: RFC 3339, in text or JSON (services, Kafka), or PostgreSQL's (`2026-01-31 12:00:00.123 UTC`).
pub fn time_of(line: &str) -> Option<DateTime<Utc>> {
    let line = line.strip_prefix("{\"timestamp\":\"").unwrap_or(line);
    let first = line.split([' ', '"']).next()?;
    if let Ok(time) = DateTime::parse_from_rfc3339(first) {
        return Some(time.to_utc());
    }
    let both: String = line.chars().take(23).collect();
    NaiveDateTime::parse_from_str(&both, "%Y-%m-%d %H:%M:%S%.3f")
        .ok()
        .map(|time| time.and_utc())
}

/// The lines that name this order, from the log of every service, also of instances that have ended.
pub fn about(stack: &Stack<'_>, order: OrderId) -> Result<Vec<Line>> {
    let id = order.to_string();
    let folder = stack.home().logs();
    let mut found = Vec::new();
    let entries = std::fs::read_dir(&folder);
    for entry in entries.with_context(|| format!("cannot read {}", folder.display()))? {
        let file = entry?.path();
        let name = file
            .file_stem()
            .map(|name| name.to_string_lossy().into_owned());
        if let Some(name) = name.filter(|name| name.contains("-service")) {
            let lines = Journal::new(name, file).read()?;
            found.extend(lines.into_iter().filter(|line| line.text.contains(&id)));
        }
    }
    Ok(in_order_of_time(found))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_time_of_a_line_is_found_in_every_format_of_the_stack() {
        for line in [
            "2026-01-31T12:00:00.123000Z  INFO order_service: listening",
            "{\"timestamp\":\"2026-01-31T12:00:00.123000Z\",\"level\":\"INFO\"}",
            "2026-01-31 12:00:00.123 UTC [42] LOG:  starting",
            "2026-01-31T12:00:00.123000Z  WARN KafkaRaftServer: slow",
        ] {
            let time = time_of(line).unwrap();
            assert_eq!(time.to_rfc3339(), "2026-01-31T12:00:00.123+00:00", "{line}");
        }
        for line in [
            "",
            "    at java.lang.Thread.run",
            "[",
            "{\"timestamp\":\"",
            "ä",
        ] {
            assert_eq!(time_of(line), None, "{line}");
        }
    }

    #[test]
    fn lines_of_two_processes_are_shown_in_order_of_time_and_a_trace_stays_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let journal = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Journal::new(name.to_owned(), path)
        };
        let mut one = journal(
            "one",
            "2026-01-31T12:00:01Z a\n  trace\n2026-01-31T12:00:03Z c\n",
        );
        let mut two = journal("two", "2026-01-31T12:00:02Z b\nunfinished");
        let lines = [one.read().unwrap(), two.read().unwrap()].concat();
        let texts: Vec<_> = in_order_of_time(lines)
            .into_iter()
            .map(|line| {
                format!(
                    "{} {}",
                    line.name,
                    line.text.split(' ').next_back().unwrap()
                )
            })
            .collect();
        assert_eq!(texts, ["one a", "one trace", "two b", "one c"]);
    }

    #[test]
    fn a_line_is_read_once_it_is_finished_and_a_file_begun_anew_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut journal = Journal::new("log".to_owned(), path.clone());
        assert_eq!(journal.read().unwrap(), []);
        let mut file = File::create(&path).unwrap();
        file.write_all(b"first\nsec").unwrap();
        let texts = |lines: Vec<Line>| lines.into_iter().map(|line| line.text).collect::<Vec<_>>();
        assert_eq!(texts(journal.read().unwrap()), ["first"]);
        file.write_all(b"ond\n").unwrap();
        assert_eq!(texts(journal.read().unwrap()), ["second"]);
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(texts(journal.read().unwrap()), ["new"]);
    }
}
