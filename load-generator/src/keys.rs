//! Which partition an order goes to. The key of every record is the order's id, so a hot partition is made by the choice of ids.

use clap::ValueEnum;
use kafka_admin::partition_of;
use rand::Rng;
use rand_distr::{Distribution, Zipf};

/// How the orders of a load are spread over the partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Spread {
    /// As chance has it: about as many on each.
    Uniform,
    /// By Zipf's law: half as many on partition 1 as on partition 0, a third on partition 2, and so on.
    Zipfian,
    /// All on partition 0.
    Single,
}

/// Chooses partitions.
#[derive(Debug, Clone)]
pub struct Keys {
    partitions: u32,
    choice: Choice,
}

#[derive(Debug, Clone)]
enum Choice {
    Any,
    First,
    Ranked(Zipf<f64>),
}

impl Keys {
    /// For a topic of this many partitions.
    pub fn new(spread: Spread, partitions: u32) -> Self {
        let partitions = partitions.max(1);
        let choice = match (spread, Zipf::new(f64::from(partitions), 1.0)) {
            (Spread::Zipfian, Ok(ranks)) => Choice::Ranked(ranks),
            (Spread::Single, _) => Choice::First,
            // Zipf's law refuses only fewer than one partition.
            (Spread::Uniform, _) | (Spread::Zipfian, Err(_)) => Choice::Any,
        };
        Self { partitions, choice }
    }

    /// The partition of the next order; `None` if any is right.
    pub fn next(&self, random: &mut impl Rng) -> Option<u32> {
        match &self.choice {
            Choice::Any => None,
            Choice::First => Some(0),
            // Ranks are whole numbers from 1.
            Choice::Ranked(ranks) => Some(ranks.sample(random) as u32 - 1),
        }
    }

    /// Whether a record of this key goes to this partition.
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
    fn zipfian_partitions_are_unequally_hot_and_a_single_one_is_always_the_first() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let zipfian = Keys::new(Spread::Zipfian, 3);
        let mut counts = [0; 3];
        for _ in 0..6_000 {
            counts[zipfian.next(&mut random).unwrap() as usize] += 1;
        }
        // 6/11, 3/11 and 2/11 of them.
        for (count, expected) in counts.into_iter().zip([3_273, 1_636, 1_091]) {
            assert!(i32::abs(count - expected) < 200, "{counts:?}");
        }
        assert_eq!(Keys::new(Spread::Single, 3).next(&mut random), Some(0));
        assert_eq!(Keys::new(Spread::Uniform, 3).next(&mut random), None);
    }
}
