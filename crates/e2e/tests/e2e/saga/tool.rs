//! The lag that Kafka's own tool shows.

use kafka_runtime::faults::CrashPoint;
use local_runtime::kafka_tools;
use shared_events::Service;

use crate::shop::clients::Request;
use crate::shop::{INVENTORY, ORDER, PAYMENT, Shop};

/// After commits, an abort, a crash and a restart of each consuming service.
#[tokio::test]
async fn kafkas_own_tool_shows_lag_0_when_caught_up() {
    let shop = Shop::open("tool").await;
    let shop = shop.with("STATIC_MEMBERSHIP", "true");
    let fatal = [
        ("SANDBOX_UNSAFE", "1"),
        ("CRASH_AT", CrashPoint::OffsetsAdded.name()),
    ];
    shop.start(ORDER, &[]).await;
    for who in [PAYMENT, INVENTORY] {
        shop.start(who, &fatal).await;
    }
    shop.ready(&[ORDER]).await;
    shop.place_all(&Request::mixed(16), 4).await;
    for who in [PAYMENT, INVENTORY] {
        shop.crashed(who).await;
        shop.start(who, &[]).await;
    }
    shop.terminate(ORDER).await;
    shop.start(ORDER, &[]).await;
    shop.caught_up().await;
    let prefix = &shop.kafka.name_prefix;
    let groups = Service::ALL.map(|service| prefix.group(service));
    // Its default time-out is 5 s, after which it prints nothing and exits with 0.
    let mut arguments = vec!["--timeout".into(), "60000".into(), "--describe".into()];
    for group in &groups {
        arguments.extend(["--group".into(), group.into()]);
    }
    let installation = test_stack::sources().installed().unwrap();
    let bootstrap = &shop.kafka.bootstrap_servers;
    let tool = kafka_tools::command(&installation, bootstrap, "consumer-groups", &arguments);
    let output = tool.unwrap().output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let lags = lags(&output);
    // Three partitions of each topic that a group consumes.
    let partitions: usize = Service::ALL
        .map(|service| 3 * service.consumes().len())
        .iter()
        .sum();
    assert_eq!(lags.len(), partitions, "{output}");
    assert!(lags.iter().all(|lag| lag == "0" || lag == "-"), "{output}");
    assert!(
        lags.iter().filter(|lag| *lag == "0").count() >= groups.len(),
        "{output}"
    );
}

/// The values of the column `LAG`.
fn lags(output: &str) -> Vec<String> {
    let mut column = None;
    let mut lags = Vec::new();
    for line in output.lines() {
        let cells: Vec<_> = line.split_whitespace().collect();
        if let Some(place) = cells.iter().position(|cell| *cell == "LAG") {
            column = Some(place);
        } else if let Some(lag) = column.and_then(|place| cells.get(place)) {
            lags.push((*lag).to_owned());
        }
    }
    lags
}
