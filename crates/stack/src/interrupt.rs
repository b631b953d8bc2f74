//! Ctrl-C during a change of the stack: the command undoes what it began, in order, however often the key is pressed.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The number of [`InterruptGuard`]s of this program.
static GUARDS: AtomicUsize = AtomicUsize::new(0);

/// Whether the stack is being changed, so that ending the program now would leave a change half done.
pub fn is_guarded() -> bool {
    GUARDS.load(Ordering::Relaxed) > 0
}

/// Ctrl-C or SIGTERM ended the work.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// SIGINT and SIGTERM of this program. Until the first [`Interrupt::guard`] the signals end the program at once, as they end
/// any program. Clones share the guards.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    guards: Arc<Mutex<Option<Guards>>>,
}

type Guards = Vec<Weak<CancellationToken>>;

/// While a guard exists, a signal ends the work under [`InterruptGuard::unless_interrupted`] instead of the program.
#[derive(Debug)]
pub struct InterruptGuard {
    token: Arc<CancellationToken>,
}

impl Interrupt {
    /// Until the guard is dropped, a signal leaves the program alive, so that it can clean up.
    pub fn guard(&self) -> Result<InterruptGuard> {
        let token = Arc::new(CancellationToken::new());
        let mut guards = self.guards();
        if guards.is_none() {
            self.listen()?;
        }
        let guards = guards.get_or_insert_default();
        // A command that runs for days makes a guard for each of its steps.
        guards.retain(|guard| guard.strong_count() > 0);
        guards.push(Arc::downgrade(&token));
        GUARDS.fetch_add(1, Ordering::Relaxed);
        Ok(InterruptGuard { token })
    }

    fn guards(&self) -> MutexGuard<'_, Option<Guards>> {
        // Each change leaves a valid list, so a panicking thread leaves no half-done change.
        self.guards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Once for the whole program: tokio keeps a signal that it registered, so this task answers the signals until the
    /// program ends, after the last guard too.
    fn listen(&self) -> Result<()> {
        let register = |kind| signal(kind).context("cannot listen for signals");
        let interrupt = register(SignalKind::interrupt())?;
        let terminate = register(SignalKind::terminate())?;
        #[allow(
            clippy::disallowed_methods,
            reason = "the task listens until the program ends, and has no result"
        )]
        tokio::spawn(self.clone().answer(interrupt, terminate));
        Ok(())
    }

    async fn answer(self, mut interrupt: Signal, mut terminate: Signal) {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            let guards: Vec<_> = self
                .guards()
                .iter()
                .flatten()
                .filter_map(Weak::upgrade)
                .collect();
            if guards.is_empty() {
                std::process::exit(1);
            }
            guards.iter().for_each(|token| token.cancel());
        }
    }
}

impl InterruptGuard {
    /// The outcome of `work`; [`Interrupted`] if a signal comes first or came before. `work` is dropped then, so it must be
    /// safe to drop at every await point: waiting for a process is, starting one is not.
    pub async fn unless_interrupted<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.token.cancelled() => Err(Interrupted.into()),
            outcome = work => outcome,
        }
    }

    /// Fails with [`Interrupted`] if a signal came.
    pub fn check(&self) -> Result<()> {
        if self.token.is_cancelled() {
            Err(Interrupted.into())
        } else {
            Ok(())
        }
    }
}

impl Drop for InterruptGuard {
    fn drop(&mut self) {
        GUARDS.fetch_sub(1, Ordering::Relaxed);
    }
}
