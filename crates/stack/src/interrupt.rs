//! Ctrl-C while something is being started: what was begun is undone, in order, however often the key is pressed.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The person changed their mind.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// SIGINT and SIGTERM of this program. Until the first [`Interrupt::hold`] they end it, as they do any program. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    holds: Arc<Mutex<Option<Holds>>>,
}

type Holds = Vec<Weak<CancellationToken>>;

/// While it lives, a signal does not end the program, but what runs under [`Hold::or`].
#[derive(Debug)]
pub struct Hold {
    token: Arc<CancellationToken>,
}

impl Interrupt {
    /// From now on, and until the hold is dropped, a signal leaves the program alive, to clean up behind itself.
    pub fn hold(&self) -> Result<Hold> {
        let token = Arc::new(CancellationToken::new());
        let mut holds = self.holds();
        if holds.is_none() {
            self.listen()?;
        }
        holds.get_or_insert_default().push(Arc::downgrade(&token));
        Ok(Hold { token })
    }

    fn holds(&self) -> MutexGuard<'_, Option<Holds>> {
        // Every change is one push or one read: a panicking thread leaves nothing half-done.
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Once for the whole program: tokio never gives a signal back to the system, so whoever asks for it has to answer it for
    /// ever, also after the last hold.
    fn listen(&self) -> Result<()> {
        let register = |kind| signal(kind).context("cannot listen for signals");
        let interrupt = register(SignalKind::interrupt())?;
        let terminate = register(SignalKind::terminate())?;
        #[allow(
            clippy::disallowed_methods,
            reason = "it listens for as long as the program lives, and has no result"
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
            let holds: Vec<_> = self
                .holds()
                .iter()
                .flatten()
                .filter_map(Weak::upgrade)
                .collect();
            if holds.is_empty() {
                std::process::exit(1);
            }
            holds.iter().for_each(|token| token.cancel());
        }
    }
}

impl Hold {
    /// The outcome of `work`, unless a signal comes first or came before: then `work` is dropped, so it must leave nothing
    /// behind when that happens. What starts a process does not qualify; what waits for one does.
    pub async fn or<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.token.cancelled() => Err(Interrupted.into()),
            outcome = work => outcome,
        }
    }

    /// An error if a signal came.
    pub fn check(&self) -> Result<()> {
        if self.token.is_cancelled() {
            Err(Interrupted.into())
        } else {
            Ok(())
        }
    }
}
