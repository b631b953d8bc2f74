//! How many events load-generator gets into Kafka, and how well it keeps a rate.
//!
//! They go into a topic of their own, made anew for each measurement and deleted after it: the shop does not have to carry millions
//! of orders to an end, and no measurement finds the disk full of another's. The shop runs on beside it, with nothing to do.
//!
//! * **burst**: events acknowledged a second, from the start of the load until the last acknowledgement, as load-generator says.
//! * **Kafka's own `producer-perf-test`**, in the same run: as many records, with the same settings of the producer. Each is one of
//!   the events just sent, with key and headers strung into its value: so it has the same size, and compresses about as well. As
//!   `./sandbox kafka` starts it, and once more with all of Java's compilers: that one starts tools for a short life, with the first
//!   alone, and a comparison with a slow tool says little. Its rate is the one it prints at its end.
//! * **rates**: what an open loop is asked for, and what it came to until the last acknowledgement.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::future::Future;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kafka_admin::Cluster;
use kafka_admin::KafkaSettings;
use kafka_admin::records::{Query, Record, Start};
use local_runtime::kafka_tools;
use serde::Deserialize;
use shared_events::Topic;
use tempfile::NamedTempFile;
use tokio::process::Command;

use super::figures::Figures;
use stack::layout::StackLayout;
use stack::settings::environment;
use stack::workload::Workload;

/// Most events of a burst: 5 million are what a topic holds (3 GiB), and what load-generator takes.
pub const MOST_EVENTS: u64 = 5_000_000;

/// Orders a second that are asked for, one after the other.
pub const RATES: [u32; 3] = [1_000, 10_000, 50_000];

/// How both send: load-generator's argument, Kafka's name, and the value, which is load-generator's default.
const SETTINGS: [(&str, &str, &str); 4] = [
    ("--acks", "acks", "all"),
    ("--compression", "compression.type", "lz4"),
    ("--linger-ms", "linger.ms", "5"),
    ("--batch-bytes", "batch.size", "1000000"),
];

/// How Kafka's tool is run, and what Java's environment says for it. What stands in `_JAVA_OPTIONS` overrides the command line.
const TOOLS: [(&str, Option<&str>); 2] = [
    ("as ./sandbox kafka runs it", None),
    (
        "with all of Java's compilers",
        Some("-XX:TieredStopAtLevel=4"),
    ),
];

/// Events of each partition from which those of Kafka's tool are taken: more than fit into the window of lz4 (64 KiB) many times.
const SAMPLES: i64 = 5_000;

/// How long the broker may take to answer before anything begins.
const REACHED_WITHIN: Duration = Duration::from_secs(5);

/// The topic of the load.
pub struct Scene<'s> {
    layout: &'s StackLayout,
    kafka: KafkaSettings,
    cluster: Cluster,
}

/// What load-generator says of a load, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Summary {
    asked: u64,
    acknowledged: u64,
    per_second: f64,
}

impl<'s> Scene<'s> {
    /// A topic with a name that the shop does not use. It is not made yet.
    pub async fn open(layout: &'s StackLayout) -> Result<Self> {
        let shop = layout.kafka();
        let prefix = shop.name_prefix.name("bench-").parse();
        let kafka = KafkaSettings {
            name_prefix: prefix.context("NAME_PREFIX leaves no room for \"bench-\" behind it")?,
            ..shop
        };
        let cluster = Cluster::new(&kafka)?;
        cluster.ping(REACHED_WITHIN).await?;
        Ok(Self {
            layout,
            kafka,
            cluster,
        })
    }

    /// Does the work, and leaves no topic behind: also when the work fails, and on Ctrl-C, which ends the work.
    pub async fn during<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let guard = self.layout.interrupt().guard()?;
        let outcome = guard.unless_interrupted(work).await;
        // A signal has ended the first hold, but must not end this.
        let _back = self.layout.interrupt().guard()?;
        let cleared = self.cluster.delete_topics(&[Topic::Orders]).await;
        let cleared = cleared.map_err(anyhow::Error::from);
        outcome.and_then(|outcome| cleared.map(|()| outcome))
    }

    /// A burst, and Kafka's own tool with as many records of the same size.
    pub async fn burst(&self, events: u64, figures: &mut Figures) -> Result<()> {
        let burst = self
            .load(&["burst", "--count", &events.to_string()])
            .await?
            .per_second;
        figures.add("burst", "events/s", burst);
        let samples = self.samples().await?;
        for (how, java) in TOOLS {
            let tool = self.perf_test(events, &samples, java).await?;
            figures.add(format!("producer-perf-test {how}"), "records/s", tool);
            let name = format!("burst, compared with producer-perf-test {how}");
            figures.add(name, "times", burst / tool);
        }
        Ok(())
    }

    /// An open loop at this rate, for so many seconds.
    pub async fn rate(&self, rate: u32, seconds: u32, figures: &mut Figures) -> Result<()> {
        let (asked, duration) = (rate.to_string(), format!("{seconds}s"));
        let asked = [
            "continuous",
            "--events-per-second",
            &asked,
            "--duration",
            &duration,
        ];
        let came = self.load(&asked).await?.per_second;
        let (asked, off) = (f64::from(rate), came - f64::from(rate));
        figures.add(format!("{rate}/s asked: came"), "events/s", came);
        figures.add(format!("{rate}/s asked: off by"), "%", 100.0 * off / asked);
        Ok(())
    }

    /// One load into an empty topic. Of which not all is acknowledged, is none.
    async fn load(&self, asked: &[&str]) -> Result<Summary> {
        self.empty().await?;
        let generator = Workload::LoadGenerator;
        let prefix = self.kafka.name_prefix.to_string();
        let changed = BTreeMap::from([("NAME_PREFIX".to_owned(), prefix)]);
        let mut command = Command::new(self.layout.binary(generator));
        command
            .args(asked)
            .args(SETTINGS.iter().flat_map(|(name, _, value)| [name, value]))
            .arg("--json")
            .env_clear()
            .envs(environment(self.layout, generator, 1, &changed)?);
        let said = output(command, "load-generator").await?;
        let summary: Summary =
            serde_json::from_str(&said).context("load-generator has no summary")?;
        let Summary {
            asked,
            acknowledged,
            ..
        } = summary;
        if acknowledged != asked {
            bail!("{acknowledged} of {asked} events were acknowledged: this is no figure");
        }
        Ok(summary)
    }

    /// Records a second by Kafka's own tool, into an empty topic.
    async fn perf_test(
        &self,
        records: u64,
        samples: &NamedTempFile,
        java: Option<&str>,
    ) -> Result<f64> {
        self.empty().await?;
        let (topic, count) = (self.topic(), records.to_string());
        let asked = ["--topic", &topic, "--num-records", &count];
        let mut arguments: Vec<OsString> = asked.map(OsString::from).to_vec();
        arguments.extend(["--throughput", "-1", "--payload-file"].map(OsString::from));
        arguments.push(samples.path().into());
        arguments.push("--command-property".into());
        let settings = SETTINGS.map(|(_, name, value)| format!("{name}={value}"));
        arguments.extend(settings.map(OsString::from));
        let installation = self.layout.sources().installed()?;
        let broker = &self.kafka.bootstrap_servers;
        let tool = kafka_tools::command(&installation, broker, "producer-perf-test", &arguments)?;
        let mut tool = Command::from(tool);
        // So that its figures have a point and no comma.
        tool.env("LC_ALL", "C");
        if let Some(java) = java {
            tool.env("_JAVA_OPTIONS", java);
        }
        let said = output(tool, "producer-perf-test").await?;
        match told(&said) {
            Some((sent, rate)) if sent == records => Ok(rate),
            _ => bail!("producer-perf-test says something else than expected: {said}"),
        }
    }

    /// Events of the last load, each as one line of a file.
    async fn samples(&self) -> Result<NamedTempFile> {
        let last = Query {
            start: Start::Last(SAMPLES),
            ..Query::default()
        };
        let records = self.cluster.read(&self.topic(), &last).await?;
        let mut file = NamedTempFile::new().context("cannot make a file for the records")?;
        let lines: Vec<Vec<u8>> = records.iter().map(strung).collect();
        let written = file.write_all(&lines.join(&b'\n'));
        written.context("cannot write the records down")?;
        Ok(file)
    }

    /// What was there is gone, and the topic is there.
    async fn empty(&self) -> Result<()> {
        let topics = [Topic::Orders];
        self.cluster.delete_topics(&topics).await?;
        self.cluster.create_topics(&topics, None).await?;
        Ok(())
    }

    fn topic(&self) -> String {
        self.kafka.name_prefix.topic(Topic::Orders)
    }
}

/// All of a record: as many bytes as key, headers and value have together. An event has no line breaks.
fn strung(record: &Record) -> Vec<u8> {
    let mut all = record.key.clone().unwrap_or_default();
    for (name, value) in record.headers.iter().flatten() {
        all.extend_from_slice(name.as_bytes());
        all.extend_from_slice(value.as_deref().unwrap_or_default());
    }
    all.extend_from_slice(record.value.as_deref().unwrap_or_default());
    all
}

/// How many records the tool sent, and how many a second, by its last line; those before are of parts of it.
fn told(said: &str) -> Option<(u64, f64)> {
    let mut lines = said.lines().rev();
    let (sent, rest) = lines.find_map(|line| line.split_once(" records sent, "))?;
    let (rate, _) = rest.split_once(" records/sec")?;
    Some((sent.trim().parse().ok()?, rate.parse().ok()?))
}

/// What a program printed that has to end well. It is killed when nobody waits any more.
async fn output(mut command: Command, name: &str) -> Result<String> {
    let ended = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let ended = ended
        .await
        .with_context(|| format!("cannot run {name}: ./sandbox up brings all that is needed"))?;
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    if !ended.status.success() {
        let errors = String::from_utf8_lossy(&ended.stderr);
        bail!(
            "{name} failed: {}{said}",
            errors.trim_start_matches("error: ")
        );
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_the_tool_counts_and_none_that_is_no_figure() {
        let said = "600000 records sent, 119976.0 records/sec (68.66 MB/sec), 1.2 ms avg latency, 9.0 ms max latency.\n\
            1000000 records sent, 123456.7 records/sec (70.64 MB/sec), 1.10 ms avg latency, 9.00 ms max latency, 1 ms 50th.\n";
        assert_eq!(told(said), Some((1_000_000, 123_456.7)));
        for other in [
            "",
            "1 records sent, fast",
            "org.apache.kafka.KafkaException",
        ] {
            assert_eq!(told(other), None, "{other}");
        }
    }

    #[test]
    fn a_record_is_strung_into_as_many_bytes_as_it_has() {
        let record = Record {
            topic: "orders".to_owned(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: Some(b"key".to_vec()),
            headers: Some(vec![("name".to_owned(), Some(b"header".to_vec()))]),
            value: Some(b"value".to_vec()),
        };
        assert_eq!(strung(&record), b"keynameheadervalue");
    }
}
