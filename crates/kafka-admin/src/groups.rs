//! Consumer groups: who is in them, and what each member owns.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::AdminOptions;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::groups::GroupInfo;
use rdkafka::types::RDKafkaErrorCode;
use tokio::time::{Instant, sleep};

use crate::{Cluster, ClusterError, TIMEOUT};

/// A consumer group as its coordinator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name on the broker, prefix included.
    pub name: String,
    /// Kafka's word: `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Dead`.
    pub state: String,
    /// Its members, by client id.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// The coordinator's name for it.
    pub id: String,
    /// What it calls itself.
    pub client_id: String,
    /// Where it is.
    pub host: String,
    /// The partitions it owns, as topic and number, in order.
    pub owns: Vec<(String, i32)>,
}

impl Cluster {
    /// One group. A group that nobody has joined or committed for has the state `Dead` and no members.
    pub async fn group(&self, name: &str) -> Result<Group, ClusterError> {
        let found = self.list_groups(Some(name.to_owned())).await?;
        let found = found.into_iter().find(|group| group.name == name);
        Ok(found.unwrap_or_else(|| Group {
            name: name.to_owned(),
            state: "Dead".to_owned(),
            members: Vec::new(),
        }))
    }

    /// All groups of the cluster, by name.
    pub async fn groups(&self) -> Result<Vec<Group>, ClusterError> {
        let mut groups = self.list_groups(None).await?;
        groups.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(groups)
    }

    async fn list_groups(&self, name: Option<String>) -> Result<Vec<Group>, ClusterError> {
        let observer = Arc::clone(&self.observer);
        let groups = self.blocking(move || {
            let list = observer.fetch_group_list(name.as_deref(), TIMEOUT)?;
            Ok(list.groups().iter().map(group).collect())
        });
        groups
            .await
            .map_err(|error| self.error("list groups", error))
    }

    /// Deletes groups, with their committed offsets. A group that is not there is no error; one that still has members is waited
    /// for, since a member that was killed counts as one until its session has ended.
    pub async fn delete_groups(
        &self,
        names: &[String],
        within: Duration,
    ) -> Result<(), ClusterError> {
        let deadline = Instant::now() + within;
        let mut left: Vec<String> = names.to_vec();
        while !left.is_empty() {
            left = self.try_delete(&left).await?;
            if !left.is_empty() && Instant::now() > deadline {
                return Err(ClusterError::TooLate(format!(
                    "these groups still have members after {} s: {}",
                    within.as_secs(),
                    left.join(", ")
                )));
            }
            if !left.is_empty() {
                sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    /// Those that still have members.
    async fn try_delete(&self, names: &[String]) -> Result<Vec<String>, ClusterError> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let results = self.admin.delete_groups(&names, &options).await;
        let mut left = Vec::new();
        for result in results.map_err(|error| self.error("delete groups", error))? {
            use RDKafkaErrorCode as Code;
            match result {
                Ok(_) | Err((_, Code::GroupIdNotFound)) => {}
                // The coordinator of a broker that has just started is not ready at once.
                Err((
                    name,
                    Code::NonEmptyGroup
                    | Code::CoordinatorLoadInProgress
                    | Code::CoordinatorNotAvailable
                    | Code::NotCoordinator,
                )) => left.push(name),
                Err((name, code)) => {
                    let what = format!("delete group {name}");
                    return Err(ClusterError::refused(what, KafkaError::AdminOp(code)));
                }
            }
        }
        Ok(left)
    }
}

fn group(info: &GroupInfo) -> Group {
    let members = info.members().iter().map(|member| GroupMember {
        id: member.id().to_owned(),
        client_id: member.client_id().to_owned(),
        host: member.client_host().to_owned(),
        owns: member.assignment().map_or_else(Vec::new, owned_partitions),
    });
    let mut members: Vec<GroupMember> = members.collect();
    members.sort_by(|one, other| (&one.client_id, &one.id).cmp(&(&other.client_id, &other.id)));
    Group {
        name: info.name().to_owned(),
        state: info.state().to_owned(),
        members,
    }
}

/// Reads what a consumer calls its assignment: version, then topics with partitions (Kafka's `ConsumerProtocolAssignment`, all
/// numbers big-endian). Bytes of another shape, as another kind of group may have, are read as far as they make sense.
fn owned_partitions(bytes: &[u8]) -> Vec<(String, i32)> {
    let mut owned = Vec::new();
    let mut bytes = Bytes(bytes);
    let (Some(_version), Some(topics)) = (bytes.int16(), bytes.int32()) else {
        return owned;
    };
    for _ in 0..topics {
        let Some(name) = bytes.string() else { break };
        let Some(count) = bytes.int32() else { break };
        for _ in 0..count {
            let Some(partition) = bytes.int32() else {
                break;
            };
            owned.push((name.clone(), partition));
        }
        if bytes.0.is_empty() {
            break;
        }
    }
    owned.sort();
    owned
}

/// Bytes left to read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn int16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn int32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn string(&mut self) -> Option<String> {
        let length = usize::try_from(self.int16()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assignment(topics: &[(&str, &[i32])]) -> Vec<u8> {
        let mut bytes = 1i16.to_be_bytes().to_vec();
        bytes.extend((topics.len() as i32).to_be_bytes());
        for (name, partitions) in topics {
            bytes.extend((name.len() as i16).to_be_bytes());
            bytes.extend(name.as_bytes());
            bytes.extend((partitions.len() as i32).to_be_bytes());
            partitions
                .iter()
                .for_each(|p| bytes.extend(p.to_be_bytes()));
        }
        bytes.extend((-1i32).to_be_bytes());
        bytes
    }

    #[test]
    fn a_member_owns_what_its_assignment_says() {
        let bytes = assignment(&[("orders", &[2, 0]), ("payments", &[]), ("inventory", &[1])]);
        let owned = owned_partitions(&bytes);
        let expected = [("inventory", 1), ("orders", 0), ("orders", 2)];
        assert_eq!(owned, expected.map(|(topic, p)| (topic.to_owned(), p)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_assignment_or_none_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let owned = owned_partitions(&bytes);
            prop_assert!(owned.len() <= bytes.len());
        }
    }
}
