//! Which crate may use which: compares the table of ARCHITECTURE.md with cargo's metadata. Checks that every dependency is used, and that
//! the files that documents name exist.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod unused_dependencies;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// What a service may use.
const SERVICE: &[&str] = &["shared-events", "service-kit", "kafka-runtime"];

/// Each crate of the workspace, and the crates of the workspace that it may use. A service never uses a service.
const MAY_USE: &[(&str, &[&str])] = &[
    ("shared-events", &[]),
    ("service-kit", &["shared-events"]),
    ("kafka-runtime", &["shared-events", "service-kit"]),
    ("autoscaler", &["shared-events"]),
    ("cluster-reader", &[]),
    (
        "kafka-admin",
        &[
            "shared-events",
            "service-kit",
            "kafka-runtime",
            "cluster-reader",
        ],
    ),
    ("order-service", SERVICE),
    ("payment-service", SERVICE),
    ("inventory-service", SERVICE),
    ("payment-gateway", &["shared-events", "service-kit"]),
    (
        "load-generator",
        &["shared-events", "service-kit", "kafka-admin"],
    ),
    (
        "lag-monitor",
        &[
            "shared-events",
            "service-kit",
            "kafka-admin",
            "cluster-reader",
        ],
    ),
    ("local-runtime", &[]),
    (
        "stack",
        &[
            "shared-events",
            "service-kit",
            "kafka-admin",
            "cluster-reader",
            "local-runtime",
        ],
    ),
    (
        "scenario-runner",
        &[
            "shared-events",
            "service-kit",
            "kafka-admin",
            "cluster-reader",
            "stack",
        ],
    ),
    (
        "bench",
        &[
            "shared-events",
            "service-kit",
            "kafka-admin",
            "local-runtime",
            "stack",
        ],
    ),
    (
        "audit",
        &["shared-events", "kafka-admin", "cluster-reader", "stack"],
    ),
    (
        "faults",
        &[
            "shared-events",
            "kafka-admin",
            "cluster-reader",
            "local-runtime",
            "stack",
        ],
    ),
    (
        "sandbox-cli",
        &[
            "shared-events",
            "service-kit",
            "kafka-admin",
            "cluster-reader",
            "local-runtime",
            "stack",
            "scenario-runner",
            "autoscaler",
            "bench",
            "faults",
            "audit",
        ],
    ),
    ("test-stack", &["local-runtime"]),
    ("e2e", &[]),
];

/// What the tests of a crate may use besides: a real stack, the crates that read what a service wrote to Kafka, a member of a group
/// for the tests of a tool that observes one, and the simulated gateway that a service calls.
const TESTS_MAY_USE: &[&str] = &[
    "test-stack",
    "kafka-admin",
    "cluster-reader",
    "kafka-runtime",
    "payment-gateway",
];

/// The crate whose tests are about the whole system, and may use every library.
const WHOLE_SYSTEM: &str = "e2e";

/// Crates of others that only some may use, and which ones. All other crates are free.
const RESERVED: &[(&str, &[&str])] = &[
    (
        "axum",
        &[
            "service-kit",
            "kafka-runtime",
            "order-service",
            "payment-service",
            "inventory-service",
            "payment-gateway",
            "load-generator",
            "lag-monitor",
        ],
    ),
    ("rdkafka", &["kafka-runtime", "kafka-admin"]),
    (
        "sqlx",
        &[
            "audit",
            "kafka-runtime",
            "order-service",
            "inventory-service",
            "stack",
            "faults",
        ],
    ),
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
        // The tests of a service use no other service either.
        for other in used(package, true).intersection(&names) {
            assert!(
                package.name == WHOLE_SYSTEM
                    || TESTS_MAY_USE.contains(other)
                    || granted.contains(other),
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

#[test]
fn every_path_that_a_document_names_exists() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut named = 0;
    for document in [
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/failure-modes.md",
    ] {
        let text = fs::read_to_string(root.join(document)).unwrap();
        // Between backticks, with a folder, and without what stands for something: `lag-monitor/page/controls.js`.
        let quoted = text.split('`').skip(1).step_by(2);
        let is_path = |part: &&str| {
            part.trim_end_matches('/').contains('/')
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
        };
        for path in quoted.filter(is_path).filter(|path| !path.starts_with('/')) {
            assert!(root.join(path).exists(), "{document} names {path}");
            named += 1;
        }
    }
    assert!(named > 20, "{named} paths");
}
