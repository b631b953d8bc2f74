//! The figures of several runs: min, median and max, as a table and as a file.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use chrono::Utc;
use serde::Serialize;

use super::{median, usage};
use stack::layout::StackLayout;
use stack::terminal::{Table, say};

/// One figure with its value in each run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    pub name: String,
    pub unit: &'static str,
    /// The values in the order of the runs.
    pub runs: Vec<f64>,
    pub min: f64,
    /// See [`median`].
    pub median: f64,
    pub max: f64,
}

/// Collects figures: name, unit, and the value of each run. The order is that of each figure's
/// first value.
#[derive(Debug, Clone, Default)]
pub struct Measurements(Vec<(String, &'static str, Vec<f64>)>);

/// The content of the file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'r> {
    bench: &'r str,
    measured_at: String,
    processors: usize,
    /// The load average of the last minute after the measurement.
    load_average: f64,
    #[serde(flatten)]
    conditions: &'r serde_json::Map<String, serde_json::Value>,
    figures: Vec<Figure>,
}

impl Measurements {
    /// Adds a value to the figure of this name. The unit is that of the figure's first value.
    pub fn add(&mut self, name: impl Into<String>, unit: &'static str, value: f64) {
        let name = name.into();
        match self.0.iter_mut().find(|(known, ..)| *known == name) {
            Some((.., runs)) => runs.push(value),
            None => self.0.push((name, unit, vec![value])),
        }
    }

    /// Every figure with min, median and max.
    pub fn summarize(&self) -> Result<Vec<Figure>> {
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

    /// Writes the figures to `target/bench/<bench>-<time>.json` and prints them: as a table, or the
    /// content of the file with `json`. `conditions` is a JSON object whose fields become fields of
    /// the file. Returns the path of the file.
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
            processors: usage::processors(),
            load_average: usage::load_average()?,
            conditions: conditions.as_object().unwrap_or(&empty),
            figures: self.summarize()?,
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
                conditions_line(report.conditions),
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
        let [min, median, max] = [figure.min, figure.median, figure.max].map(format_value);
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

fn format_value(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        ..1.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn conditions_line(conditions: &serde_json::Map<String, serde_json::Value>) -> String {
    let conditions = conditions.iter().map(|(name, value)| match value {
        serde_json::Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    });
    conditions.collect::<Vec<_>>().join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_name_become_one_figure_in_order_of_first_value() {
        let mut measurements = Measurements::default();
        for (late, early) in [(3.0, 10.0), (1.0, 30.0), (2.0, 20.0)] {
            measurements.add("p99", "ms", late);
            measurements.add("accepted", "orders/s", early);
        }
        let all = measurements.summarize().unwrap();
        assert_eq!(all[0].name, "p99");
        assert_eq!((all[0].min, all[0].median, all[0].max), (1.0, 2.0, 3.0));
        assert_eq!(all[1].runs, [10.0, 30.0, 20.0]);
        assert_eq!(all[1].median, 20.0);
    }

    #[test]
    fn larger_values_show_fewer_decimal_places() {
        assert_eq!(
            [0.0, 0.123, 9.87, 5123.4].map(format_value),
            ["0", "0.12", "9.9", "5123"]
        );
    }
}
