//! The entries of a log: a line, with the stack trace or the message that belongs to it. An error
//! is reported by its cause, which is seldom the last line of a log.

/// One entry: its first line and the lines that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry<'a> {
    head: &'a str,
    rest: Vec<&'a str>,
}

/// What marks the first line of an entry as a failure, in the formats of the services, Kafka,
/// PostgreSQL, Prometheus, Java and their command-line parsers.
const FAILURES: [&str; 11] = [
    " ERROR ",
    "\"level\":\"ERROR\"",
    "level=error",
    "level=ERROR",
    " FATAL ",
    "FATAL:",
    "PANIC:",
    "error:",
    "Error:",
    "panicked at",
    "Exception",
];

/// What marks a line that is less than a failure, although it may quote one.
const REMARKS: [&str; 6] = [
    " WARN ",
    " INFO ",
    "WARNING:",
    "LOG:",
    " warning: ",
    "Picked up ",
];

/// The cause of a failed start, from the lines of that start: the first failure, or the last entry
/// if none looks like a failure. `None` for an empty text.
pub(crate) fn first_failure(text: &str) -> Option<String> {
    let entries = entries(text);
    if let Some(cause) = refused_by_java(&entries) {
        return Some(cause);
    }
    let failure = entries.iter().find(|entry| entry.is_failure());
    failure.or(entries.last()).map(Entry::summary)
}

/// The last entry, as one line. `None` for an empty text.
pub(super) fn last_entry(text: &str) -> Option<String> {
    entries(text).last().map(Entry::summary)
}

/// Java names the option that it refuses first, and then says twice that it does not start.
fn refused_by_java(entries: &[Entry<'_>]) -> Option<String> {
    const REFUSALS: [&str; 2] = [
        "Error: Could not create the Java Virtual Machine",
        "Error occurred during initialization of VM",
    ];
    let refused = |entry: &Entry<'_>| REFUSALS.iter().any(|one| entry.head.starts_with(one));
    if !entries.iter().any(refused) {
        return None;
    }
    let cause = entries.iter().find(|one| !refused(one) && !one.is_remark());
    cause.map(Entry::summary)
}

fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match entries.last_mut() {
            Some(entry) if entry.is_continued_by(line) => entry.rest.push(line.trim()),
            _ => entries.push(Entry {
                head: line.trim(),
                rest: Vec::new(),
            }),
        }
    }
    entries
}

impl Entry<'_> {
    fn is_continued_by(&self, line: &str) -> bool {
        line.starts_with([' ', '\t'])
            || line.starts_with("Caused by: ")
            || line.starts_with("Suppressed: ")
            || (is_exception(line) && !is_exception(self.head))
            || (self.head.contains("panicked at") && self.rest.is_empty())
    }

    fn is_remark(&self) -> bool {
        REMARKS.iter().any(|mark| self.head.contains(mark))
    }

    fn is_failure(&self) -> bool {
        !self.is_remark() && FAILURES.iter().any(|mark| self.head.contains(mark))
    }

    /// The innermost cause of a stack trace, else its exception, else the first line.
    fn summary(&self) -> String {
        let mut causes = self.rest.iter().rev();
        if let Some(cause) = causes.find_map(|line| line.strip_prefix("Caused by: ")) {
            return cause.to_owned();
        }
        if let Some(exception) = self.rest.iter().find(|line| is_exception(line)) {
            return (*exception).to_owned();
        }
        if let Some((_, exception)) = self
            .head
            .strip_prefix("Exception in thread \"")
            .and_then(|rest| rest.split_once("\" "))
        {
            return exception.to_owned();
        }
        match (self.head.contains("panicked at"), self.rest.first()) {
            (true, Some(message)) => format!("{} {message}", self.head),
            _ => self.head.to_owned(),
        }
    }
}

/// `java.io.IOException: No space left on device`, or the name of the class alone.
fn is_exception(line: &str) -> bool {
    let class = line.split(':').next().unwrap_or_default();
    let ending = ["Exception", "Error", "Throwable"];
    class.contains('.')
        && ending.iter().any(|ending| class.ends_with(ending))
        && class
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._$".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_of_a_failed_start_is_named_in_the_format_of_every_program() {
        for (log, cause) in [
            (
                "Unrecognized option: -Xnonsense\nError: Could not create the Java Virtual Machine.\n\
                 Error: A fatal exception has occurred. Program will exit.\n",
                "Unrecognized option: -Xnonsense",
            ),
            (
                "Picked up JAVA_TOOL_OPTIONS: -Dx=y\nOpenJDK 64-Bit Server VM warning: Option UseX was deprecated\n\
                 Error occurred during initialization of VM\nInitial heap size set to a larger value than the maximum heap size\n",
                "Initial heap size set to a larger value than the maximum heap size",
            ),
            (
                "2026-01-31T12:00:00.123000Z  WARN QuorumController: Performing error: activation\n\
                 2026-01-31T12:00:01.123000Z ERROR Kafka: Exiting Kafka due to fatal exception during startup.\n\
                 org.apache.kafka.common.KafkaException: Socket server failed to bind\n\
                 \tat kafka.network.Acceptor.openServerSocket(SocketServer.scala:1)\n\
                 Caused by: java.net.BindException: Address already in use\n\
                 \tat java.base/sun.nio.ch.Net.bind0(Native Method)\n\t... 12 more\n\
                 2026-01-31T12:00:02.123000Z ERROR Kafka: Halting\n",
                "java.net.BindException: Address already in use",
            ),
            (
                "Exception in thread \"main\" java.io.IOException: No space left on device\n\tat java.base/java.io.X.write(X.java:1)\n",
                "java.io.IOException: No space left on device",
            ),
            (
                "Error: Could not find or load main class kafka.Kafka\nCaused by: java.lang.ClassNotFoundException: kafka.Kafka\n",
                "java.lang.ClassNotFoundException: kafka.Kafka",
            ),
            (
                "2026-01-31 12:00:00.123 UTC [1] LOG:  could not bind IPv4 address\n\
                 2026-01-31 12:00:00.124 UTC [1] FATAL:  could not create any TCP/IP sockets\n\
                 2026-01-31 12:00:00.125 UTC [1] LOG:  database system is shut down\n",
                "2026-01-31 12:00:00.124 UTC [1] FATAL:  could not create any TCP/IP sockets",
            ),
            (
                "initdb: error: could not create directory \"x\": No space left on device\ninitdb: removing data directory \"x\"\n",
                "initdb: error: could not create directory \"x\": No space left on device",
            ),
            (
                "thread 'main' panicked at src/main.rs:3:5:\nno settings\nnote: run with `RUST_BACKTRACE=1`\n",
                "thread 'main' panicked at src/main.rs:3:5: no settings",
            ),
            ("one\n\n  two\nthree\n\n", "three"),
        ] {
            assert_eq!(first_failure(log).as_deref(), Some(cause), "{log}");
        }
        assert_eq!(first_failure("\n \n"), None);
    }

    #[test]
    fn the_last_entry_of_a_log_is_no_line_of_a_stack_trace() {
        let log = "2026-01-31T12:00:00Z ERROR LogDirFailureChannel: Error while flushing data/kafka\n\
                   java.io.IOException: No space left on device\n\tat a.B.c(B.java:1)\n\tat a.B.d(B.java:2)\n";
        assert_eq!(
            last_entry(log).unwrap(),
            "java.io.IOException: No space left on device"
        );
        assert_eq!(last_entry("a\nb\n").unwrap(), "b");
    }
}
