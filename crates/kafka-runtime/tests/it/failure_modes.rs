//! `docs/failure-modes.md` has a row and a test for each crash point, protection and outage.

use std::fs;
use std::path::Path;

use kafka_runtime::{CrashPoint, Protection};

/// A row of a table: the name in its first cell, and the test in its last.
#[derive(Debug)]
struct Row {
    name: String,
    cells: Vec<String>,
    test: String,
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The rows of the table under a heading.
fn rows(heading: &str) -> Vec<Row> {
    let document = fs::read_to_string(root().join("docs/failure-modes.md")).unwrap();
    let mut sections = document.split("\n## ");
    let section = sections.find(|section| section.starts_with(heading));
    let table = section
        .unwrap()
        .lines()
        .filter(|line| line.starts_with('|'));
    // The first two lines are the column names and their underline.
    table.skip(2).map(row).collect()
}

fn row(line: &str) -> Row {
    let cells = line.trim_matches('|').split('|').map(str::trim);
    let cells: Vec<_> = cells.map(str::to_owned).collect();
    Row {
        name: cells[0].trim_matches('`').to_owned(),
        test: cells[cells.len() - 1].trim_matches('`').to_owned(),
        cells,
    }
}

fn names(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.name.as_str()).collect()
}

#[test]
fn each_crash_point_has_its_row_and_is_tested_by_its_name() {
    let rows = rows("Crash points");
    let points: Vec<_> = CrashPoint::ALL.iter().map(|point| point.name()).collect();
    assert_eq!(names(&rows), points);
    for row in rows {
        assert_eq!(row.test, format!("crash_at_{}", row.name.replace('-', "_")));
    }
}

#[test]
fn each_protection_has_its_row() {
    let protections: Vec<_> = Protection::ALL
        .iter()
        .map(|protection| protection.name())
        .collect();
    assert_eq!(names(&rows("Protections")), protections);
}

#[test]
fn every_row_is_filled_in_and_names_a_test_that_exists() {
    let mut sources = String::new();
    for crates in [root().to_owned(), root().join("crates")] {
        for entry in fs::read_dir(crates).unwrap() {
            let folder = entry.unwrap().path();
            read_rust(&folder.join("tests"), &mut sources);
            read_rust(&folder.join("src"), &mut sources);
        }
    }
    for heading in ["Crash points", "Protections", "Outages"] {
        for row in rows(heading) {
            assert!(row.cells.iter().all(|cell| !cell.is_empty()), "{row:?}");
            for test in row.test.split("`, `") {
                assert!(sources.contains(&format!("fn {test}(")), "no test {test}");
            }
        }
    }
}

fn read_rust(folder: &Path, into: &mut String) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            read_rust(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
