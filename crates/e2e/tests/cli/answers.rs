//! Wrong commands and their errors. No stack has to run.

use std::net::TcpListener;

use crate::rig::Rig;

#[test]
fn what_is_asked_wrongly_is_answered_with_one_line_and_2() {
    let rig = Rig::new();
    for wrong in [
        &["frobnicate"][..],
        &["up", "shop"],
        &["url", "inventory-service.0"],
        &["url", "inventory-service.10"],
        &["scale", "inventory-service"],
        &["scale", "inventory-service=10"],
        &["scale", "shop=2"],
        &["scale", "lag-monitor=2"],
        &["url", "load-generator.2"],
        &["restart", "lag-monitor", "--set", "BATCH_MAX=1"],
        &["rate", "inventory-service-group", "--over", "0s"],
        &["rebalances", "no-such-group"],
        &["expect", "ratio", "1", "0", "--at-least", "1"],
        &[
            "wait",
            "lag",
            "--caught-up",
            "--within",
            "500000000000years",
        ],
        &["wait", "lag", "--caught-up", "--within", "61m"],
        &["wait", "members", "inventory-service", "--count", "101"],
        &["expect", "stock", "prod_123", "--quantity", "1000000001"],
        &["scale", "inventory-service=99999999999"],
        &["load", "burst", "--count", "0"],
        &["kill", "everything"],
        &["restart", "payment-service", "--set", "BATCH_MAX"],
        &[
            "restart",
            "payment-service",
            "--set",
            "POISON_PRODUCT=prod_1",
        ],
        &[
            "restart",
            "payment-service",
            "--set",
            "KAFKA_CONSUMER_GROUP_ID=mine",
        ],
        &["restart", "payment-service", "--unset", "NO_SUCH_SETTING"],
        &["logs", "shop"],
        &["psql", "shop_db"],
        &["kafka", "no-such-tool"],
        &["wait", "sunshine"],
        &["audit", "--since", "yesterday"],
        &["audit", "--wait", "61m"],
        &[
            "consumer",
            "slow",
            "inventory-service",
            "--time-ms",
            "30001",
        ],
        &["consumer", "set", "inventory-service"],
        &["consumer", "set", "inventory-service", "--batch-max", "0"],
        &[
            "consumer",
            "set",
            "inventory-service",
            "--crash-at",
            "nowhere",
        ],
        &["consumer", "set", "inventory-service", "--crash-at-repeat"],
        &["consumer", "clear", "inventory-service.2"],
        &["consumer", "pause", "shop"],
        &["expect", "controls", "shop"],
        &["topics", "tail"],
        &["topics", "tail", "a/b"],
        &["topics", "tail", "orders", "--from", "yesterday"],
        &["topics", "tail", "orders", "-n", "0"],
        &["topics", "create", "--partitions", "3"],
        &["topics", "create", "clicks", "--partitions", "0"],
        &["topics", "create", "clicks", "--config", "retention.ms"],
        &["topics", "grow", "orders"],
        &["expect", "sunshine"],
    ] {
        let ran = rig.run(wrong);
        assert_eq!(ran.code, 2, "{wrong:?}: {}", ran.errors);
        assert!(
            ran.errors.starts_with("error: "),
            "{wrong:?}: {}",
            ran.errors
        );
        assert_eq!(ran.errors.lines().count(), 1, "{wrong:?}: {}", ran.errors);
    }
}

#[test]
fn a_verb_that_passes_flags_on_still_explains_itself() {
    let help = Rig::new().good(&["kafka", "--help"]);
    assert!(help.contains("./sandbox kafka topics --list"), "{help}");
}

#[test]
fn inside_the_containers_network_a_verb_of_the_host_is_refused_and_nothing_is_written() {
    let rig = Rig::new();
    let folder = rig.home().join("not-there");
    let inside = |arguments: &[&str]| {
        let mut command = rig.command(arguments);
        command.env("SANDBOX_INSIDE", "true");
        // No broker listens there, so no name of this stack's services can be resolved.
        command.env("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1");
        command.env("SANDBOX_HOME", &folder).output().unwrap()
    };
    for host in [
        &["up"][..],
        &["kill", "kafka"],
        &["logs"],
        &["expect", "settings", "payment-service"],
    ] {
        let output = inside(host);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{host:?}: {errors}");
        assert!(errors.contains("on the host"), "{host:?}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{host:?}: {errors}");
    }
    let output = inside(&["order"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("order-service does not run"), "{errors}");
    assert!(!folder.exists());
    assert_eq!(rig.run(&["reset-data"]).code, 2);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let rig = Rig::new();
    let mut url = rig.command(&["url", "order-service"]);
    let output = url.env("ORDER_PORT", "").output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.stdout, b"http://127.0.0.1:3000\n", "{errors}");
}

#[test]
fn a_setting_that_is_none_is_answered_with_those_there_are() {
    let ran = Rig::new().run(&["restart", "inventory-service", "--set", "POISON_PRODUKT="]);
    for name in [
        "POISON_PRODUKT",
        "POISON_PRODUCT",
        "BATCH_MAX",
        "KAFKA_CONSUMER_FETCH_MIN_BYTES",
    ] {
        assert!(ran.errors.contains(name), "{name}: {}", ran.errors);
    }
}

#[test]
fn a_wrong_place_for_the_stack_is_named() {
    let rig = Rig::new();
    for (name, value) in [
        ("KAFKA_PORT", "0"),
        ("INVENTORY_PORTS", "9-8"),
        ("NAME_PREFIX", "ä"),
        ("BIND_ADDR", "here"),
    ] {
        let output = rig.command(&["status"]).env(name, value).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}: {errors}");
        assert!(
            errors.contains(&name.to_lowercase().replace('_', "-")),
            "{name}: {errors}"
        );
    }
}

#[test]
fn each_instance_has_its_own_address() {
    let rig = Rig::new();
    let (order, payment) = (rig.port("ORDER_PORT"), rig.port("PAYMENT_PORT"));
    let inventory: u16 = rig
        .variable("INVENTORY_PORTS")
        .split_once('-')
        .unwrap()
        .0
        .parse()
        .unwrap();
    for (target, port) in [
        ("order-service", order),
        ("order-service.1", order),
        ("order-service.2", order + 11),
        ("payment-service.2", payment + 19),
        ("inventory-service", inventory),
        ("inventory-service.9", inventory + 8),
        ("lag-monitor", rig.port("LAG_MONITOR_PORT")),
        ("load-generator.1", rig.port("LOAD_GENERATOR_PORT")),
        ("prometheus", rig.port("PROMETHEUS_PORT")),
    ] {
        assert_eq!(
            rig.good(&["url", target]),
            format!("http://127.0.0.1:{port}\n"),
            "{target}"
        );
    }
    for (target, name) in [("kafka", "KAFKA_PORT"), ("postgres", "POSTGRES_PORT")] {
        let address = format!("127.0.0.1:{}\n", rig.port(name));
        assert_eq!(rig.good(&["url", target]), address);
    }
}

#[test]
fn taken_ports_are_named_with_their_holder_before_anything_starts() {
    let rig = Rig::new();
    let taken = [rig.port("POSTGRES_PORT"), rig.port("ORDER_PORT")];
    let _held = taken.map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    let holder = format!("process {}", std::process::id());
    for command in ["up", "doctor"] {
        let ran = rig.run(&[command]);
        let said = ran.output + &ran.errors;
        assert_eq!(ran.code, 1, "{said}");
        for port in taken {
            let line = said
                .lines()
                .find(|line| line.contains(&format!("port {port} ")));
            assert!(
                line.unwrap_or_default().contains(&holder),
                "{command}: {said}"
            );
        }
        assert!(
            said.contains("POSTGRES_PORT") && said.contains("ORDER_PORT"),
            "{said}"
        );
    }
    assert_eq!(rig.alive(), [""; 0]);
}

#[test]
fn what_does_not_run_cannot_be_killed_paused_or_restarted_and_the_way_out_is_said() {
    let rig = Rig::new();
    for command in [
        &["kill", "-9", "kafka"][..],
        &["pause", "inventory-service"],
        &["continue", "postgres"],
        &["restart", "order-service"],
        &["restart", "lag-monitor"],
        &["scale", "order-service=2"],
    ] {
        let ran = rig.run(command);
        assert_eq!(ran.code, 1, "{command:?}: {}", ran.errors);
        assert!(
            ran.errors.contains("./sandbox up"),
            "{command:?}: {}",
            ran.errors
        );
    }
    assert_eq!(rig.good(&["down"]), "nothing runs\n");
}
