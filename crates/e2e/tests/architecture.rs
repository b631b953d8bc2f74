//! Which crate may use which: compares the table of ARCHITECTURE.md with cargo's metadata, and checks that every
//! dependency is used.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

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

/// Dependencies without a use in their crate, and the reason.
const UNUSED_ON_PURPOSE: &[(&str, &[&str])] = &[(
    // Tests of other crates use them. As their dev-dependencies they would change the features that
    // cargo chooses for tests, and most of the workspace would be compiled twice.
    "test-stack",
    &["cargo_metadata", "opentelemetry-proto", "proptest"],
)];

#[test]
fn every_dependency_of_a_crate_is_used_by_it() {
    let mut unused = Vec::new();
    for package in metadata().workspace_packages() {
        let folder = package.manifest_path.parent().unwrap().as_std_path();
        let code: String = ["src", "tests", "benches"]
            .map(|part| rust_code(&folder.join(part)))
            .concat();
        let build = fs::read_to_string(folder.join("build.rs")).unwrap_or_default();
        let excepted = UNUSED_ON_PURPOSE
            .iter()
            .filter(|(name, _)| *name == package.name.as_str())
            .flat_map(|(_, dependencies)| dependencies.iter().copied());
        let excepted: BTreeSet<&str> = excepted.collect();
        for dependency in &package.dependencies {
            let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
            let is_build = dependency.kind == DependencyKind::Build;
            let uses = names_crate(if is_build { &build } else { &code }, name);
            if uses == excepted.contains(name.as_str()) {
                unused.push(format!("{}: {name}", package.name));
            }
        }
    }
    assert!(
        unused.is_empty(),
        "unused dependencies, or used ones in UNUSED_ON_PURPOSE: {unused:#?}"
    );
}

#[test]
fn every_dependency_of_the_workspace_table_is_used_by_a_crate() {
    let metadata = metadata();
    let manifest = fs::read_to_string(metadata.workspace_root.join("Cargo.toml")).unwrap();
    let (_, table) = manifest.split_once("[workspace.dependencies]").unwrap();
    let table = table.split_once("\n[").map_or(table, |(table, _)| table);
    let packages = metadata.workspace_packages();
    let used: BTreeSet<&str> = packages
        .iter()
        .flat_map(|package| &package.dependencies)
        .map(|dependency| {
            dependency
                .rename
                .as_ref()
                .unwrap_or(&dependency.name)
                .as_str()
        })
        .collect();
    let listed = table
        .lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic()))
        .filter_map(|line| Some(line.split_once('=')?.0.trim()));
    let unused: Vec<&str> = listed.filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "no crate uses {unused:?}");
}

/// The code of all Rust files below a folder, without comments at the ends of lines.
fn rust_code(folder: &Path) -> String {
    let Ok(entries) = fs::read_dir(folder) else {
        return String::new();
    };
    let mut code = String::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            code += &rust_code(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            for line in fs::read_to_string(&path).unwrap().lines() {
                let comment = line.find(" //").or(line.starts_with("//").then_some(0));
                code += &line[..comment.unwrap_or(line.len())];
                code.push('\n');
            }
        }
    }
    code
}

/// Whether the code contains `name::` or `use name`, each as a whole word.
fn names_crate(code: &str, name: &str) -> bool {
    let name = name.replace('-', "_");
    let word = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices(&name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let whole = !before.ends_with(word) && !after.starts_with(word);
        whole && (after.starts_with("::") || before.ends_with("use "))
    })
}

#[test]
fn every_path_that_a_document_names_exists() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut named = 0;
    for document in [
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/failure-modes.md",
    ] {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
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
