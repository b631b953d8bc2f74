//! Scaling: the number of instances of one workload.

use anyhow::{Result, bail};

use crate::Stack;
use crate::interrupt::InterruptGuard;
use crate::start_plan::StartPlan;
use crate::terminal::{Usage, counted};
use crate::workload::Workload;

impl Stack<'_> {
    /// Starts or stops instances until `count` of them run, with the slots 1 to `count`, and waits until they are ready. 0
    /// stops all of them. Returns the names of the instances that stay stopped because a person killed them.
    pub async fn scale(
        &self,
        workload: Workload,
        count: u32,
        guard: &InterruptGuard,
    ) -> Result<Vec<String>> {
        let most = self.layout.max_slots(workload);
        if count > most {
            return Err(Usage::error(format_args!(
                "{workload} can have at most {}",
                counted(most as usize, "instance")
            )));
        }
        if self.alive_processes()?.is_empty() {
            bail!("nothing runs: ./sandbox up, then scale");
        }
        self.stop_slots_above(workload, count).await?;
        self.update_saved_settings(|saved| saved.set_scaled_to_zero(workload, count == 0))?;

        let saved = self.saved_settings()?;
        let (killed, wanted) = (1..=count)
            .partition::<Vec<u32>, _>(|slot| saved.is_killed(&workload.process_name(*slot)));
        let wanted = wanted.into_iter().map(|slot| (workload, slot)).collect();
        self.start(&StartPlan::of_instances(wanted), guard).await?;
        let killed = killed.into_iter().map(|slot| workload.process_name(slot));
        Ok(killed.collect())
    }

    /// Stops the instances with a higher slot, and forgets that they were started.
    async fn stop_slots_above(&self, workload: Workload, count: u32) -> Result<()> {
        let mut surplus = self.started_instances(workload)?;
        surplus.retain(|one| one.slot > count);
        let slots: Vec<_> = surplus.iter().map(|one| (workload, one.slot)).collect();
        self.stop_instances(&slots).await?;
        for one in &surplus {
            self.processes.forget(&one.record.name)?;
        }
        self.update_saved_settings(|saved| {
            for one in &surplus {
                saved.unmark_killed(&one.record.name);
            }
        })
    }
}
