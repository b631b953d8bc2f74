//! The list of the services' instances for lag-monitor, which asks each of them for its state. It is a file and no environment
//! variable, since instances are started and stopped while lag-monitor runs.

use std::fmt::Write;

use anyhow::Result;
use local_runtime::state_dir::replace_file;
use shared_events::Service;

use crate::Stack;

/// The path of the file in the folder of the stack, in which its processes run.
pub(crate) const INSTANCES_FILE: &str = "config/instances.txt";

impl Stack<'_> {
    /// Writes the present instances into the file of lag-monitor, and into the targets of Prometheus.
    pub(crate) fn update_instance_lists(&self) -> Result<()> {
        self.write_instances_file()?;
        self.update_prometheus_targets()
    }

    /// A line for each started instance: name and address. Those that ended are listed too: lag-monitor says that they do not
    /// answer.
    fn write_instances_file(&self) -> Result<()> {
        let mut lines = String::new();
        for service in Service::ALL {
            for one in self.started_instances(service)? {
                let url = one.instance(self.layout)?.url;
                // Writing to a string does not fail.
                let _ = writeln!(lines, "{} {url}", one.record.name);
            }
        }
        let file = self.state_dir().folder().join(INSTANCES_FILE);
        // lag-monitor would miss instances when it reads an incomplete list.
        replace_file(&file, &lines)
    }
}
