//! The requests, and the faults on request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use prometheus::{IntCounterVec, Opts, Registry};
use service_kit::json_fields::JsonFields;
use service_kit::{BoundedInt, Problem};
use shared_events::gateway_api::{Behaviour, DELAY_MS_MAX, Transfer, TransferAnswer};
use tokio::sync::watch;

use crate::ledger::{Conflict, Ledger, Totals};

/// `Retry-After` of a failure on purpose.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The values of the label `outcome`.
const OUTCOMES: [&str; 4] = ["approved", "refused", "failed", "conflict"];

/// What all requests share.
#[derive(Clone)]
pub struct Gateway {
    ledger: Arc<Mutex<Ledger>>,
    behaviour: Arc<watch::Sender<Behaviour>>,
    requests: IntCounterVec,
}

#[derive(Clone, Copy)]
enum Kind {
    Charge,
    Refund,
}

impl Kind {
    const fn label(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Refund => "refund",
        }
    }
}

impl Gateway {
    /// An empty gateway that does nothing wrong. Fails if its metrics are registered already.
    pub fn new(payment_limit: usize, registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                "payment_gateway_requests_total",
                "Charges and refunds that were answered, by outcome.",
            ),
            &["kind", "outcome"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        for kind in [Kind::Charge, Kind::Refund] {
            for outcome in OUTCOMES {
                requests.with_label_values(&[kind.label(), outcome]);
            }
        }
        Ok(Self {
            ledger: Arc::new(Mutex::new(Ledger::new(payment_limit))),
            behaviour: Arc::new(watch::Sender::new(Behaviour::default())),
            requests,
        })
    }

    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/charges", post(charge).get(totals))
            .route("/refunds", post(refund))
            .route("/behaviour", get(behaviour).put(change_behaviour))
            .with_state(self)
    }

    async fn transfer(
        &self,
        kind: Kind,
        mut fields: JsonFields,
    ) -> Result<Json<TransferAnswer>, Problem> {
        let (payment_id, order_id) = (fields.take("paymentId"), fields.take("orderId"));
        let amount = fields.take("amount");
        let transfer = payment_id.zip(order_id).zip(amount);
        let transfer = transfer.map(|((payment_id, order_id), amount)| Transfer {
            payment_id,
            order_id,
            amount,
        });
        let transfer = fields.finish(transfer)?;
        let answer = self.answer(kind, transfer).await;
        let outcome = match &answer {
            Ok(TransferAnswer::Approved) => "approved",
            Ok(TransferAnswer::Refused { .. }) => "refused",
            Err(problem) if problem.status() == StatusCode::CONFLICT => "conflict",
            Err(_) => "failed",
        };
        self.requests
            .with_label_values(&[kind.label(), outcome])
            .inc();
        answer.map(Json)
    }

    /// The faults first. Half of the failures come after the decision: then the caller cannot know
    /// whether the money was moved, and only the payment id keeps it from being moved twice.
    async fn answer(&self, kind: Kind, transfer: Transfer) -> Result<TransferAnswer, Problem> {
        let mut changes = self.behaviour.subscribe();
        // It fails only if the sender is gone, and this request holds it.
        let present = changes.wait_for(|behaviour| !behaviour.away).await;
        let behaviour = present.map(|behaviour| *behaviour).unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(behaviour.delay_ms.into())).await;
        let fails = fastrand::u32(0..100) < behaviour.fail_percent;
        if fails && fastrand::bool() {
            return Err(failure());
        }
        let answer = {
            let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
            match kind {
                Kind::Charge => ledger.charge(transfer),
                Kind::Refund => ledger.refund(transfer),
            }
        };
        match answer {
            Ok(_) if fails => Err(failure()),
            Ok(answer) => Ok(answer),
            Err(Conflict) => Err(Problem::new(
                StatusCode::CONFLICT,
                "paymentId: was used before for another order or amount",
            )),
        }
    }
}

fn failure() -> Problem {
    Problem::unavailable(
        "a failure on purpose: see fail_percent of /behaviour",
        RETRY_AFTER,
    )
}

async fn charge(
    State(gateway): State<Gateway>,
    fields: JsonFields,
) -> Result<Json<TransferAnswer>, Problem> {
    gateway.transfer(Kind::Charge, fields).await
}

async fn refund(
    State(gateway): State<Gateway>,
    fields: JsonFields,
) -> Result<Json<TransferAnswer>, Problem> {
    gateway.transfer(Kind::Refund, fields).await
}

async fn totals(State(gateway): State<Gateway>) -> Json<Totals> {
    let ledger = gateway.ledger.lock();
    Json(ledger.unwrap_or_else(PoisonError::into_inner).totals())
}

async fn behaviour(State(gateway): State<Gateway>) -> Json<Behaviour> {
    Json(*gateway.behaviour.borrow())
}

/// A field that is not given keeps its value.
async fn change_behaviour(
    State(gateway): State<Gateway>,
    mut fields: JsonFields,
) -> Result<Json<Behaviour>, Problem> {
    let fail_percent = fields.take_if_given::<BoundedInt<0, 100>>("fail_percent");
    let delay_ms = fields.take_if_given::<BoundedInt<0, DELAY_MS_MAX>>("delay_ms");
    let away = fields.take_if_given::<bool>("away");
    let (fail_percent, delay_ms, away) = fields.finish(Some((fail_percent, delay_ms, away)))?;
    gateway.behaviour.send_modify(|behaviour| {
        if let Some(percent) = fail_percent {
            behaviour.fail_percent = percent.get_u32();
        }
        if let Some(delay) = delay_ms {
            behaviour.delay_ms = delay.get_u32();
        }
        behaviour.away = away.unwrap_or(behaviour.away);
    });
    let now = *gateway.behaviour.borrow();
    tracing::info!(?now, "behaviour changed");
    Ok(Json(now))
}
