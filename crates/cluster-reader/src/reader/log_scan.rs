//! Scans the unread records of groups (Fetch): how many of them are markers or aborted, and the
//! timestamp of the first readable one.
//!
//! Each range is scanned by a limited number of bytes at each poll. An unfinished scan is resumed
//! at the next poll, so the scan of a group that does not move is complete after some polls, and
//! further polls fetch nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::DateTime;
use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::messages::fetch_response::PartitionData;

use super::fetch_records;
use crate::error::ReadError;
use crate::lag::UnreadScan;
use crate::protocol::batch_walk::walk;
use crate::protocol::brokers::{BrokerId, Brokers, Topics, by_leader};
use crate::protocol::record_timestamp::Oldest;
use crate::snapshot::TopicPartition;

/// A partition that was sent this many bytes in a poll waits for the next poll: the last batch of a
/// response is mostly cut, so a full response is rarely longer.
const ENOUGH_BYTES: usize = fetch_records::PARTITION_BYTES as usize / 2;

/// The offsets of a partition from `start` to the last stable offset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct OffsetRange {
    pub partition: TopicPartition,
    pub start: i64,
}

/// How far a range was scanned, and what was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RangeScan {
    /// A topic that was recreated under the same name has another id.
    topic_id: u128,
    /// The end of the range.
    last_stable: i64,
    /// All offsets before this one were scanned.
    reached: i64,
    control: i64,
    aborted: i64,
    oldest: Oldest,
    /// Bytes received in this poll.
    bytes: usize,
}

impl RangeScan {
    fn new(topic_id: u128, start: i64, last_stable: i64) -> Self {
        Self {
            topic_id,
            last_stable,
            reached: start,
            control: 0,
            aborted: 0,
            oldest: Oldest::NotReached,
            bytes: 0,
        }
    }

    fn is_complete(&self) -> bool {
        self.reached >= self.last_stable
    }

    /// Whether this poll is done with the range. A range that got few bytes because the response
    /// was full is fetched again.
    fn is_done_for_now(&self) -> bool {
        self.is_complete() || self.bytes >= ENOUGH_BYTES
    }

    fn counts(&self) -> UnreadScan {
        let oldest = match self.oldest {
            Oldest::At(timestamp) => DateTime::from_timestamp_millis(timestamp),
            Oldest::NotReached | Oldest::Unknown => None,
        };
        UnreadScan {
            control_records: self.control,
            aborted_records: self.aborted,
            is_complete: self.is_complete(),
            oldest_readable: oldest,
        }
    }
}

/// Keeps the scans of all ranges from one poll to the next.
#[derive(Debug, Default)]
pub(super) struct LogScanner {
    scans: HashMap<OffsetRange, RangeScan>,
}

impl LogScanner {
    /// The counts of a range that was part of the last [`LogScanner::scan`].
    pub fn scanned(&self, range: &OffsetRange) -> Option<UnreadScan> {
        self.scans.get(range).map(RangeScan::counts)
    }

    /// Scans these ranges up to their last stable offset, each by a limited number of bytes.
    /// Forgets all other ranges.
    pub async fn scan(
        &mut self,
        brokers: &mut Brokers,
        topics: &Topics,
        wanted: &BTreeMap<OffsetRange, i64>,
    ) -> Result<(), ReadError> {
        let old = std::mem::take(&mut self.scans);
        let mut incomplete = BTreeSet::new();
        for (range, last_stable) in wanted {
            let topic = topics.get(&range.partition.topic);
            let topic_id = topic.map_or(0, |topic| topic.topic_id.as_u128());
            let same_log =
                |scan: &&RangeScan| scan.topic_id == topic_id && scan.last_stable <= *last_stable;
            let scan = match old.get(range).filter(same_log) {
                Some(known) => RangeScan {
                    last_stable: *last_stable,
                    bytes: 0,
                    ..*known
                },
                None => RangeScan::new(topic_id, range.start, *last_stable),
            };
            // A poll that failed half-way has advanced `reached` only over what it has seen.
            if !scan.is_complete() {
                incomplete.insert(range.clone());
            }
            self.scans.insert(range.clone(), scan);
        }
        self.fetch_all(brokers, topics, incomplete).await
    }

    async fn fetch_all(
        &mut self,
        brokers: &mut Brokers,
        topics: &Topics,
        ranges: BTreeSet<OffsetRange>,
    ) -> Result<(), ReadError> {
        let partitions: BTreeSet<_> = ranges.iter().map(|one| one.partition.clone()).collect();
        let call = brokers.call::<MetadataRequest>(-1);
        for (leader, partitions) in by_leader(call, topics, partitions)? {
            let of_leader = |one: &&OffsetRange| partitions.binary_search(&one.partition).is_ok();
            let mut left: Vec<OffsetRange> = ranges.iter().filter(of_leader).cloned().collect();
            while !left.is_empty() {
                left = self.fetch_some(brokers, topics, leader, left).await?;
            }
        }
        Ok(())
    }

    /// Sends one Fetch. Returns the ranges that are still to be fetched in this poll.
    ///
    /// A broker sends at least one whole batch only for the first partition of a response. For
    /// another partition whose first batch does not fit it sends *nothing*, without an error. So an
    /// empty answer does not mean that there are no records: the range is asked for again, first in
    /// the next request.
    async fn fetch_some(
        &mut self,
        brokers: &mut Brokers,
        topics: &Topics,
        leader: BrokerId,
        ranges: Vec<OffsetRange>,
    ) -> Result<Vec<OffsetRange>, ReadError> {
        let (now, mut left) = fetch_records::select(ranges);
        let positions = now.iter().map(|range| {
            let scan = self.scans.get(range);
            (range, scan.map_or(range.start, |scan| scan.reached))
        });
        let request = fetch_records::request(topics, positions);
        let response = brokers.send(leader, &request).await?;
        let received = fetch_records::partitions(brokers, leader, topics, &response)?;
        let by_partition: BTreeMap<&TopicPartition, &OffsetRange> =
            now.iter().map(|range| (&range.partition, range)).collect();
        let mut advanced = BTreeSet::new();
        for (at, data) in received {
            if let Some(range) = by_partition.get(&at)
                && self.advance(range, data)
            {
                advanced.insert(at);
            }
        }
        if advanced.is_empty() {
            return Err(fetch_records::no_progress(brokers, leader, &now));
        }
        let (some, mut again): (Vec<_>, Vec<_>) = now
            .into_iter()
            .partition(|range| advanced.contains(&range.partition));
        again.append(&mut left);
        let unfinished = |range: &OffsetRange| {
            let scan = self.scans.get(range);
            scan.is_some_and(|scan| !scan.is_done_for_now())
        };
        again.extend(some.into_iter().filter(unfinished));
        Ok(again)
    }

    /// Adds received records to the scan of a range. Returns whether the scan advanced.
    fn advance(&mut self, range: &OffsetRange, data: &PartitionData) -> bool {
        let Some(scan) = self.scans.get_mut(range) else {
            return false;
        };
        let aborted = data.aborted_transactions.iter().flatten();
        let aborted: Vec<_> = aborted
            .map(|one| (one.producer_id.0, one.first_offset))
            .collect();
        let bytes = data.records.as_deref().unwrap_or_default();
        let seek_oldest = scan.oldest == Oldest::NotReached;
        let walked = walk(bytes, &aborted, scan.reached, scan.last_stable, seek_oldest);
        let has_advanced = walked.reached > scan.reached;
        scan.reached = walked.reached;
        scan.bytes = scan.bytes.saturating_add(bytes.len());
        scan.control += walked.control;
        scan.aborted += walked.aborted;
        if seek_oldest {
            scan.oldest = walked.oldest;
        }
        has_advanced
    }
}
