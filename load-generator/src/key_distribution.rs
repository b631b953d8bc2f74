//! Which partition an order goes to. The key of every record is the order's id, so choosing ids
//! makes a partition hot.

use clap::ValueEnum;
use kafka_admin::partition_of;
use rand::Rng;
use rand_distr::{Distribution, Zipf};

/// How the orders of a load are distributed over the partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyDistribution {
    /// Random: about the same number on each partition.
    Uniform,
    /// Zipf's law: half as many on partition 1 as on partition 0, a third on partition 2, and so
    /// on.
    Zipfian,
    /// All on partition 0.
    Single,
}

/// Chooses the partition of each order.
#[derive(Debug, Clone)]
pub struct PartitionChooser {
    partitions: u32,
    choice: Choice,
}

#[derive(Debug, Clone)]
enum Choice {
    Any,
    First,
    Ranked(Zipf<f64>),
}

impl PartitionChooser {
    /// `partitions` is the number of partitions of the topic.
    pub fn new(distribution: KeyDistribution, partitions: u32) -> Self {
        let partitions = partitions.max(1);
        let choice = match (distribution, Zipf::new(f64::from(partitions), 1.0)) {
            (KeyDistribution::Zipfian, Ok(ranks)) => Choice::Ranked(ranks),
            (KeyDistribution::Single, _) => Choice::First,
            // Zipf::new fails only for less than one partition.
            (KeyDistribution::Uniform, _) | (KeyDistribution::Zipfian, Err(_)) => Choice::Any,
        };
        Self { partitions, choice }
    }

    /// The partition of the next order; `None` if its key may lead to any.
    pub fn next(&self, random: &mut impl Rng) -> Option<u32> {
        match &self.choice {
            Choice::Any => None,
            Choice::First => Some(0),
            // Ranks are whole numbers from 1.
            Choice::Ranked(ranks) => Some(ranks.sample(random) as u32 - 1),
        }
    }

    /// Whether Kafka's default partitioner puts this key on this partition.
    pub fn leads_to(&self, key: &[u8], partition: u32) -> bool {
        partition_of(key, self.partitions) == partition
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn zipfian_partitions_are_unequally_hot_and_single_is_the_first() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let zipfian = PartitionChooser::new(KeyDistribution::Zipfian, 3);
        let mut counts = [0; 3];
        for _ in 0..6_000 {
            counts[zipfian.next(&mut random).unwrap() as usize] += 1;
        }
        // 6/11, 3/11 and 2/11 of all orders.
        for (count, expected) in counts.into_iter().zip([3_273, 1_636, 1_091]) {
            assert!(i32::abs(count - expected) < 200, "{counts:?}");
        }
        let mut next = |distribution| PartitionChooser::new(distribution, 3).next(&mut random);
        assert_eq!(next(KeyDistribution::Single), Some(0));
        assert_eq!(next(KeyDistribution::Uniform), None);
    }
}
