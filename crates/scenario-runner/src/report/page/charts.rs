//! The charts of the samples.

use std::fmt::Write;

use super::super::Report;
use super::super::chart::{Chart, Drawn, MOST_LINES, Stretch};
use super::super::escape::Text;
use super::super::figures::{Points, busiest, clock, last, number, peak, rate};
use super::super::samples::{Line, Rebalance, Samples};
use super::is_produced;
use crate::runner::StepVerdict;
use stack::terminal::counted;

/// Groups whose partitions are drawn one by one: those with the highest lag.
const GROUPS: usize = 2;

/// Rebalances listed.
const LISTED: usize = 40;

const LAG: &str = "Records that a read_committed consumer would still get. A line that rises: the group reads slower than records \
                   come in. One that falls: it catches up. A gap: the cluster could not be read. ▲ marks a rebalance.";
const PARTITIONS: &str = "The same by partition, which a total hides: lines that diverge show a partition that is blocked, or of \
                          keys that are not spread.";
const RATES: &str = "Records a second, markers of transactions included, over five seconds: what topics grow by (dashed), and what \
                     groups commit. A group that commits less than its topic grows by falls behind.";

pub(super) fn write(page: &mut String, report: &Report<'_>) {
    let samples = report.samples;
    page.push_str("<h2>What was seen</h2>\n");
    let of_cluster = |line: &Line| !matches!(line, Line::Orders(_));
    if !samples.lines().any(of_cluster) {
        page.push_str("<p class=\"soft\">The cluster could not be read while the scenario was played, so there are no curves.</p>\n");
        return;
    }
    page.push_str("<p class=\"soft\">Every second. The numbers above a chart are those of the steps below.</p>\n");
    let steps = stretches(report);
    let until = report.took.as_secs_f64();
    let (rebalances, in_all) = samples.rebalances();
    let figure = |page: &mut String, title: &str, about: &str, lines: Vec<Drawn>, marks| {
        let chart = Chart {
            about: title,
            lines,
            marks,
            steps: &steps,
            until,
        };
        put(page, title, about, &chart);
    };
    let lags = busiest(samples, |line| matches!(line, Line::Lag(_)), MOST_LINES);
    figure(
        page,
        "Consumer lag by group",
        LAG,
        drawn(lags),
        marks(rebalances, None),
    );
    for group in furthest_behind(samples) {
        let of_group = |line: &Line| matches!(line, Line::PartitionLag(one, _) if *one == group);
        let lines = drawn(busiest(samples, of_group, MOST_LINES));
        if lines.len() > 1 || parts(samples, &group) > 1 {
            let title = format!("Lag of {group} by partition");
            figure(
                page,
                &title,
                PARTITIONS,
                lines,
                marks(rebalances, Some(&group)),
            );
        }
    }
    figure(
        page,
        "Produced and consumed",
        RATES,
        rates(samples),
        Vec::new(),
    );
    list(page, rebalances, in_all);
}

fn stretches(report: &Report<'_>) -> Vec<Stretch> {
    let steps = report.outcome.steps.iter().enumerate();
    let stretch = steps.filter_map(|(n, step)| {
        let from = report.since(step.begun?);
        Some(Stretch {
            from,
            until: from + step.took.as_secs_f64(),
            number: n + 1,
            name: step.name.clone(),
            failed: matches!(step.verdict, StepVerdict::Fail(_)),
        })
    });
    stretch.collect()
}

fn drawn(lines: Vec<(&Line, Points)>) -> Vec<Drawn> {
    let one = |(line, points): (&Line, Points)| Drawn {
        name: match line {
            Line::Lag(name) | Line::Consumed(name) | Line::Produced(name) | Line::Orders(name) => {
                name.clone()
            }
            Line::PartitionLag(_, at) => format!("{} {}", at.topic, at.partition),
        },
        points,
        dashed: false,
    };
    lines.into_iter().map(one).collect()
}

/// The groups with the highest peak of lag.
fn furthest_behind(samples: &Samples) -> Vec<String> {
    let lags = busiest(samples, |line| matches!(line, Line::Lag(_)), GROUPS);
    let groups = lags.into_iter().filter_map(|(line, _)| match line {
        Line::Lag(group) => Some(group.clone()),
        _ => None,
    });
    groups.collect()
}

/// The number of partitions of the group in the samples.
fn parts(samples: &Samples, group: &str) -> usize {
    let of_group = |line: &&Line| matches!(line, Line::PartitionLag(one, _) if one == group);
    samples.lines().filter(of_group).count()
}

fn rates(samples: &Samples) -> Vec<Drawn> {
    let consumed = busiest(
        samples,
        |line| matches!(line, Line::Consumed(_)),
        MOST_LINES / 2,
    );
    let produced = busiest(samples, is_produced, MOST_LINES / 2);
    let mut lines = Vec::new();
    for (dashed, kind, found) in [(false, "consumed by", consumed), (true, "into", produced)] {
        for mut line in drawn(found) {
            line.points = rate(&line.points);
            line.name = format!("{kind} {}", line.name);
            line.dashed = dashed;
            lines.push(line);
        }
    }
    lines
}

fn marks(rebalances: &[Rebalance], group: Option<&str>) -> Vec<(f64, String)> {
    let of_group = rebalances
        .iter()
        .filter(|one| group.is_none_or(|group| group == one.group));
    of_group
        .map(|one| (one.at, format!("{}: {}", one.group, what(one))))
        .collect()
}

/// `1 → 3 members, 2 of them new, 2 partitions moved`.
fn what(one: &Rebalance) -> String {
    let members = match one.before == one.after {
        true => counted(one.after, "member"),
        false => format!("{} → {}", one.before, counted(one.after, "member")),
    };
    let new = match one.joined {
        0 => String::new(),
        joined => format!(", {joined} of them new"),
    };
    format!(
        "{members}{new}; partitions with another owner: {}",
        one.moved
    )
}

fn put(page: &mut String, title: &str, about: &str, chart: &Chart<'_>) {
    let _ = write!(
        page,
        "<figure>\n<h3>{}</h3>\n<figcaption>{}</figcaption>\n{}\n<ul class=\"legend\">\n",
        Text(title),
        Text(about),
        chart.svg()
    );
    for (n, line) in chart.lines.iter().take(MOST_LINES).enumerate() {
        let dashed = if line.dashed { " dashed" } else { "" };
        let highest = peak(&line.points).map_or(0.0, |(_, value)| value);
        let end = last(&line.points, chart.until).unwrap_or_default();
        let _ = writeln!(
            page,
            "<li class=\"c{n}{dashed}\">{} <span>highest {} · last {}</span></li>",
            Text(&line.name),
            number(highest),
            number(end)
        );
    }
    if chart.lines.is_empty() {
        page.push_str("<li>nothing above 0</li>\n");
    }
    page.push_str("</ul>\n</figure>\n");
}

fn list(page: &mut String, rebalances: &[Rebalance], in_all: usize) {
    if rebalances.is_empty() {
        return;
    }
    page.push_str("<h2>Rebalances</h2>\n<table>\n<thead><tr><th>At</th><th>Group</th><th>What</th></tr></thead>\n<tbody>\n");
    for one in rebalances.iter().take(LISTED) {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            clock(one.at),
            Text(&one.group),
            what(one)
        );
    }
    page.push_str("</tbody>\n</table>\n");
    if in_all > LISTED {
        let _ = writeln!(page, "<p class=\"soft\">and {} more</p>", in_all - LISTED);
    }
}
