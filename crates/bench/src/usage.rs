//! Processor time and memory of processes, from `/proc`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use local_runtime::process::ProcessRecord;
use procfs::process::Process;
use procfs::{Current, CurrentSI, KernelStats, LoadAverage};

use stack::Stack;

/// The name of this program in a [`UsageSample`], beside the processes of the stack.
pub const THIS_PROGRAM: &str = "this program";

/// The usage of every process at one moment, by name.
#[derive(Debug, Clone)]
pub struct UsageSample {
    processes: BTreeMap<String, ProcessUsage>,
    /// The busy time of all processors together since boot, seconds.
    busy_s: f64,
}

/// The usage of a process and its descendants.
#[derive(Debug, Clone, Copy, PartialEq)]
struct ProcessUsage {
    /// User and system time, seconds.
    processor_s: f64,
    /// Resident memory, bytes. A page that processes share counts once for each of them.
    resident_bytes: u64,
}

/// The processor time between two samples, seconds.
#[derive(Debug, Clone)]
pub struct UsageDelta {
    pub by_process: BTreeMap<String, f64>,
    /// The processor time of all other processes of this machine.
    pub others_s: f64,
}

impl UsageSample {
    /// Reads the usage of this stack's processes and of this program.
    pub fn take(stack: &Stack<'_>) -> Result<Self> {
        let records = stack.processes.records()?.into_iter();
        let mut processes: BTreeMap<_, _> = records
            .filter_map(|record| Some((record.name.clone(), process_usage(&record)?)))
            .collect();
        let stat = Process::myself().and_then(|own| own.stat());
        let stat = stat.context("cannot read /proc/self/stat")?;
        let own = ProcessUsage {
            processor_s: seconds(stat.utime + stat.stime),
            resident_bytes: stat.rss * procfs::page_size(),
        };
        processes.insert(THIS_PROGRAM.to_owned(), own);
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

    /// Name and resident memory (bytes) of each process.
    pub fn memory(&self) -> impl Iterator<Item = (&str, u64)> {
        let all = self.processes.iter();
        all.map(|(name, usage)| (name.as_str(), usage.resident_bytes))
    }

    /// The usage since an earlier sample. A process that was started after the earlier sample
    /// counts from its start.
    pub fn since(&self, earlier: &Self) -> UsageDelta {
        let before = |name| {
            earlier
                .processes
                .get(name)
                .map_or(0.0, |usage| usage.processor_s)
        };
        let processes = self.processes.iter();
        let by_process: BTreeMap<_, _> = processes
            .map(|(name, usage)| (name.clone(), (usage.processor_s - before(name)).max(0.0)))
            .collect();
        let sum: f64 = by_process.values().sum();
        UsageDelta {
            others_s: (self.busy_s - earlier.busy_s - sum).max(0.0),
            by_process,
        }
    }
}

/// Includes the processor time of children that have ended and were waited for, because PostgreSQL
/// has a process for each connection. `None` if the process has ended.
fn process_usage(record: &ProcessRecord) -> Option<ProcessUsage> {
    let usage = record.process.usage()?;
    let stat = Process::new(record.process.pid).ok()?.stat().ok()?;
    let waited_for = u64::try_from(stat.cutime + stat.cstime).unwrap_or(0);
    Some(ProcessUsage {
        processor_s: seconds(usage.processor_ticks + waited_for),
        resident_bytes: usage.resident_bytes,
    })
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / procfs::ticks_per_second() as f64
}

/// The greatest resident memory of this program since its start, bytes.
pub fn peak_memory() -> Result<u64> {
    let status = Process::myself().and_then(|own| own.status());
    let status = status.context("cannot read /proc/self/status")?;
    let kilobytes = status.vmhwm.context("the kernel does not report VmHWM")?;
    Ok(kilobytes * 1024)
}

/// The machine's load average of the last minute: the number of runnable processes, those of the
/// benchmark included.
pub fn load_average() -> Result<f64> {
    let load = LoadAverage::current().context("cannot read /proc/loadavg")?;
    // The kernel reports two decimal places. The conversion from f32 would add more.
    Ok((f64::from(load.one) * 100.0).round() / 100.0)
}

/// The number of processors of this machine.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(busy_s: f64, processes: &[(&str, f64)]) -> UsageSample {
        let usage = |processor_s| ProcessUsage {
            processor_s,
            resident_bytes: 0,
        };
        let processes = processes.iter();
        UsageSample {
            processes: processes
                .map(|(name, s)| ((*name).to_owned(), usage(*s)))
                .collect(),
            busy_s,
        }
    }

    #[test]
    fn busy_time_beyond_the_known_processes_belongs_to_others() {
        let before = sample(100.0, &[("kafka", 10.0)]);
        let after = sample(107.0, &[("kafka", 12.0), ("new", 1.5)]);
        let used = after.since(&before);
        assert_eq!(used.by_process["kafka"], 2.0);
        assert_eq!(used.by_process["new"], 1.5);
        assert_eq!(used.others_s, 3.5);
    }
}
