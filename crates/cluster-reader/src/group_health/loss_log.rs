//! Losses of records: a partition's log begins after the offset that the group reads next. They are
//! remembered until somebody acknowledges them, because the offsets show a loss only until the
//! group reads on.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{Group, LagCount, PartitionLag, Snapshot, TopicPartition};

/// The most partitions of groups whose losses are remembered. Further losses are only reported
/// while the offsets show them.
const MOST_LOSSES: usize = 20_000;

/// Records of a partition that were deleted before the group read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordLoss {
    /// The partition.
    pub partition: TopicPartition,
    /// The first offset that was deleted.
    pub first_offset: i64,
    /// The last offset that was deleted.
    pub last_offset: i64,
    /// The number of records, without markers.
    pub records: LagCount,
    /// Whether a reading saw the group behind the start of the log. Otherwise the log start moved
    /// past the committed offset between two readings, and the group may have read some or all of
    /// the records just before they were deleted.
    pub is_certain: bool,
    /// Whether the group is still behind the start of the log.
    pub is_present: bool,
    /// The time of the reading that found the loss.
    pub found_at: DateTime<Utc>,
}

/// The losses of every group.
#[derive(Debug, Clone, Default)]
pub(super) struct LossLog(BTreeMap<String, BTreeMap<TopicPartition, PartitionLoss>>);

/// The losses of a group on one partition.
#[derive(Debug, Clone, Default)]
struct PartitionLoss {
    /// All losses but the present one, as one.
    past: Option<Loss>,
    /// The loss that the last reading shows.
    present: Option<Loss>,
    /// Losses before this offset were acknowledged.
    acknowledged_to: i64,
}

/// Offsets from `first` to `end`, exclusive.
#[derive(Debug, Clone, Copy)]
struct Loss {
    first: i64,
    end: i64,
    records: LagCount,
    is_certain: bool,
    found_at: DateTime<Utc>,
}

impl LossLog {
    /// Compares the committed offsets of a reading, and of the one before, with the log starts.
    pub(super) fn add(&mut self, before: Option<&Snapshot>, snapshot: &Snapshot) {
        self.0.retain(|name, _| snapshot.groups.contains_key(name));
        let known = self.0.values().map(BTreeMap::len);
        let mut room = MOST_LOSSES.saturating_sub(known.sum());
        for (name, group) in &snapshot.groups {
            let before = before.and_then(|before| before.groups.get(name));
            if let Some(losses) = self.0.get_mut(name) {
                end_absent(losses, group);
            }
            for (at, row) in &group.partitions {
                let before = before.and_then(|before| before.partitions.get(at));
                let known = self.0.get_mut(name).and_then(|losses| losses.get_mut(at));
                if let Some(known) = known {
                    known.add(snapshot.taken_at, before, row);
                    continue;
                }
                let mut new = PartitionLoss::default();
                new.add(snapshot.taken_at, before, row);
                if new.total().is_some() && room > 0 {
                    room -= 1;
                    let losses = self.0.entry(name.clone()).or_default();
                    losses.insert(at.clone(), new);
                }
            }
        }
    }

    /// The losses of a group that nobody has acknowledged.
    pub(super) fn of(&self, group: &str) -> impl Iterator<Item = RecordLoss> {
        let losses = self.0.get(group).into_iter().flatten();
        losses.filter_map(|(at, loss)| loss.view(at))
    }

    /// The losses of every group that nobody has acknowledged.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, RecordLoss)> {
        let groups = self.0.iter();
        groups.flat_map(|(group, losses)| {
            let losses = losses.iter();
            losses.filter_map(|(at, loss)| Some((group.as_str(), loss.view(at)?)))
        })
    }

    /// Forgets the losses of the groups and topics that are chosen. Returns them.
    pub(super) fn acknowledge(
        &mut self,
        is_chosen: impl Fn(&str, &str) -> bool,
    ) -> Vec<(String, RecordLoss)> {
        let mut acknowledged = Vec::new();
        for (group, losses) in &mut self.0 {
            for (at, loss) in losses {
                if is_chosen(group, &at.topic)
                    && let Some(view) = loss.view(at)
                {
                    loss.acknowledge();
                    acknowledged.push((group.clone(), view));
                }
            }
        }
        acknowledged
    }
}

/// A group is behind the log start of no partition that it does not read any more, or that was
/// deleted. What nobody has acknowledged stays remembered.
fn end_absent(losses: &mut BTreeMap<TopicPartition, PartitionLoss>, group: &Group) {
    losses.retain(|at, loss| {
        let is_read = group.partitions.contains_key(at);
        if !is_read {
            loss.end_present();
        }
        is_read || loss.total().is_some()
    });
}

impl PartitionLoss {
    /// `before` is the reading before this one.
    fn add(&mut self, now: DateTime<Utc>, before: Option<&PartitionLag>, row: &PartitionLag) {
        let (Ok(lag), Some(committed), Some(log)) = (row.lag, row.committed, row.log_offsets)
        else {
            self.end_present();
            return;
        };
        if log.high_watermark < self.acknowledged_to {
            // The topic was recreated.
            self.acknowledged_to = 0;
        }
        let known_to = self.present.map_or(self.acknowledged_to, |loss| loss.end);
        if committed < log.log_start {
            let first = committed.max(self.acknowledged_to);
            let records = match first == committed {
                true => lag.lost,
                false => LagCount::between(0, lag.lost.upper().min(log.log_start - first)),
            };
            let same = self.present.filter(|present| first < present.end);
            if same.is_none() {
                self.end_present();
            }
            // Only markers were deleted if there was no record.
            self.present = (records != LagCount::ZERO).then_some(Loss {
                first,
                end: log.log_start,
                records,
                is_certain: true,
                found_at: same.map_or(now, |same| same.found_at),
            });
            return;
        }
        self.end_present();
        if let Some(before) = before
            && let Some(loss) = between(now, before, known_to, log.log_start)
        {
            self.add_past(loss);
        }
    }

    fn end_present(&mut self) {
        if let Some(present) = self.present.take() {
            self.add_past(present);
        }
    }

    fn add_past(&mut self, loss: Loss) {
        self.past = Some(self.past.map_or(loss, |past| past.and(loss)));
    }

    /// The past losses and the present one, as one.
    fn total(&self) -> Option<Loss> {
        match (self.past, self.present) {
            (Some(past), Some(present)) => Some(past.and(present)),
            (past, present) => past.or(present),
        }
    }

    fn acknowledge(&mut self) {
        if let Some(present) = self.present.take() {
            self.acknowledged_to = present.end;
        }
        self.past = None;
    }

    fn view(&self, at: &TopicPartition) -> Option<RecordLoss> {
        let loss = self.total()?;
        Some(RecordLoss {
            partition: at.clone(),
            first_offset: loss.first,
            last_offset: loss.end - 1,
            records: loss.records,
            is_certain: loss.is_certain,
            is_present: self.present.is_some(),
            found_at: loss.found_at,
        })
    }
}

/// The loss between two readings: the start of the log has passed the offset that was committed at
/// the first one. At most those records were lost that were unread then, and those written since.
fn between(
    now: DateTime<Utc>,
    before: &PartitionLag,
    known_to: i64,
    log_start: i64,
) -> Option<Loss> {
    let (unread, log) = (before.lag.ok()?.readable, before.log_offsets?);
    let first = before.committed?.max(known_to);
    let written = (log_start - log.last_stable).max(0);
    let most = (log_start - first).min(unread.upper().saturating_add(written));
    (most > 0).then_some(Loss {
        first,
        end: log_start,
        records: LagCount::between(0, most),
        is_certain: false,
        found_at: now,
    })
}

impl Loss {
    fn and(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            end: self.end.max(other.end),
            records: self.records + other.records,
            is_certain: self.is_certain || other.is_certain,
            found_at: self.found_at.min(other.found_at),
        }
    }
}
