//! The HTML page, from the verdict to the versions. It contains its style and no script.

mod charts;
mod steps;

use std::fmt::Write;

use shared_events::Topic;

use super::Report;
use super::escape::Text;
use super::figures::{busiest, clock, last, number, peak};
use super::samples::{Line, Samples};
use crate::runner::StepVerdict;

const STYLE: &str = include_str!("style.css");

/// Allows only the inline style: no script, no image, nothing from another origin, whatever a name or an output contains.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The page as HTML.
pub fn html(report: &Report<'_>) -> String {
    let title = &report.scenario.readme.title;
    let name = &report.scenario.name;
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{} · {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        Text(name),
        Text(title)
    );
    head(&mut page, report);
    tiles(&mut page, report);
    charts::write(&mut page, report);
    settings(&mut page, report.samples);
    steps::write(&mut page, report);
    foot(&mut page, report);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn head(page: &mut String, report: &Report<'_>) {
    let (class, word) = match report.outcome.passed() {
        true => ("pass", "PASS"),
        false => ("fail", "FAIL"),
    };
    let _ = write!(
        page,
        "<header>\n<p class=\"verdict {class}\">{word}</p>\n<h1>{}</h1>\n<p>Scenario <code>{}</code> · played on {} · {} min</p>\n",
        Text(&report.scenario.readme.title),
        Text(&report.scenario.name),
        report.date.format("%-d %B %Y at %H:%M UTC"),
        clock(report.took.as_secs_f64())
    );
    let steps = &report.outcome.steps;
    let failed = steps.iter().find_map(|step| match &step.verdict {
        StepVerdict::Fail(reason) => Some((&step.name, reason)),
        StepVerdict::Pass | StepVerdict::Skipped => None,
    });
    if let Some((step, reason)) = failed {
        let _ = writeln!(
            page,
            "<p class=\"why\"><b>{}</b>: {}</p>",
            Text(step),
            Text(reason)
        );
    } else if !report.outcome.passed() {
        page.push_str("<p class=\"why\">Stopped before the end.</p>\n");
    }
    page.push_str("</header>\n");
}

fn tiles(page: &mut String, report: &Report<'_>) {
    let mut tiles: Vec<(String, String, String)> = Vec::new();
    let steps = &report.outcome.steps;
    let passed = steps
        .iter()
        .filter(|step| step.verdict == StepVerdict::Pass)
        .count();
    let of = format!("{passed} of {}", steps.len());
    tiles.push((
        "Steps passed".to_owned(),
        of,
        "with those that restore".to_owned(),
    ));
    if let Some((group, at, lag)) = highest_lag(report.samples) {
        let more = format!("{group}, at {}", clock(at));
        tiles.push(("Highest lag".to_owned(), number(lag), more));
    }
    let until = report.restored_at();
    for (line, points) in busiest(report.samples, is_produced, 3) {
        if let (Line::Produced(topic), Some((_, sum))) = (line, peak(&points)) {
            let more = "records and markers, while it was watched".to_owned();
            tiles.push((format!("Into {topic}"), number(sum), more));
        }
    }
    let (_, rebalances) = report.samples.rebalances();
    let more = "a group's members, or what they own, changed".to_owned();
    tiles.push(("Rebalances".to_owned(), rebalances.to_string(), more));
    let of_status = |line: &Line| match line {
        Line::Orders(status) => {
            let count = last(&report.samples.points(line), until)?;
            (count > 0.0).then(|| (status.clone(), count))
        }
        _ => None,
    };
    let orders: Vec<(String, f64)> = report.samples.lines().filter_map(of_status).collect();
    if !orders.is_empty() {
        let all: f64 = orders.iter().map(|(_, count)| count).sum();
        let parts = orders.iter();
        let parts = parts.map(|(status, count)| format!("{} {status}", number(*count)));
        let parts: Vec<String> = parts.collect();
        let more = format!("{}, before what restores", parts.join(" · "));
        tiles.push(("Orders".to_owned(), number(all), more));
    }
    page.push_str("<dl class=\"tiles\">\n");
    for (name, value, more) in &tiles {
        let (name, value, more) = (Text(name), Text(value), Text(more));
        let _ = writeln!(
            page,
            "<div><dt>{name}</dt><dd>{value}<small>{more}</small></dd></div>"
        );
    }
    page.push_str("</dl>\n");
}

fn highest_lag(samples: &Samples) -> Option<(&str, f64, f64)> {
    let lags = busiest(samples, |line| matches!(line, Line::Lag(_)), usize::MAX);
    let peaks = lags.into_iter().filter_map(|(line, points)| match line {
        Line::Lag(group) => peak(&points).map(|(at, lag)| (group.as_str(), at, lag)),
        _ => None,
    });
    peaks.max_by(|one, other| one.2.total_cmp(&other.2))
}

/// Whether the line is the growth of an event topic: neither a topic of Kafka's own nor `sandbox.controls`.
fn is_produced(line: &Line) -> bool {
    let controls = Topic::Controls.name();
    matches!(line, Line::Produced(topic) if !topic.starts_with("__") && !topic.ends_with(controls))
}

fn settings(page: &mut String, samples: &Samples) {
    page.push_str("<h2>Settings, before and after</h2>\n");
    if samples.changes.is_empty() {
        page.push_str("<p class=\"soft\">No service answered while the scenario was played.</p>\n");
        return;
    }
    let mut changed = samples.changes.changed().peekable();
    if changed.peek().is_none() {
        page.push_str("<p class=\"soft\">Nothing was changed.</p>\n");
        return;
    }
    page.push_str(
        "<table>\n<thead><tr><th>Service</th><th>Setting</th><th>Before</th><th>During</th><th>After</th></tr></thead>\n<tbody>\n",
    );
    for ((whose, name), values) in changed {
        let (Some((_, before)), Some((_, after))) = (values.first(), values.last()) else {
            continue;
        };
        let during = values.iter().skip(1);
        let during = during.map(|(at, value)| format!("{value} from {}", clock(*at)));
        let during: Vec<String> = during.collect();
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
            Text(whose),
            Text(name),
            Text(before),
            Text(&during.join(" · ")),
            Text(after)
        );
    }
    page.push_str("</tbody>\n</table>\n");
}

fn foot(page: &mut String, report: &Report<'_>) {
    page.push_str("<footer>\n<dl>\n");
    for (name, value) in &report.versions {
        let _ = writeln!(page, "<dt>{}</dt><dd>{}</dd>", Text(name), Text(value));
    }
    page.push_str("</dl>\n</footer>\n");
}

#[cfg(test)]
mod tests;
