//! `sandbox topics`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::rig::Rig;

/// The records of `topics tail --json`.
fn records(rig: &Rig, arguments: &[&str]) -> Vec<Value> {
    let mut all = vec!["topics", "tail", "--json"];
    all.extend(arguments);
    let shown = rig.good(&all);
    shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn keys(records: &[Value]) -> Vec<&str> {
    records
        .iter()
        .map(|record| record["key"].as_str().unwrap())
        .collect()
}

fn order(rig: &Rig) -> String {
    let id = rig.good(&["order", "--product", "prod_burst", "--quantity", "1"]);
    let id = id.trim().to_owned();
    rig.good(&["wait", "order", &id, "--status", "CONFIRMED"]);
    id
}

#[test]
fn the_last_records_are_found_among_markers_and_those_of_one_key_in_any_topic() {
    let rig = Rig::shared();
    let ids: Vec<String> = (0..3).map(|_| order(&rig)).collect();
    // One transaction for each event: each record is followed by a marker.
    let last = records(&rig, &["payments", "-n", "3"]);
    assert_eq!(keys(&last), ids);
    let one = records(&rig, &["inventory", "--key", &ids[1], "--from", "0"]);
    assert_eq!(keys(&one), [ids[1].as_str()]);
    let headers = one[0]["headers"].as_array().unwrap();
    let named = |name: &str| {
        headers
            .iter()
            .find(|header| header["name"] == name)
            .unwrap()
    };
    assert_eq!(named("event-type")["value"], "InventoryReserved");
    let place = |name: &str| one[0][name].as_i64().unwrap();
    let from = place("offset").to_string();
    let found = records(&rig, &["inventory", "--key", &ids[1], "--from", &from]);
    assert_eq!(found, one);
    assert_eq!(
        records(&rig, &["orders", "--from", "1h", "-n", "2"]).len(),
        2
    );
    assert!(records(&rig, &["orders", "--from", "9223372036854775807"]).is_empty());
    let text = rig.good(&["topics", "tail", "inventory", "--key", &ids[2]]);
    let line = format!(
        "inventory/{}/",
        records(&rig, &["inventory", "--key", &ids[2]])[0]["partition"]
    );
    assert!(text.starts_with(&line), "{text}");
    assert!(text.contains("event-type: InventoryReserved"), "{text}");
}

#[test]
fn who_follows_a_topic_sees_new_records_and_the_deletion() {
    let rig = Rig::shared();
    rig.good(&["topics", "create", "passing", "--partitions", "1"]);
    let mut tail = rig
        .command(&["topics", "tail", "passing", "-f", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let produce = |text: &str| {
        let mut producer = rig
            .command(&["kafka", "console-producer", "--topic", "passing"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(producer.stdin.as_mut().unwrap(), text.as_bytes()).unwrap();
        drop(producer.stdin.take());
        assert!(producer.wait().unwrap().success());
    };
    produce("one\ntwo\n");
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut value = || {
        let line = lines.next().unwrap().unwrap();
        let record: Value = serde_json::from_str(&line).unwrap();
        record["value"].as_str().unwrap().to_owned()
    };
    assert_eq!((value(), value()), ("one".to_owned(), "two".to_owned()));
    produce("three\n");
    assert_eq!(value(), "three");
    rig.good(&["topics", "delete", "passing", "--yes"]);
    let ended = tail.wait_with_output().unwrap();
    let errors = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{errors}");
    assert!(errors.contains("passing was deleted"), "{errors}");
}

#[test]
fn a_tail_names_the_records_that_were_deleted() {
    let rig = Rig::shared();
    rig.good(&["topics", "create", "shortened", "--partitions", "1"]);
    let mut producer = rig
        .command(&["kafka", "console-producer", "--topic", "shortened"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(producer.stdin.as_mut().unwrap(), b"0\n1\n2\n3\n4\n").unwrap();
    drop(producer.stdin.take());
    assert!(producer.wait().unwrap().success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("delete.json");
    let before = r#"{"partitions": [{"topic": "shortened", "partition": 0, "offset": 3}]}"#;
    std::fs::write(&file, before).unwrap();
    let file = file.to_str().unwrap();
    rig.good(&["kafka", "delete-records", "--offset-json-file", file]);

    let tail = ["topics", "tail", "shortened", "--from", "1"];
    let shown = rig.run(&tail);
    assert_eq!(shown.code, 0, "{shown:?}");
    let expected = "shortened[0]: offsets 1 to 2 were deleted; the log begins at offset 3";
    assert!(shown.errors.contains(expected), "{shown:?}");
    let as_json = records(&rig, &tail[2..]);
    assert_eq!(as_json[0]["missing"]["logStart"], 3);
    assert_eq!(as_json[1]["offset"], 3);
    assert_eq!(as_json.len(), 3);
    let whole = rig.run(&["topics", "tail", "shortened", "--from", "3"]);
    assert_eq!(whole.errors, "");
    rig.good(&["topics", "delete", "shortened", "--yes"]);
}

#[test]
fn a_topic_is_made_once_grown_but_never_shrunk_and_deleted_only_on_purpose() {
    let rig = Rig::shared();
    let clicks = |more: &[&str]| {
        let mut all = vec!["topics", "create", "clicks"];
        all.extend(more);
        rig.run(&all)
    };
    let made = clicks(&["--partitions", "2", "--config", "retention.ms=3600000"]);
    assert_eq!(
        (made.code, made.output.trim()),
        (0, "clicks created"),
        "{made:?}"
    );
    let again = clicks(&["--partitions", "2", "--config", "retention.ms=3600000"]);
    assert_eq!(
        (again.code, again.output.trim()),
        (0, "clicks exists"),
        "{again:?}"
    );
    assert_eq!(clicks(&[]).code, 0);
    let other = clicks(&["--partitions", "3", "--config", "retention.ms=1"]);
    assert_eq!(other.code, 1);
    for part in [
        "partitions is 2, expected 3",
        "retention.ms is 3600000, expected 1",
    ] {
        assert!(other.errors.contains(part), "{other:?}");
    }
    let described = rig.good(&["topics", "describe", "clicks"]);
    assert!(described.contains("retention.ms=3600000"), "{described}");

    let grown = rig.run(&["topics", "grow", "clicks", "--partitions", "4"]);
    assert_eq!(grown.code, 0, "{grown:?}");
    assert!(grown.errors.contains("instead of"), "{grown:?}");
    assert_eq!(
        rig.run(&["topics", "grow", "clicks", "--partitions", "4"])
            .code,
        0
    );
    let shrunk = rig.run(&["topics", "grow", "clicks", "--partitions", "2"]);
    assert_eq!(shrunk.code, 1, "{shrunk:?}");
    assert!(shrunk.errors.contains("cannot have fewer"), "{shrunk:?}");
    let listed = rig.good(&["topics", "list"]);
    let row = listed
        .lines()
        .find(|line| line.starts_with("clicks "))
        .unwrap();
    assert_eq!(row.split_whitespace().nth(1), Some("4"), "{listed}");

    let kept = rig.run(&["topics", "delete", "clicks"]);
    assert_eq!(kept.code, 2, "{kept:?}");
    assert!(kept.errors.contains("lost for ever"), "{kept:?}");
    rig.good(&["topics", "delete", "clicks", "--yes"]);
    for gone in [
        &["topics", "delete", "clicks", "--yes"][..],
        &["topics", "describe", "clicks"],
        &["topics", "tail", "clicks"],
        &["topics", "grow", "clicks", "--partitions", "9"],
    ] {
        let ran = rig.run(gone);
        assert_eq!(ran.code, 1, "{gone:?}: {ran:?}");
        assert!(
            ran.errors.contains("there are ") && ran.errors.contains("orders.dlq"),
            "{ran:?}"
        );
    }
}
