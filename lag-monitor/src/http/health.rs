//! `GET /health`: liveness. `/health/ready` of [`service_kit::admin`] says whether the cluster can
//! be read.

use axum::Json;
use serde::Serialize;

use crate::NAME;

#[derive(Serialize)]
pub(super) struct HealthAnswer {
    status: &'static str,
    service: &'static str,
}

pub(super) async fn health() -> Json<HealthAnswer> {
    Json(HealthAnswer {
        status: "healthy",
        service: NAME,
    })
}
