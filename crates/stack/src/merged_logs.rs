//! The log files of several processes as one list of lines in order of time, each with the name of its process.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result};
use chrono::{DateTime, NaiveDateTime, Utc};
use shared_events::OrderId;

use crate::Stack;

/// Reads the log file of one process, from call to call.
#[derive(Debug)]
pub struct LogReader {
    name: String,
    file: PathBuf,
    offset: u64,
    unfinished: Vec<u8>,
    last: Option<DateTime<Utc>>,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The name of the process.
    pub name: String,
    /// The time of the line. A line without one (of a stack trace) has the time of the line before it.
    pub at: Option<DateTime<Utc>>,
    /// The line as written.
    pub text: String,
}

impl LogReader {
    /// Starts at the beginning of the file.
    pub fn new(name: String, file: PathBuf) -> Self {
        Self {
            name,
            file,
            offset: 0,
            unfinished: Vec::new(),
            last: None,
        }
    }

    /// The name of the process.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The complete lines written since the last call. A missing file has no lines. A file that became shorter was replaced,
    /// and is read from its beginning.
    pub fn read(&mut self) -> Result<Vec<LogLine>> {
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
        let complete = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        self.unfinished = bytes.split_off(complete);
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.lines().map(|line| self.line(line)).collect())
    }

    fn line(&mut self, text: &str) -> LogLine {
        self.last = time_of(text).or(self.last);
        LogLine {
            name: self.name.clone(),
            at: self.last,
            text: text.to_owned(),
        }
    }

    fn unreadable(&self) -> String {
        format!("cannot read {}", self.file.display())
    }
}

/// Sorts lines by time. The sort is stable: lines of one process keep their order when their times are equal.
pub fn sort_by_time(mut lines: Vec<LogLine>) -> Vec<LogLine> {
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

/// The lines that name this order, from the log of every service, instances that have ended included.
pub fn lines_about_order(stack: &Stack<'_>, order: OrderId) -> Result<Vec<LogLine>> {
    let id = order.to_string();
    let folder = stack.state_dir().logs();
    let mut found = Vec::new();
    let entries = std::fs::read_dir(&folder);
    for entry in entries.with_context(|| format!("cannot read {}", folder.display()))? {
        let file = entry?.path();
        let name = file
            .file_stem()
            .map(|name| name.to_string_lossy().into_owned());
        if let Some(name) = name.filter(|name| name.contains("-service")) {
            let lines = LogReader::new(name, file).read()?;
            found.extend(lines.into_iter().filter(|line| line.text.contains(&id)));
        }
    }
    Ok(sort_by_time(found))
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
    fn a_stack_trace_stays_with_its_line_when_logs_are_merged() {
        let folder = tempfile::tempdir().unwrap();
        let reader = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            LogReader::new(name.to_owned(), path)
        };
        let mut one = reader(
            "one",
            "2026-01-31T12:00:01Z a\n  trace\n2026-01-31T12:00:03Z c\n",
        );
        let mut two = reader("two", "2026-01-31T12:00:02Z b\nunfinished");
        let lines = [one.read().unwrap(), two.read().unwrap()].concat();
        let texts: Vec<_> = sort_by_time(lines)
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
    fn only_complete_lines_are_read_and_a_replaced_file_from_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut reader = LogReader::new("log".to_owned(), path.clone());
        assert_eq!(reader.read().unwrap(), []);
        let mut file = File::create(&path).unwrap();
        file.write_all(b"first\nsec").unwrap();
        let texts =
            |lines: Vec<LogLine>| lines.into_iter().map(|line| line.text).collect::<Vec<_>>();
        assert_eq!(texts(reader.read().unwrap()), ["first"]);
        file.write_all(b"ond\n").unwrap();
        assert_eq!(texts(reader.read().unwrap()), ["second"]);
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(texts(reader.read().unwrap()), ["new"]);
    }
}
