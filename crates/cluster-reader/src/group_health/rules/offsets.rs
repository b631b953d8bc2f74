//! Rules about a partition's offsets: offsets that went back, and records that were deleted unread.

use super::{MOST_OF_A_KIND, of_partition, status_by_lag};
use crate::LagUndefined;
use crate::group_health::group_view::{GroupView, PartitionView};
use crate::group_health::{Finding, Rule, Status};

pub(super) fn findings(view: &GroupView<'_>) -> Vec<Finding> {
    let rewound = view.partitions().filter_map(|one| rewound(view, &one));
    let lost = view.partitions().filter_map(|one| lost_records(&one));
    let rewound = rewound.take(MOST_OF_A_KIND);
    rewound.chain(lost.take(MOST_OF_A_KIND)).collect()
}

fn rewound(view: &GroupView<'_>, partition: &PartitionView<'_>) -> Option<Finding> {
    let committed = partition.row.committed?;
    let at = partition.at;
    let (status, evidence) = match partition.row.lag {
        Err(LagUndefined::CommittedBeyondEnd) => {
            let end = partition.row.log_offsets?.high_watermark;
            let evidence = format!(
                "{at}: offset {committed} is committed, beyond the end {end}: the topic was recreated"
            );
            (Status::Critical, evidence)
        }
        _ => {
            let before = partition.history?.rewound_from()?;
            let evidence = format!(
                "{at}: the committed offset went back from {before}, and is {committed} now"
            );
            (status_by_lag(view), evidence)
        }
    };
    Some(of_partition(partition, status, Rule::Rewound, evidence))
}

fn lost_records(partition: &PartitionView<'_>) -> Option<Finding> {
    let loss = partition.history?.loss()?;
    let (records, committed, log_start) = (loss.records, loss.committed, loss.log_start);
    let evidence = format!(
        "{}: {records} records from offset {committed} on were deleted before they were read; the log begins at {log_start}",
        partition.at
    );
    let (status, rule) = (Status::Critical, Rule::LostRecords);
    Some(of_partition(partition, status, rule, evidence))
}
