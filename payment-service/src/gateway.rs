//! Who moves the money: a payment gateway over HTTP, or no other system at all.
//!
//! The gateway is idempotent by payment id, and a decision never changes. So a repeated charge gets
//! the same answer, and this service publishes the same event.

use std::future::Future;
use std::time::Duration;

use anyhow::Context;
use reqwest::{Client, StatusCode, Url};
use shared_events::gateway_api::{CHARGES, REFUNDS, Transfer, TransferAnswer, decide};

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Most characters of an error's cause that are kept.
const MAX_CAUSE: usize = 200;

/// A charge or a refund that has no answer yet, with the cause. It may have been done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnswer(pub String);

/// Moves money. Each call may be repeated with the same transfer at any time, and then must return
/// the same answer without moving the money again.
pub trait Payments: Send + Sync + 'static {
    /// Charges a payment.
    fn charge(
        &self,
        transfer: Transfer,
    ) -> impl Future<Output = Result<TransferAnswer, NoAnswer>> + Send;

    /// Gives the money of a payment back.
    fn refund(&self, transfer: Transfer) -> impl Future<Output = Result<(), NoAnswer>> + Send;
}

/// Decides by the rule alone. It cannot fail.
pub struct RuleOnly;

impl Payments for RuleOnly {
    async fn charge(&self, transfer: Transfer) -> Result<TransferAnswer, NoAnswer> {
        Ok(decide(transfer.amount))
    }

    async fn refund(&self, _: Transfer) -> Result<(), NoAnswer> {
        Ok(())
    }
}

/// payment-gateway, over HTTP.
pub struct HttpGateway {
    client: Client,
    charges: Url,
    refunds: Url,
}

impl HttpGateway {
    /// A client of the gateway at this base URL. The gateway need not be up.
    pub fn new(base: &Url) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(ANSWER_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build();
        let join = |path| {
            base.join(path)
                .context("PAYMENT_GATEWAY_URL is not a base URL")
        };
        Ok(Self {
            client: client.context("cannot build an HTTP client")?,
            charges: join(CHARGES)?,
            refunds: join(REFUNDS)?,
        })
    }

    /// Only status 200 is a decision. Everything else is no answer, also a status 404 of a wrong
    /// URL: a mistake in the settings must not decline orders.
    async fn post(&self, url: &Url, transfer: Transfer) -> Result<TransferAnswer, NoAnswer> {
        let answer = self.client.post(url.clone()).json(&transfer).send().await;
        let answer = answer.map_err(|error| no_answer(&error))?;
        match answer.status() {
            StatusCode::OK => answer.json().await.map_err(|error| no_answer(&error)),
            status => Err(NoAnswer(format!("the payment gateway answers {status}"))),
        }
    }
}

impl Payments for HttpGateway {
    async fn charge(&self, transfer: Transfer) -> Result<TransferAnswer, NoAnswer> {
        self.post(&self.charges, transfer).await
    }

    /// No event says that a refund was refused, so a refusal is an error that a person must see.
    async fn refund(&self, transfer: Transfer) -> Result<(), NoAnswer> {
        match self.post(&self.refunds, transfer).await? {
            TransferAnswer::Approved => Ok(()),
            TransferAnswer::Refused { reason } => Err(NoAnswer(format!(
                "the payment gateway refuses the refund: {reason}"
            ))),
        }
    }
}

fn no_answer(error: &reqwest::Error) -> NoAnswer {
    let cause = if error.is_timeout() {
        format!("the payment gateway did not answer within {ANSWER_TIMEOUT:?}")
    } else if error.is_connect() {
        "the payment gateway cannot be reached".to_owned()
    } else {
        format!("no answer of the payment gateway: {error}")
    };
    NoAnswer(cause.chars().take(MAX_CAUSE).collect())
}
