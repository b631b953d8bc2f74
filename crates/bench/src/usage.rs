//! What processes take: processor time and memory, from `/proc`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use local_runtime::process::ProcessRecord;
use procfs::process::Process;
use procfs::{Current, CurrentSI, KernelStats, LoadAverage};

use stack::Stack;

/// This program, beside the processes of the stack.
pub const OURSELVES: &str = "this program";

/// What every process had taken at one moment, by name.
#[derive(Debug, Clone)]
pub struct Sample {
    processes: BTreeMap<String, Taken>,
    /// Seconds that all processors together were busy since boot.
    busy_s: f64,
}

/// What one process, with its descendants, had taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Taken {
    /// User and system time, seconds.
    pub processor_s: f64,
    /// Resident memory, bytes. Pages that descendants share count once for each.
    pub resident_bytes: u64,
}

/// What happened between two samples.
#[derive(Debug, Clone)]
pub struct Used {
    /// Processor seconds of each process.
    pub by_process: BTreeMap<String, f64>,
    /// Processor seconds of everybody else on this machine.
    pub others_s: f64,
}

impl Sample {
    /// What the processes of this stack, and this program, have taken so far.
    pub fn take(stack: &Stack<'_>) -> Result<Self> {
        let records = stack.processes.records()?.into_iter();
        let mut processes: BTreeMap<_, _> = records
            .filter_map(|record| Some((record.name.clone(), of(&record)?)))
            .collect();
        let stat = Process::myself().and_then(|own| own.stat());
        let stat = stat.context("cannot read /proc/self/stat")?;
        let own = Taken {
            processor_s: seconds(stat.utime + stat.stime),
            resident_bytes: stat.rss * procfs::page_size(),
        };
        processes.insert(OURSELVES.to_owned(), own);
        let all = KernelStats::current()
            .context("cannot read /proc/stat")?
            .total;
        let busy = [
            all.user,
            all.nice,
            all.system,
            all.irq.unwrap_or(0),
            all.softirq.unwrap_or(0),
        ];
        Ok(Self {
            processes,
            busy_s: seconds(busy.iter().sum()),
        })
    }

    /// Name and memory of each process.
    pub fn memory(&self) -> impl Iterator<Item = (&str, u64)> {
        let all = self.processes.iter();
        all.map(|(name, taken)| (name.as_str(), taken.resident_bytes))
    }

    /// What was used since an earlier sample. A process that is new since then counts from its start.
    pub fn since(&self, earlier: &Self) -> Used {
        let before = |name| {
            earlier
                .processes
                .get(name)
                .map_or(0.0, |taken| taken.processor_s)
        };
        let used = self.processes.iter();
        let by_process: BTreeMap<_, _> = used
            .map(|(name, taken)| (name.clone(), (taken.processor_s - before(name)).max(0.0)))
            .collect();
        let ours: f64 = by_process.values().sum();
        Used {
            others_s: (self.busy_s - earlier.busy_s - ours).max(0.0),
            by_process,
        }
    }
}

/// With the time of children that have ended and were waited for: PostgreSQL's come and go.
fn of(record: &ProcessRecord) -> Option<Taken> {
    let usage = record.process.usage()?;
    let stat = Process::new(record.process.pid).ok()?.stat().ok()?;
    let waited_for = u64::try_from(stat.cutime + stat.cstime).unwrap_or(0);
    Some(Taken {
        processor_s: seconds(usage.processor_ticks + waited_for),
        resident_bytes: usage.resident_bytes,
    })
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / procfs::ticks_per_second() as f64
}

/// The machine's load average of the last minute: how many processes wanted a processor, ours among them.
pub fn load() -> Result<f64> {
    let load = LoadAverage::current().context("cannot read /proc/loadavg")?;
    // The kernel tells two digits; more would come from the conversion.
    Ok((f64::from(load.one) * 100.0).round() / 100.0)
}

/// How many processors there are.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(busy_s: f64, processes: &[(&str, f64)]) -> Sample {
        let taken = |processor_s| Taken {
            processor_s,
            resident_bytes: 0,
        };
        let processes = processes.iter();
        Sample {
            processes: processes
                .map(|(name, s)| ((*name).to_owned(), taken(*s)))
                .collect(),
            busy_s,
        }
    }

    #[test]
    fn what_the_machine_did_beyond_our_processes_was_done_by_others() {
        let before = sample(100.0, &[("kafka", 10.0)]);
        let after = sample(107.0, &[("kafka", 12.0), ("new", 1.5)]);
        let used = after.since(&before);
        assert_eq!(used.by_process["kafka"], 2.0);
        assert_eq!(used.by_process["new"], 1.5);
        assert_eq!(used.others_s, 3.5);
    }
}
