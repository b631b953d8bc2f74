//! What a member is between its turns, and what it does besides them: heed wishes, say how it is, leave.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use service_kit::readiness::Component;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::client::{Connection, Need};
use crate::controls::{Controls, Health, Standing};
use crate::handler::Handler;
use crate::member::assignment::{Assignment, Partition};
use crate::member::batch::{ConsumerFatal, Offsets, positions};
use crate::member::halt::Halt;
use crate::member::{MemberError, MemberSettings, subscribe};
use crate::metrics::MemberMetrics;
use crate::settle::{Settler, Unsettled, commit};
use crate::stray::close_aside;

/// How long the position must have been ahead of what was settled before it is committed by itself.
const IDLE_COMMIT: Duration = Duration::from_secs(1);

/// How long a leaving member waits for its partitions to be taken back.
const LEAVE: Duration = Duration::from_secs(3);

/// Why a member takes no records although nobody asked for that.
enum Trouble {
    /// It stopped by itself.
    Halted(String),
    /// Something is missing, or fails.
    Lacks(String),
}

/// A member between its turns.
pub(crate) struct Loop<H> {
    pub(super) settings: MemberSettings,
    pub(super) handler: H,
    pub(super) group: String,
    pub(super) consumer: Arc<BaseConsumer<Assignment>>,
    pub(super) connection: Connection,
    pub(super) settler: Settler,
    pub(super) controls: Controls,
    pub(super) stop: CancellationToken,
    pub(super) runtime: Handle,
    pub(super) metrics: MemberMetrics,
    component: Component,
    /// Whether the client was told to pause, of each partition that is ours.
    told: BTreeMap<Partition, bool>,
    pub(super) halted: Option<Halt>,
    resumes: u64,
    pub(super) run_of_poison: u32,
    pub(super) failures: usize,
    /// Where partitions of ours stand before a poison record, as `POISON_POLICY=block` wants it. The others' batches do not change that.
    pub(super) blocked: Offsets,
    /// A new consumer was made since the old one did not begin to fetch, and has not begun either.
    begins_anew: bool,
    pub(super) settled: Offsets,
    ahead_since: Option<Instant>,
}

impl<H: Handler> Loop<H> {
    #[allow(
        clippy::too_many_arguments,
        reason = "called once, by Member::start, which takes what a service has to give"
    )]
    pub(crate) fn new(
        settings: MemberSettings,
        handler: H,
        consumer: BaseConsumer<Assignment>,
        connection: Connection,
        controls: Controls,
        stop: CancellationToken,
        metrics: MemberMetrics,
        component: Component,
    ) -> Self {
        let MemberSettings {
            service,
            kafka,
            consumer: how,
            faults,
            ..
        } = &settings;
        let runtime = Handle::current();
        let settler = Settler::new(
            *service,
            kafka.clone(),
            how.delivery,
            faults.clone(),
            connection.clone(),
            runtime.clone(),
            settings.commit_limit,
        );
        Self {
            group: kafka.name_prefix.group(*service),
            settler,
            settings,
            handler,
            consumer: Arc::new(consumer),
            connection,
            controls,
            stop,
            runtime,
            metrics,
            component,
            told: BTreeMap::new(),
            halted: None,
            resumes: 0,
            run_of_poison: 0,
            failures: 0,
            blocked: Offsets::new(),
            begins_anew: false,
            settled: Offsets::new(),
            ahead_since: None,
        }
    }

    /// Turns until asked to stop, then leaves the group.
    pub(crate) fn run(mut self) -> Result<(), MemberError> {
        self.metrics.running.set(1);
        let result = self.turns();
        if result.is_ok() {
            self.leave();
        }
        self.metrics.running.set(0);
        self.controls.stand(Standing::default());
        // Whoever follows for this member ends with it.
        self.stop.cancel();
        result
    }

    fn turns(&mut self) -> Result<(), MemberError> {
        while !self.stop.is_cancelled() {
            self.renew_if_lost()?;
            let paused = self.heed_wishes();
            self.report(paused);
            self.metrics.tick();
            self.turn()?;
        }
        Ok(())
    }

    fn renew_if_lost(&mut self) -> Result<(), MemberError> {
        let client = self.consumer.context();
        if client.is_stray() {
            return self.renew_consumer("the client has lost every broker");
        }
        self.begins_anew &= !client.has_begun();
        if client.is_stuck() && !self.begins_anew {
            // Once only: it disturbs the whole group, and if the broker is at fault it does not help.
            self.begins_anew = true;
            return self.renew_consumer("it is not told where its group stands");
        }
        Ok(())
    }

    /// Makes the client's pauses what is wished, and returns whether it pauses. A partition that has just come is told in either case: librdkafka does not
    /// pause it by itself, and one that was paused when it left comes back paused.
    fn heed_wishes(&mut self) -> bool {
        let resumes = self.controls.resumes();
        if resumes != self.resumes {
            self.resumes = resumes;
            self.halted = None;
            self.run_of_poison = 0;
        }
        let wanted = self.controls.in_force().paused || !self.controls.knows_group();
        let pause = self.halted.is_some() || wanted;
        self.metrics.paused.set(i64::from(pause));
        let assigned = self.consumer.context().assigned();
        self.told
            .retain(|partition, _| assigned.contains(partition));
        let to_tell: Vec<Partition> = assigned
            .into_iter()
            .filter(|partition| self.told.get(partition) != Some(&pause))
            .collect();
        if to_tell.is_empty() {
            return pause;
        }
        let names = self.consumer.context().names();
        let list = names.list(
            to_tell
                .iter()
                .map(|partition| (*partition, Offset::Invalid)),
        );
        let done = if pause {
            self.consumer.pause(&list)
        } else {
            self.consumer.resume(&list)
        };
        // A partition that is not ours any more refuses; the callback that says so comes with the next poll.
        if done.is_ok() {
            self.told
                .extend(to_tell.into_iter().map(|partition| (partition, pause)));
        }
        pause
    }

    /// Says in readiness, and to whoever asks, how the member is.
    fn report(&self, paused: bool) {
        let need = self.settings.need;
        let health = match (self.trouble(), need) {
            (Some(Trouble::Halted(why)), _) | (Some(Trouble::Lacks(why)), Need::Required) => {
                self.component.down(why);
                Health::Unhealthy
            }
            (Some(Trouble::Lacks(why)), Need::Optional) => {
                self.component.degraded(why);
                Health::Degraded
            }
            (None, _) if self.controls.in_force().paused => {
                self.component.degraded("paused");
                Health::Degraded
            }
            (None, _) => {
                self.component.ready();
                Health::Healthy
            }
        };
        self.controls.stand(Standing {
            running: true,
            health,
            paused,
            assigned: self.consumer.context().assigned(),
        });
    }

    fn trouble(&self) -> Option<Trouble> {
        let lacks = |what: &str| Some(Trouble::Lacks(what.to_owned()));
        match &self.halted {
            Some(halt) => Some(Trouble::Halted(halt.to_string())),
            None if self.consumer.context().rebalances() == 0 => {
                lacks("has not joined its group yet")
            }
            None if !self.controls.knows_group() => {
                lacks("does not know yet what its group was told in sandbox.controls")
            }
            None if self.consumer.context().is_stuck() => lacks(
                "the broker does not tell where the group stands on a partition: see docs/failure-modes.md",
            ),
            None if self.failures > 0 => lacks("the last batch failed and comes again"),
            None => self.blocked.first_key_value().map(|(partition, offset)| {
                let topic = self.consumer.context().names().name(partition.topic);
                Trouble::Lacks(format!(
                    "blocked: {topic}/{} stands at offset {offset} before a poison record",
                    partition.number
                ))
            }),
        }
    }

    /// Nothing to do: gets ready to settle, and commits a position that is ahead of what was settled. Aborted transactions leave
    /// such remains: nothing to read, yet lag for Kafka's own tool.
    pub(super) fn idle(&mut self) -> Result<(), MemberError> {
        let assignment = self.consumer.context();
        if assignment.assigned().is_empty() {
            // What failed here is another member's now.
            self.failures = 0;
        } else if self.settler.prepare().is_ok() {
            self.failures = 0;
        }
        let mut ahead = positions(&self.consumer);
        ahead.retain(|partition, position| {
            self.settled
                .get(partition)
                .is_none_or(|settled| settled < position)
        });
        if ahead.is_empty() {
            self.ahead_since = None;
            return Ok(());
        }
        let since = *self.ahead_since.get_or_insert_with(Instant::now);
        if since.elapsed() < IDLE_COMMIT {
            return Ok(());
        }
        let list = assignment.names().list(
            ahead
                .iter()
                .map(|(partition, offset)| (*partition, Offset::Offset(*offset))),
        );
        self.ahead_since = None;
        match commit(&self.consumer, &list, self.settings.commit_limit) {
            Ok(()) => self.settled.extend(ahead),
            Err(Unsettled::NotAnswered) => return self.renew_consumer("a commit is not answered"),
            // It is only about what a tool shows; the next idle second tries again.
            Err(error) => tracing::debug!(%error, "position not committed"),
        }
        Ok(())
    }

    /// A new client takes the place of one that will not work again. What was not settled comes to it again, from where the group
    /// stands; the old one leaves the group, if it has not lost its place in it yet.
    pub(super) fn renew_consumer(&mut self, why: &str) -> Result<(), MemberError> {
        tracing::error!(why, "a new consumer takes the place of this one");
        let context = self.consumer.context().anew();
        let consumer = subscribe(&self.settings, context).map_err(ConsumerFatal)?;
        close_aside(std::mem::replace(&mut self.consumer, Arc::new(consumer)));
        self.told.clear();
        self.settled.clear();
        self.ahead_since = None;
        self.failures += 1;
        Ok(())
    }

    /// Leaves the group in good order, so that the others take over at once and not after the session time-out.
    fn leave(&self) {
        self.consumer.unsubscribe();
        let deadline = Instant::now() + LEAVE;
        while !self.consumer.context().assigned().is_empty() && Instant::now() < deadline {
            // Records that still come are nobody's: they were not settled.
            let _ = self.consumer.poll(Duration::from_millis(50));
        }
        tracing::info!("left the group");
    }
}
