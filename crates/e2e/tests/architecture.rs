//! Who may use whom. The table of ARCHITECTURE.md, held against what cargo knows.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Each crate of the workspace, and the crates of the workspace it may use. A service never uses a service.
const MAY_USE: &[(&str, &[&str])] = &[
    ("shared-events", &[]),
    ("service-kit", &["shared-events"]),
    ("messaging", &["shared-events", "service-kit"]),
    (
        "order-service",
        &["shared-events", "service-kit", "messaging"],
    ),
    (
        "payment-service",
        &["shared-events", "service-kit", "messaging"],
    ),
    (
        "inventory-service",
        &["shared-events", "service-kit", "messaging"],
    ),
    ("cluster-reader", &[]),
    (
        "load-generator",
        &["shared-events", "service-kit", "messaging"],
    ),
    (
        "lag-monitor",
        &[
            "shared-events",
            "service-kit",
            "messaging",
            "cluster-reader",
        ],
    ),
    ("local-runtime", &[]),
    (
        "sandbox-cli",
        &[
            "local-runtime",
            "messaging",
            "shared-events",
            "service-kit",
            "cluster-reader",
        ],
    ),
    ("test-stack", &["local-runtime"]),
];

/// Crates of others that only some may use, and who. All other crates are free.
const RESERVED: &[(&str, &[&str])] = &[
    (
        "axum",
        &[
            "service-kit",
            "messaging",
            "order-service",
            "payment-service",
            "inventory-service",
            "load-generator",
            "lag-monitor",
        ],
    ),
    ("rdkafka", &["messaging"]),
    ("sqlx", &["messaging", "order-service", "inventory-service"]),
    ("kafka-protocol", &["cluster-reader"]),
    ("opentelemetry_sdk", &["service-kit"]),
    ("testcontainers", &["test-stack"]),
];

fn metadata() -> Metadata {
    MetadataCommand::new().no_deps().exec().unwrap()
}

/// What a crate uses when it runs (`tests: false`), or only when it is tested.
fn used(package: &Package, tests: bool) -> BTreeSet<&str> {
    let wanted = package
        .dependencies
        .iter()
        .filter(|dependency| (dependency.kind == DependencyKind::Development) == tests);
    wanted.map(|dependency| dependency.name.as_str()).collect()
}

#[test]
fn every_crate_uses_only_the_crates_that_the_table_grants_it() {
    let metadata = metadata();
    let table: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let packages = metadata.workspace_packages();
    let names: BTreeSet<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    assert_eq!(
        names,
        table.keys().copied().collect(),
        "the table names every crate"
    );
    for package in &packages {
        let granted = table.get(package.name.as_str()).unwrap();
        for other in used(package, false).intersection(&names) {
            assert!(granted.contains(other), "{} uses {other}", package.name);
        }
        // Tests may use the stack and the seams besides, but a service's tests know no other service either.
        for other in used(package, true).intersection(&names) {
            assert!(
                *other == "test-stack" || granted.contains(other),
                "the tests of {} use {other}",
                package.name
            );
        }
    }
}

#[test]
fn the_crates_that_carry_the_design_are_used_where_the_design_has_them() {
    let metadata = metadata();
    for (reserved, granted) in RESERVED {
        for package in metadata.workspace_packages() {
            let uses = used(package, false).contains(reserved);
            assert!(
                !uses || granted.contains(&package.name.as_str()),
                "{} uses {reserved}",
                package.name
            );
        }
    }
}
