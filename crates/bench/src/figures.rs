//! Figures of several runs: min, median and max, as a table and as a file.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use chrono::Utc;
use serde::Serialize;

use super::{median, usage};
use stack::layout::StackLayout;
use stack::terminal::{Table, say};

/// One thing that was measured, in each run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// What.
    pub name: String,
    /// In which unit.
    pub unit: &'static str,
    /// Each run's, in their order.
    pub runs: Vec<f64>,
    /// The lowest.
    pub min: f64,
    /// The middle one.
    pub median: f64,
    /// The highest.
    pub max: f64,
}

/// All that was measured, in the order in which it was measured first.
#[derive(Debug, Clone, Default)]
pub struct Figures(Vec<(String, &'static str, Vec<f64>)>);

/// What is written down.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'r> {
    bench: &'r str,
    measured_at: String,
    processors: usize,
    /// Of the last minute, when the measurement was over.
    load_average: f64,
    #[serde(flatten)]
    conditions: &'r serde_json::Map<String, serde_json::Value>,
    figures: Vec<Figure>,
}

impl Figures {
    /// One more run's figure of this name.
    pub fn add(&mut self, name: impl Into<String>, unit: &'static str, value: f64) {
        let name = name.into();
        match self.0.iter_mut().find(|(known, ..)| *known == name) {
            Some((.., runs)) => runs.push(value),
            None => self.0.push((name, unit, vec![value])),
        }
    }

    /// All of them.
    pub fn all(&self) -> Result<Vec<Figure>> {
        let figure = |(name, unit, runs): &(String, &'static str, Vec<f64>)| {
            Ok(Figure {
                name: name.clone(),
                unit,
                min: runs.iter().copied().fold(f64::INFINITY, f64::min),
                median: median(runs)?,
                max: runs.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                runs: runs.clone(),
            })
        };
        self.0.iter().map(figure).collect()
    }

    /// Writes them to `target/bench/<bench>-<time>.json` and prints them: as a table, or the file's content with `json`.
    pub fn publish(
        &self,
        layout: &StackLayout,
        bench: &str,
        conditions: &serde_json::Value,
        json: bool,
    ) -> Result<PathBuf> {
        let empty = serde_json::Map::new();
        let report = Report {
            bench,
            measured_at: Utc::now().to_rfc3339(),
            processors: usage::cores(),
            load_average: usage::load()?,
            conditions: conditions.as_object().unwrap_or(&empty),
            figures: self.all()?,
        };
        let text = serde_json::to_string_pretty(&report)?;
        let folder = layout.checkout().join("target/bench");
        let file = folder.join(format!(
            "{bench}-{}.json",
            Utc::now().format("%Y%m%dT%H%M%SZ")
        ));
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&file, &text))
            .with_context(|| format!("cannot write {}", file.display()))?;
        if json {
            say(text);
        } else {
            say(table(&report.figures));
            say(format_args!(
                "\n{}\nload average {:.1} on {} processors; written to {}",
                stated(report.conditions),
                report.load_average,
                report.processors,
                file.display()
            ));
        }
        Ok(file)
    }
}

fn table(figures: &[Figure]) -> Table {
    let mut table = Table::new(&["what", "min", "median", "max", "unit"]);
    for figure in figures {
        let [min, median, max] = [figure.min, figure.median, figure.max].map(shown);
        table.row([
            figure.name.clone(),
            min,
            median,
            max,
            figure.unit.to_owned(),
        ]);
    }
    table
}

/// As exact as it is worth.
fn shown(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        ..1.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn stated(conditions: &serde_json::Map<String, serde_json::Value>) -> String {
    let stated = conditions.iter().map(|(name, value)| match value {
        serde_json::Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    });
    stated.collect::<Vec<_>>().join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_the_same_name_come_together_in_the_order_first_seen() {
        let mut figures = Figures::default();
        for (late, early) in [(3.0, 10.0), (1.0, 30.0), (2.0, 20.0)] {
            figures.add("p99", "ms", late);
            figures.add("accepted", "orders/s", early);
        }
        let all = figures.all().unwrap();
        assert_eq!(all[0].name, "p99");
        assert_eq!((all[0].min, all[0].median, all[0].max), (1.0, 2.0, 3.0));
        assert_eq!(all[1].runs, [10.0, 30.0, 20.0]);
        assert_eq!(all[1].median, 20.0);
    }

    #[test]
    fn a_figure_shows_as_many_digits_as_it_is_worth() {
        assert_eq!(
            [0.0, 0.123, 9.87, 5123.4].map(shown),
            ["0", "0.12", "9.9", "5123"]
        );
    }
}
