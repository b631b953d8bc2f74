//! Feeds the loss watch with each batch, and reports what it finds.

use std::collections::BTreeSet;

use chrono::Utc;
use rdkafka::consumer::Consumer;
use shared_events::member_api::LostRecords;

use crate::handler::Handler;
use crate::member::collect::Batch;
use crate::member::consumer_loop::ConsumerLoop;
use crate::member::loss_watch::Loss;
use crate::topic_partitions::Partition;

impl<H: Handler> ConsumerLoop<H> {
    /// Looks for records that were deleted before they were consumed. Called for each batch, also an empty one.
    pub(super) fn watch_losses(
        &mut self,
        batch: &Batch<'_, H::Work>,
        assigned: &BTreeSet<Partition>,
    ) {
        let new = self.loss_watch.assigned(assigned, &batch.revoked);
        self.consumer.ask_committed(&new);
        let client = self.consumer.client();
        let context = client.context();
        for (partition, offset) in context.take_committed() {
            self.loss_watch.committed(partition, offset);
        }
        for record in &batch.records {
            self.loss_watch.consumed(record.partition, record.offset());
        }
        self.loss_watch.advance(&batch.ends);
        if let Some(log_starts) = context.take_log_starts() {
            let losses = self.loss_watch.check(|one| log_starts.get(one).copied());
            for loss in losses {
                self.report_loss(loss);
            }
        }
    }

    fn report_loss(&mut self, loss: Loss) {
        let Loss {
            partition,
            first,
            last,
        } = loss;
        let offsets = u64::try_from(last - first + 1).unwrap_or_default();
        let topic = self.consumer.names().name(partition.topic).to_owned();
        tracing::warn!(
            topic,
            partition = partition.number,
            first,
            last,
            offsets,
            "records lost: the log begins after the next offset to consume, so these offsets were deleted unread (an upper bound of \
             the records)"
        );
        self.metrics.records_lost(&topic, offsets);
        let before = self
            .records_lost
            .get(&partition)
            .map_or(0, |lost| lost.offsets);
        let lost = LostRecords {
            topic,
            partition: partition.number,
            first,
            last,
            offsets: before + offsets,
            at: Utc::now(),
        };
        self.records_lost.insert(partition, lost);
    }
}
