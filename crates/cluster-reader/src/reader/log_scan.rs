//! Scans the logs of partitions (Fetch): how many records, markers and aborted records there are, and
//! the timestamp of the first readable one.
//!
//! Fetch returns whole batches, of which only the headers are needed. So the scan has a budget of
//! bytes for each poll, and keeps what it has counted. A backlog is counted within a few polls.
//! After that a poll fetches what was written since the last one, and for each committed offset
//! that has moved at most one block of the log.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::messages::fetch_response::PartitionData;

use super::fetch_records;
use super::partition_scan::{NextFetch, PartitionScan, Wanted};
use crate::error::ReadError;
use crate::lag::UnreadScan;
use crate::protocol::brokers::{BrokerId, Brokers, Topics, by_leader};
use crate::snapshot::TopicPartition;

/// The most bytes that are fetched in a poll, from all brokers together. Copying and walking over them takes about 0.1 s.
const POLL_BYTES: usize = 128 << 20;

/// Keeps the scans of all partitions from one poll to the next.
#[derive(Debug, Default)]
pub(super) struct LogScanner {
    scans: HashMap<TopicPartition, PartitionScan>,
    origins: u64,
    /// Of each broker the partition that comes first in the next poll, because its budget ended
    /// before it.
    next: BTreeMap<BrokerId, TopicPartition>,
}

/// The partitions of a broker that are not counted yet.
type Queue = VecDeque<TopicPartition>;

/// The partitions, which are in order, from `first` on and then those before it.
fn starting_with(first: Option<TopicPartition>, partitions: Vec<TopicPartition>) -> Queue {
    let mut queue = Queue::from(partitions);
    if let Some(first) = first {
        let before = queue.partition_point(|at| *at < first);
        queue.rotate_left(before);
    }
    queue
}

impl LogScanner {
    /// What is unread on a partition that was part of the last [`LogScanner::scan`].
    pub fn unread(&self, at: &TopicPartition, committed: Option<i64>) -> Option<UnreadScan> {
        let scan = self.scans.get(at)?;
        Some(scan.unread(committed))
    }

    /// Scans these partitions within the budget: each broker has an equal share of it, and what a
    /// broker leaves over goes to those after it. Forgets all others.
    pub async fn scan(
        &mut self,
        brokers: &mut Brokers,
        topics: &Topics,
        wanted: &BTreeMap<TopicPartition, Wanted>,
    ) -> Result<(), ReadError> {
        self.scans.retain(|at, _| wanted.contains_key(at));
        for (at, wanted) in wanted {
            let origin = self.origins + 1;
            let is_used = match self.scans.get_mut(at) {
                Some(scan) => scan.update(origin, wanted),
                None => {
                    let new = PartitionScan::new(origin, wanted);
                    self.scans.insert(at.clone(), new);
                    true
                }
            };
            self.origins += u64::from(is_used);
        }
        self.fetch_all(brokers, topics, wanted).await
    }

    async fn fetch_all(
        &mut self,
        brokers: &mut Brokers,
        topics: &Topics,
        wanted: &BTreeMap<TopicPartition, Wanted>,
    ) -> Result<(), ReadError> {
        let call = brokers.call::<MetadataRequest>(-1);
        let by_leader = by_leader(call, topics, wanted.keys().cloned())?;
        let mut next = std::mem::take(&mut self.next);
        let mut brokers_left = by_leader.len();
        let mut bytes_left = POLL_BYTES;
        for (leader, partitions) in by_leader {
            let share = bytes_left / brokers_left.max(1);
            let mut budget = share;
            let mut queue = starting_with(next.remove(&leader), partitions);
            while budget > 0 && !queue.is_empty() {
                self.fetch_some(brokers, topics, leader, &mut queue, &mut budget)
                    .await?;
            }
            if let Some(first) = queue.pop_front() {
                self.next.insert(leader, first);
            }
            brokers_left -= 1;
            bytes_left = bytes_left.saturating_sub(share - budget);
        }
        Ok(())
    }

    /// Sends one Fetch for the first partitions of the queue, and removes those that are counted.
    ///
    /// A broker sends at least one whole batch only for the first partition of a response. For
    /// another partition whose first batch does not fit it sends *nothing*, without an error. So an
    /// empty answer does not mean that there are no records: the partition comes first in the next
    /// request.
    async fn fetch_some(
        &mut self,
        brokers: &mut Brokers,
        topics: &Topics,
        leader: BrokerId,
        queue: &mut Queue,
        budget: &mut usize,
    ) -> Result<(), ReadError> {
        let fetches = self.next_fetches(queue);
        if fetches.is_empty() {
            return Ok(());
        }
        let positions = fetches
            .iter()
            .map(|(at, fetch)| (at, fetch.offset, fetch.max_bytes));
        let request = fetch_records::request(topics, positions);
        let response = brokers.send(leader, &request).await?;
        let received = fetch_records::partitions(brokers, leader, topics, &response)?;
        let by_partition: BTreeMap<_, _> = fetches.iter().map(|(at, fetch)| (at, *fetch)).collect();
        let mut advanced = BTreeSet::new();
        for (at, data) in received {
            if let Some(fetch) = by_partition.get(&at)
                && self.add(&at, *fetch, data, budget)
            {
                advanced.insert(at);
            }
        }
        if advanced.is_empty() {
            let first = fetches.first().map(|(at, _)| at);
            return Err(fetch_records::no_progress(brokers, leader, first));
        }
        for (at, _) in fetches.into_iter().rev() {
            match advanced.contains(&at) {
                true => queue.push_back(at),
                false => queue.push_front(at),
            }
        }
        Ok(())
    }

    /// Takes partitions from the queue, until a request is full.
    fn next_fetches(&mut self, queue: &mut Queue) -> Vec<(TopicPartition, NextFetch)> {
        let mut fetches = Vec::new();
        while fetches.len() < fetch_records::PARTITIONS
            && let Some(at) = queue.pop_front()
        {
            let scan = self.scans.get_mut(&at);
            if let Some(fetch) = scan.and_then(PartitionScan::next_fetch) {
                fetches.push((at, fetch));
            }
        }
        fetches
    }

    /// Adds received records to a scan. Returns whether the scan has advanced.
    fn add(
        &mut self,
        at: &TopicPartition,
        fetch: NextFetch,
        data: &PartitionData,
        budget: &mut usize,
    ) -> bool {
        let Some(scan) = self.scans.get_mut(at) else {
            return false;
        };
        let aborted = data.aborted_transactions.iter().flatten();
        let aborted: Vec<_> = aborted
            .map(|one| (one.producer_id.0, one.first_offset))
            .collect();
        let bytes = data.records.as_deref().unwrap_or_default();
        *budget = budget.saturating_sub(bytes.len());
        scan.add(fetch, bytes, &aborted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(partition: i32) -> TopicPartition {
        let topic = "t".to_owned();
        TopicPartition { topic, partition }
    }

    #[test]
    fn a_poll_begins_at_the_partition_before_which_the_last_one_ended() {
        let begins = |first: Option<i32>| {
            let all = (0..4).map(partition).collect();
            let queue = starting_with(first.map(partition), all);
            queue.iter().map(|at| at.partition).collect::<Vec<_>>()
        };
        assert_eq!(begins(None), [0, 1, 2, 3]);
        assert_eq!(begins(Some(2)), [2, 3, 0, 1]);
        assert_eq!(begins(Some(4)), [0, 1, 2, 3]);
    }
}
