//! `sandbox gateway`: what payment-gateway does wrong on purpose.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use service_kit::settings::whole_number;
use shared_events::gateway_api::DELAY_MS_MAX;
use stack::layout::StackLayout;
use stack::terminal::say;
use stack::workload::Workload;

/// The time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox gateway                                  its behaviour, and what it has charged\n  ./sandbox gateway --fail-percent 30\n  ./sandbox gateway --away                           no answer, until --back\n  ./sandbox gateway --fail-percent 0 --delay-ms 0 --back\n\n./sandbox up --gateway starts it. What is not given stays as it is."
)]
pub struct Gateway {
    /// The share of charges and refunds that fail, 0 to 100
    #[arg(long, value_name = "PERCENT", value_parser = whole_number::<u32>(0..=100))]
    fail_percent: Option<u32>,

    /// How long each charge and refund waits, milliseconds, 0 to 30000
    #[arg(long, value_name = "MS", value_parser = whole_number::<u32>(0..=DELAY_MS_MAX as i64))]
    delay_ms: Option<u32>,

    /// Answer no charge and no refund
    #[arg(long)]
    away: bool,

    /// Answer again
    #[arg(long, conflicts_with = "away")]
    back: bool,
}

/// Changes what is given, and prints the behaviour and the totals.
pub async fn run(args: Gateway, layout: &StackLayout) -> Result<()> {
    let gateways = layout.instances(Workload::PaymentGateway).await?;
    let Some(gateway) = gateways.into_iter().next() else {
        bail!("payment-gateway does not run: ./sandbox up --gateway");
    };
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        .build()?;
    let behaviour = format!("{}/behaviour", gateway.url);
    let change = change(&args);
    let request = match change.is_empty() {
        true => http.get(behaviour),
        false => http.put(behaviour).json(&change),
    };
    say(answer(request).await?);
    say(answer(http.get(format!("{}/charges", gateway.url))).await?);
    Ok(())
}

fn change(args: &Gateway) -> Map<String, Value> {
    let mut change = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            change.insert(name.to_owned(), value);
        }
    };
    set("fail_percent", args.fail_percent.map(Value::from));
    set("delay_ms", args.delay_ms.map(Value::from));
    let away = (args.away || args.back).then_some(args.away);
    set("away", away.map(Value::from));
    change
}

/// The fields of the answer in one line: `fail_percent=30 delay_ms=0 away=false`.
async fn answer(request: reqwest::RequestBuilder) -> Result<String> {
    let answer = request
        .send()
        .await
        .context("payment-gateway does not answer")?;
    let answer = answer
        .error_for_status()
        .context("payment-gateway refuses the change")?;
    let fields: Map<String, Value> = answer
        .json()
        .await
        .context("the answer is not payment-gateway's")?;
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Ok(fields.join(" "))
}
