//! `GET /health`: that the process lives. Whether it can read the cluster, `/health/ready` says.

use axum::Json;
use serde::Serialize;

use crate::NAME;

#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
    service: &'static str,
}

pub(super) async fn health() -> Json<Health> {
    Json(Health {
        status: "healthy",
        service: NAME,
    })
}
