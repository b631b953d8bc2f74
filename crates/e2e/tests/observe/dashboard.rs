//! The dashboards of the repository.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::checkout;

/// One dashboard.
pub struct Dashboard {
    pub name: String,
    pub json: Value,
}

/// A query of a dashboard.
pub struct Asked {
    /// Dashboard, and panel or variable.
    pub place: String,
    pub expression: String,
}

/// All dashboards, by file name.
pub fn all() -> Vec<Dashboard> {
    let folder = fs::read_dir(checkout("grafana/dashboards")).unwrap();
    let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file: std::path::PathBuf| Dashboard {
        name: file.file_stem().unwrap().to_str().unwrap().to_owned(),
        json: serde_json::from_str(&fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display())),
    };
    files.into_iter().map(read).collect()
}

impl Dashboard {
    /// Rows and panels, in order.
    pub fn everything(&self) -> &[Value] {
        self.json["panels"].as_array().unwrap()
    }

    /// Panels without the rows.
    pub fn panels(&self) -> impl Iterator<Item = &Value> {
        self.everything().iter().filter(|one| one["type"] != "row")
    }

    /// Dashboard, type and title of a panel, for error messages.
    pub fn place(&self, panel: &Value) -> String {
        format!("{}, {} {}", self.name, panel["type"], panel["title"])
    }

    /// The template variables.
    pub fn variables(&self) -> &[Value] {
        self.json["templating"]["list"].as_array().unwrap()
    }

    /// The queries of its panels, with every variable set to "All".
    pub fn asked(&self) -> Vec<Asked> {
        let of_panel = |panel: &Value| {
            let targets = panel["targets"].as_array().unwrap().iter();
            let asked = targets.map(|target| Asked {
                place: self.place(panel),
                expression: self.filled_in(target["expr"].as_str().unwrap()),
            });
            asked.collect::<Vec<_>>()
        };
        self.panels().flat_map(of_panel).collect()
    }

    /// For each variable that is a query: the selector and the label whose values it offers.
    pub fn offered(&self) -> Vec<(Asked, String)> {
        let queries = self.variables().iter().filter(|one| one["type"] == "query");
        let offered = queries.map(|variable| {
            let query = variable["query"]["query"].as_str().unwrap();
            let inner = query.strip_prefix("label_values(").unwrap();
            let (selector, label) = inner.strip_suffix(')').unwrap().rsplit_once(", ").unwrap();
            let asked = Asked {
                place: format!("{}, variable {}", self.name, variable["name"]),
                expression: self.filled_in(selector),
            };
            (asked, label.to_owned())
        });
        offered.collect()
    }

    /// The expression with its variables replaced, as Grafana sends it.
    fn filled_in(&self, expression: &str) -> String {
        let mut values = BTreeMap::from([
            ("__rate_interval".to_owned(), "1m"),
            ("__rate_interval_ms".to_owned(), "60000"),
        ]);
        for variable in self.variables() {
            let name = variable["name"].as_str().unwrap();
            values.insert(name.to_owned(), variable["allValue"].as_str().unwrap_or(""));
        }
        let mut filled = expression.to_owned();
        // Backwards: a name may be the beginning of another one.
        for (name, value) in values.into_iter().rev() {
            filled = filled.replace(&format!("${name}"), value);
        }
        assert!(!filled.contains('$'), "an unknown variable: {filled}");
        filled
    }
}
