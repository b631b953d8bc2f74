//! What a person may ask of a running member.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;

/// Wishes, which the member's loop reads between batches. Clones speak to the same member.
#[derive(Debug, Clone)]
pub struct Controls {
    instance_id: Arc<str>,
    paused: Arc<AtomicBool>,
    resumes: Arc<AtomicU64>,
}

/// The answer to a wish.
#[derive(Debug, Serialize)]
struct Answer {
    status: &'static str,
    instance_id: Arc<str>,
}

impl Controls {
    pub(crate) fn new(instance_id: &str) -> Self {
        Self {
            instance_id: instance_id.into(),
            paused: Arc::default(),
            resumes: Arc::default(),
        }
    }

    /// Stops taking records. The member stays in its group, since it goes on polling.
    pub fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    /// Takes records again, also after the poison limit: the count of poison begins anew.
    pub fn resume(&self) {
        self.paused.store(false, Ordering::Relaxed);
        self.resumes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn wants_pause(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// How often somebody asked to resume.
    pub(crate) fn resumes(&self) -> u64 {
        self.resumes.load(Ordering::Relaxed)
    }
}

/// `POST /pause` and `POST /resume`, each answering `{"status": "paused" | "running", "instance_id"}`.
pub fn router(controls: Controls) -> Router {
    Router::new()
        .route("/pause", post(pause))
        .route("/resume", post(resume))
        .with_state(controls)
}

async fn pause(State(controls): State<Controls>) -> Json<Answer> {
    controls.pause();
    Json(Answer {
        status: "paused",
        instance_id: controls.instance_id,
    })
}

async fn resume(State(controls): State<Controls>) -> Json<Answer> {
    controls.resume();
    Json(Answer {
        status: "running",
        instance_id: controls.instance_id,
    })
}
