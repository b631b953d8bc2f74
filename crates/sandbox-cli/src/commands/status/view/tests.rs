use std::collections::BTreeMap;

use stack::status_rows::members::ConditionRow;

use super::*;

fn row(name: &str, reason: Option<&str>) -> ProcessRow {
    ProcessRow {
        name: name.to_owned(),
        state: "running",
        pid: Some(1),
        address: None,
        readiness: Some("not_ready"),
        reason: reason.map(str::to_owned),
        uptime_s: None,
        rss_bytes: None,
        starts: None,
        ending: None,
        last_log_line: None,
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

#[test]
fn a_reason_is_shown_once_with_its_time_and_no_column_grows_with_it() {
    let long = "blocked before payments/1 offset 226: ".repeat(20);
    let long = long.trim();
    let processes = [row("payment-service.1", Some(&format!("consumer: {long}")))];
    let condition = |cause: &str| ConditionRow {
        member: "payment-service.1".to_owned(),
        cause: cause.to_owned(),
        since: at(90_000),
    };
    let members = MemberRows {
        controls: Vec::new(),
        conditions: vec![condition(long), condition("paused")],
    };
    let reasons = reasons(&processes, &members, at(90_010));
    let name = || "payment-service.1".to_owned();
    assert_eq!(
        reasons,
        [
            [name(), format!("consumer: {long}, since 01:00:00 UTC")],
            [name(), "paused, since 01:00:00 UTC".to_owned()],
        ]
    );
    assert_eq!(processes[0].summary(), "not ready");
}

#[test]
fn a_time_of_another_day_has_its_date() {
    assert_eq!(time(at(0), at(86_399)), "00:00:00 UTC");
    assert_eq!(time(at(0), at(86_400)), "1970-01-01 00:00:00 UTC");
}

#[test]
fn a_control_says_for_whom_by_what_and_since_when() {
    let rows = [
        ControlRow {
            of: "payment-service".to_owned(),
            source: "group",
            name: "paused",
            value: "true".to_owned(),
            since: Some(at(60)),
        },
        ControlRow {
            of: "inventory-service.2".to_owned(),
            source: "instance",
            name: "processing_time_ms",
            value: "4000".to_owned(),
            since: None,
        },
    ];
    assert_eq!(
        control_lines(&rows, at(70)),
        [
            "payment-service paused=true  for the group, by its record in sandbox.controls, since 00:01:00 UTC",
            "inventory-service.2 processing_time_ms=4000  for this instance alone, over HTTP",
        ]
    );
}

#[test]
fn stuck_orders_are_shown_with_what_they_wait_for() {
    let none = StuckOrders::default();
    assert_eq!(stuck_text(&none), "No order is stuck.");
    let stuck = |count, has_more| StuckOrders {
        count,
        has_more,
        waiting_for: BTreeMap::from([("PaymentRefunded".to_owned(), count)]),
    };
    let one = stuck_text(&stuck(1, false));
    assert!(
        one.starts_with("1 order is stuck") && one.ends_with("1 waits for PaymentRefunded"),
        "{one}"
    );
    let many = stuck_text(&stuck(10_000, true));
    assert!(many.starts_with("over 10000 orders are stuck"), "{many}");
}
