//! Rules about a partition's offsets: offsets that went back, and records that were deleted unread.

use super::{MOST_OF_A_KIND, of_partition, status_by_lag, time};
use crate::group_health::group_view::{GroupView, PartitionView};
use crate::group_health::{Finding, Rule, Status};
use crate::{LagCount, LagUndefined};

pub(super) fn findings(view: &GroupView<'_>) -> Vec<Finding> {
    let rewound = view.partitions().filter_map(|one| rewound(view, &one));
    let rewound = rewound.take(MOST_OF_A_KIND);
    rewound.chain(lost_records(view)).collect()
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

/// One finding for the whole group: the losses of its partitions have one cause.
fn lost_records(view: &GroupView<'_>) -> Option<Finding> {
    let first = view.losses.first()?;
    let records: LagCount = view.losses.iter().map(|loss| loss.records).sum();
    let is_certain = view.losses.iter().all(|loss| loss.is_certain);
    let is_present = view.losses.iter().any(|loss| loss.is_present);
    let partitions = view.losses.iter().take(MOST_OF_A_KIND).map(|loss| {
        format!(
            "{} {} of offsets {} to {}",
            loss.partition, loss.records, loss.first_offset, loss.last_offset
        )
    });
    let partitions: Vec<String> = partitions.collect();
    let more = match view.losses.len().saturating_sub(MOST_OF_A_KIND) {
        0 => String::new(),
        more => format!(", and {more} more partitions"),
    };
    let found_at = view.losses.iter().map(|loss| loss.found_at).min()?;
    let evidence = format!(
        "{} {} deleted before the group read them, found at {}: {}{more}",
        records.records(),
        match is_certain {
            true => "were",
            false => "may have been",
        },
        time(view, found_at),
        partitions.join(", ")
    );
    let status = match is_present {
        true => Status::Critical,
        false => Status::Warning,
    };
    Some(Finding {
        status,
        rule: Rule::LostRecords,
        partition: Some(first.partition.clone()),
        offset: Some(first.first_offset),
        evidence,
    })
}
