//! Dependencies that nothing uses.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cargo_metadata::DependencyKind;

use crate::metadata;

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
