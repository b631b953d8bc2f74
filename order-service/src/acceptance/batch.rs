//! What one transaction of accepted requests writes.
//!
//! The order of the statements is the guarantee that a key makes one order, also when equal requests come at once and to
//! several instances:
//!
//! 1. **Claim** the keys, sorted (so that two instances never wait for one another in both directions). Who claims second waits
//!    until the first has committed, and then claims nothing.
//! 2. **Read** all keys, in a statement of its own: under `READ COMMITTED` it sees what was committed when it began, and so
//!    whatever the claim has waited for. Asked together with the claim, it would not.
//! 3. **Write** the orders of those who hold their key or need none.

use std::collections::HashMap;

use shared_events::{CorrelationId, Envelope, OrderId};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{Accepted, Answer, Waiting};
use crate::domain::Order;
use crate::request::IdempotencyKey;
use crate::store::{self, decode};

/// What a batch comes to, once it is committed.
pub(super) struct Written {
    /// One answer for each request, in their order.
    pub(super) answers: Vec<Answer>,
    /// What is to be told.
    pub(super) events: Vec<Envelope>,
}

/// Who holds a key.
#[derive(FromRow)]
struct Holder {
    key: String,
    request: Uuid,
    order_id: Uuid,
    correlation_id: String,
}

/// Writes keys and orders. `keyed` is false with the keys' protection off: then all come without one.
pub(super) async fn write(
    connection: &mut PgConnection,
    batch: &[Waiting],
    keyed: bool,
) -> Result<Written, sqlx::Error> {
    let mut with_key: Vec<_> = batch
        .iter()
        .filter_map(|waiting| Some((waiting.key.as_ref()?, waiting)))
        .collect();
    with_key.retain(|_| keyed);
    // Stable: of equal keys the one that came first claims.
    with_key.sort_by_key(|(key, _)| *key);
    let holders = if with_key.is_empty() {
        HashMap::new()
    } else {
        claim(connection, &with_key).await?;
        holders(connection, &with_key).await?
    };
    let answers: Vec<_> = batch
        .iter()
        .map(|waiting| match waiting.key.as_ref().filter(|_| keyed) {
            None => Ok(Answer::Accepted(waiting.accepted())),
            Some(key) => waiting.answer_by(holders.get(key.as_str())),
        })
        .collect::<Result<_, _>>()?;
    let looked_at = batch.iter().zip(&answers);
    let accepted = looked_at
        .filter(|(_, answer)| matches!(answer, Answer::Accepted(_)))
        .map(|(waiting, _)| waiting);
    let mut orders: Vec<_> = accepted
        .clone()
        .map(|waiting| Order::told_by(waiting.event(), waiting.at))
        .collect();
    let events = accepted.map(Waiting::event).collect();
    if !orders.is_empty() {
        orders.sort_by_key(|order| order.order_id);
        store::add(connection, &orders).await?;
    }
    Ok(Written { answers, events })
}

async fn claim(
    connection: &mut PgConnection,
    with_key: &[(&IdempotencyKey, &Waiting)],
) -> Result<(), sqlx::Error> {
    fn column<'a, T>(
        with_key: &[(&'a IdempotencyKey, &'a Waiting)],
        field: impl Fn(&'a Waiting) -> T,
    ) -> Vec<T> {
        with_key.iter().map(|(_, waiting)| field(waiting)).collect()
    }
    sqlx::query(
        "INSERT INTO idempotency_keys (key, request, order_id, correlation_id)
         SELECT * FROM UNNEST($1::text[], $2::uuid[], $3::uuid[], $4::text[])
         ON CONFLICT DO NOTHING",
    )
    .bind(
        with_key
            .iter()
            .map(|(key, _)| key.as_str())
            .collect::<Vec<_>>(),
    )
    .bind(column(with_key, |waiting| waiting.order.fingerprint()))
    .bind(column(with_key, |waiting| waiting.order_id.as_uuid()))
    .bind(column(with_key, |waiting| waiting.correlation_id.as_str()))
    .execute(connection)
    .await?;
    Ok(())
}

async fn holders(
    connection: &mut PgConnection,
    with_key: &[(&IdempotencyKey, &Waiting)],
) -> Result<HashMap<String, Holder>, sqlx::Error> {
    let keys: Vec<_> = with_key.iter().map(|(key, _)| key.as_str()).collect();
    let holders: Vec<Holder> = sqlx::query_as(
        "SELECT key, request, order_id, correlation_id FROM idempotency_keys WHERE key = ANY($1)",
    )
    .bind(keys)
    .fetch_all(connection)
    .await?;
    Ok(holders
        .into_iter()
        .map(|holder| (holder.key.clone(), holder))
        .collect())
}

impl Waiting {
    fn accepted(&self) -> Accepted {
        Accepted {
            order_id: self.order_id,
            correlation_id: self.correlation_id.clone(),
        }
    }

    /// A key nobody holds was purged between claim and read: the batch fails, and asking again will do.
    fn answer_by(&self, holder: Option<&Holder>) -> Result<Answer, sqlx::Error> {
        let holder = holder.ok_or(sqlx::Error::RowNotFound)?;
        if holder.order_id == self.order_id.as_uuid() {
            return Ok(Answer::Accepted(self.accepted()));
        }
        if holder.request != self.order.fingerprint() {
            return Ok(Answer::KeyReused);
        }
        Ok(Answer::Repeated(Accepted {
            order_id: OrderId::from(holder.order_id),
            correlation_id: CorrelationId::new(&*holder.correlation_id).map_err(decode)?,
        }))
    }
}
