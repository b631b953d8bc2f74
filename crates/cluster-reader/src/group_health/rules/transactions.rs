//! The rule about hanging transactions: they keep `read_committed` consumers from what follows.

use super::{MOST_OF_A_KIND, of_partition, time};
use crate::group_health::group_view::{GroupView, PartitionView};
use crate::group_health::{Finding, Rule, Status};
use crate::transactions::TransactionStatus;

pub(super) fn findings(view: &GroupView<'_>) -> Vec<Finding> {
    let hanging = view.partitions().filter_map(|one| hanging(view, &one));
    hanging.take(MOST_OF_A_KIND).collect()
}

/// A group that has read past the begin of the transaction reads uncommitted records, too, and is
/// not blocked by it.
fn hanging(view: &GroupView<'_>, partition: &PartitionView<'_>) -> Option<Finding> {
    let open = view.hanging_transaction(partition.at)?;
    if partition.position() > Some(open.start_offset) {
        return None;
    }
    let reason = match open.status {
        TransactionStatus::Ongoing { timeout, .. } => {
            format!("its time-out of {} s has passed", timeout.as_secs())
        }
        TransactionStatus::Completing | TransactionStatus::Hanging => {
            "no marker will end it".to_owned()
        }
    };
    let evidence = format!(
        "{}: the transaction of {} hangs at offset {}, its last record is of {}, and {reason}: read_committed consumers read no further",
        partition.at,
        open.producer_name(),
        open.start_offset,
        time(view, open.last_write),
    );
    let (status, rule) = (Status::Critical, Rule::HangingTransaction);
    Some(of_partition(partition, status, rule, evidence))
}
