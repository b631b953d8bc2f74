//! `sandbox consumer`: the controls of a group and of its members.

use serde_json::{Value, json};

use crate::rig::Rig;

const SERVICE: &str = "inventory-service";

fn shown(rig: &Rig) -> Value {
    serde_json::from_str(&rig.good(&["consumer", "show", SERVICE, "--json"])).unwrap()
}

#[test]
fn controls_of_a_group_reach_later_members_and_one_instance_can_differ() {
    let rig = Rig::shared();
    let output = rig.good(&["consumer", "slow", SERVICE, "--time-ms", "30"]);
    assert!(
        output.contains("inventory-service.1  processing_time_ms=30 [group] batch_max=1 [group]"),
        "{output}"
    );
    rig.good(&["consumer", "set", SERVICE, "--batch-max", "7"]);
    rig.good(&["scale", "inventory-service=2"]);
    let same = [
        "expect",
        "controls",
        SERVICE,
        "--processing-time-ms",
        "30",
        "--batch-max",
        "7",
    ];
    rig.good(&[&same[..], &["--members", "2"]].concat());

    let one = rig.good(&["consumer", "fast", "inventory-service.2"]);
    assert!(
        one.starts_with("inventory-service.2  processing_time_ms=50 [instance]"),
        "{one}"
    );
    let differ = rig.run(&[&same[..], &["--within", "1s"]].concat());
    assert_eq!(differ.code, 1, "{differ:?}");
    assert_eq!(shown(&rig)["inventory-service.1"]["processing_time_ms"], 30);
    assert_eq!(
        shown(&rig)["inventory-service.2"]["sources"]["batch_max"],
        "instance"
    );

    let status = rig.status();
    let controls = status["controls"].as_array().unwrap();
    let of = |name: &str| {
        let control = controls.iter().find(|one| one["of"] == name);
        control.unwrap_or_else(|| panic!("no control of {name}: {controls:?}"))
    };
    let of_group = of(SERVICE);
    assert_eq!(
        (&of_group["source"], &of_group["name"]),
        (&json!("group"), &json!("batch_max"))
    );
    let of_one = of("inventory-service.2");
    assert_eq!(of_one["source"], "instance");
    assert!(
        of_one["since"].is_string() && of_group["since"].is_string(),
        "{controls:?}"
    );
    let text = rig.good(&["status"]);
    for part in [
        "inventory-service.2 processing_time_ms=50  for this instance alone, over HTTP, since ",
        "RECORDS FROM",
        "MEMBER",
        "payments[2]",
        "docs/on-call.md",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    rig.good(&["consumer", "pause", SERVICE]);
    rig.good(&[
        "wait",
        "controls",
        SERVICE,
        "--paused",
        "true",
        "--within",
        "60s",
        "--members",
        "2",
    ]);
    rig.good(&["consumer", "resume", SERVICE]);
    rig.good(&["consumer", "set", SERVICE, "--processing-time-ms", "0"]);
    rig.good(&[
        "expect",
        "controls",
        SERVICE,
        "--batch-max",
        "500",
        "--paused",
        "false",
    ]);
    rig.good(&["consumer", "clear", SERVICE]);
    let sources = &shown(&rig)["inventory-service.2"]["sources"];
    for field in ["processing_time_ms", "batch_max", "paused"] {
        assert_eq!(sources[field], "default", "{sources}");
    }
}

#[test]
fn controls_can_be_set_for_a_group_without_instances_but_not_for_one_instance() {
    let rig = Rig::shared();
    rig.good(&["kill", "payment-service"]);
    let nobody = rig.run(&["consumer", "slow", "payment-service", "--time-ms", "1"]);
    assert_eq!(nobody.code, 0, "{nobody:?}");
    assert!(
        nobody.errors.contains("instances that start later"),
        "{nobody:?}"
    );
    let one = rig.run(&["consumer", "slow", "payment-service.1"]);
    assert_eq!(one.code, 1, "{one:?}");
    rig.good(&["up", "--no-build", "payment-service"]);
    rig.good(&[
        "expect",
        "controls",
        "payment-service",
        "--processing-time-ms",
        "1",
    ]);
    rig.good(&["consumer", "clear", "payment-service"]);
}
