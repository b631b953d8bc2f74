//! What was read of a group at one moment.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

/// A group on its topics, and the instances of its service.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// When the offsets were read.
    pub at: DateTime<Utc>,
    /// The instances that the service was scaled to, whether they run or not.
    pub replicas: u32,
    /// The members of the group.
    pub members: usize,
    /// Kafka's name of the state of the group.
    pub state: String,
    /// Every partition that the group reads.
    pub partitions: Vec<PartitionReading>,
}

/// A group on one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionReading {
    /// The topic's name on the broker.
    pub topic: String,
    /// The number of the partition.
    pub partition: i32,
    /// The committed offset; `None` if the group has committed none.
    pub committed: Option<i64>,
    /// The high watermark; `None` if the partition does not exist any more.
    pub end: Option<i64>,
    /// The records that a member would still receive: no markers, no aborted and no deleted records.
    pub waiting: Waiting,
    /// What was read and written so far; `None` if it was not counted completely.
    pub counted: Option<CountedRecords>,
    /// Whether a member is assigned the partition.
    pub is_owned: bool,
    /// Whether the group makes no progress here although its owner had time for it.
    pub is_stalled: bool,
}

/// The lag of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// So many records.
    Exactly(i64),
    /// At least so many records: the log is long, and not counted to its end.
    AtLeast(i64),
    /// The group has committed nothing, and the partition has records.
    NothingCommitted,
    /// Not known for this other reason.
    Unknown(String),
}

/// Records of a partition since the reader first saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedRecords {
    /// Only numbers with the same origin can be compared.
    pub origin: u64,
    /// Records that the group has read and committed.
    pub read: i64,
    /// Records that were written.
    pub written: i64,
}

/// Records per second of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Read and committed.
    pub read: f64,
    /// Written.
    pub written: f64,
}

impl Waiting {
    /// The records that certainly wait; `None` if that is not known.
    pub fn at_least(&self) -> Option<i64> {
        match self {
            Self::Exactly(records) | Self::AtLeast(records) => Some(*records),
            Self::NothingCommitted | Self::Unknown(_) => None,
        }
    }
}

impl PartitionReading {
    /// `payments[2]`
    pub fn name(&self) -> String {
        format!("{}[{}]", self.topic, self.partition)
    }

    /// What the history knows the partition by.
    pub(crate) fn key(&self) -> (String, i32) {
        (self.topic.clone(), self.partition)
    }
}

impl Reading {
    /// Whether it is certain that no record waits.
    pub fn is_caught_up(&self) -> bool {
        let mut all = self.partitions.iter();
        all.all(|one| one.waiting == Waiting::Exactly(0))
    }

    /// The records that certainly wait, where the lag is known.
    pub fn known_lag(&self) -> i64 {
        let known = self.partitions.iter();
        known.filter_map(|one| one.waiting.at_least()).sum()
    }

    /// The sum of the committed offsets. It grows when the group commits.
    pub fn committed(&self) -> i64 {
        let all = self.partitions.iter();
        all.filter_map(|one| one.committed).sum()
    }

    /// The most members that own a partition: the number of partitions of the topic that has the most, since each topic is
    /// assigned for itself.
    pub fn useful_members(&self) -> u32 {
        let mut topics = BTreeMap::<&str, usize>::new();
        for one in &self.partitions {
            *topics.entry(&one.topic).or_default() += 1;
        }
        let most = topics.into_values().max();
        u32::try_from(most.unwrap_or(0)).unwrap_or(u32::MAX)
    }

    /// The rates since an earlier reading; `None` unless the records of each partition were counted at both.
    pub fn rates_since(&self, earlier: &Self) -> Option<Rates> {
        let seconds = (self.at - earlier.at).as_seconds_f64();
        let before: BTreeMap<_, _> = earlier.partitions.iter().map(|p| (p.key(), p)).collect();
        let (mut read, mut written) = (0, 0);
        for now in self.partitions.iter().filter(|one| one.committed.is_some()) {
            let before = before.get(&now.key())?;
            let counted = now.counted?;
            let from = match before.committed {
                Some(_) => before.counted.filter(|one| one.origin == counted.origin)?,
                // The reader counts from its first reading on.
                None if before.waiting == Waiting::Exactly(0) => CountedRecords {
                    read: 0,
                    written: 0,
                    ..counted
                },
                None => return None,
            };
            read += counted.read - from.read;
            written += counted.written - from.written;
        }
        (seconds > 0.0).then(|| Rates {
            read: read.max(0) as f64 / seconds,
            written: written.max(0) as f64 / seconds,
        })
    }
}
