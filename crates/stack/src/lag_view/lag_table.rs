//! The output of `lag` for people.

use std::fmt::Write;
use std::time::Duration;

use cluster_reader::LagCount;
use service_kit::escape::escape_line;

use super::lag_rows::{GroupLagView, PartitionLagView};
use super::sparkline::Sparklines;
use crate::terminal::{Table, counted};

/// The groups one below the other: state, health and evidence of each, then its partitions. With `sparklines`, each line ends
/// with the past values of its lag.
pub fn render(views: &[GroupLagView], sparklines: Option<&Sparklines>) -> String {
    let blocks: Vec<String> = views.iter().map(|view| block(view, sparklines)).collect();
    blocks.join("\n\n")
}

/// The present lag of each group and partition, by the name of its sparkline; `None` unless it is exact.
pub fn lag_values(views: &[GroupLagView]) -> impl Iterator<Item = (String, Option<i64>)> {
    views.iter().flat_map(|view| {
        let partitions = view.partitions.iter();
        let partitions = partitions.map(|one| (partition_name(view, one), one.lag));
        std::iter::once((view.group.clone(), view.total_lag)).chain(partitions)
    })
}

fn partition_name(view: &GroupLagView, one: &PartitionLagView) -> String {
    format!("{} {}[{}]", view.group, one.topic, one.partition)
}

fn block(view: &GroupLagView, sparklines: Option<&Sparklines>) -> String {
    let mut text = headline(view);
    let line = sparklines.map_or_else(String::new, |sparklines| sparklines.line(&view.group));
    if !line.is_empty() {
        let _ = write!(text, "  {line}");
    }
    let _ = write!(
        text,
        "\n  {} ({}): {}",
        view.status,
        view.rule,
        escape_line(&view.evidence)
    );
    if view.partitions.is_empty() {
        return text;
    }
    let mut headings = vec![
        "topic",
        "partition",
        "lag",
        "in/s",
        "out/s",
        "oldest",
        "drained in",
        "owner",
    ];
    headings.extend(sparklines.map(|_| "trend"));
    let mut table = Table::new(&headings);
    for one in &view.partitions {
        let mut cells = cells(one);
        cells.extend(sparklines.map(|sparklines| sparklines.line(&partition_name(view, one))));
        table.row(cells);
    }
    for line in table.to_string().lines() {
        let _ = write!(text, "\n  {line}");
    }
    text
}

fn headline(view: &GroupLagView) -> String {
    let members = counted(view.members, "member");
    let lag = count(view.total());
    let name = escape_line(&view.group);
    let mut text = format!("{name}: {}, {members}, lag {lag}", view.state);
    match view.not_known {
        0 => {}
        some => drop(write!(
            text,
            " (of {} not known)",
            counted(some, "partition")
        )),
    }
    if let Some(rates) = view.rates {
        let _ = write!(
            text,
            ", in {:.1}/s, out {:.1}/s",
            rates.produced, rates.consumed
        );
    }
    if view.total().is_some_and(|lag| lag.upper() > 0) {
        let oldest = seconds(view.oldest_unread_seconds);
        let _ = write!(
            text,
            ", oldest {oldest}, drained in {}",
            seconds(view.time_to_drain_seconds)
        );
    }
    text
}

fn cells(one: &PartitionLagView) -> Vec<String> {
    let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
    let lag = match &one.reason {
        Some(reason) => format!("- ({reason})"),
        None => count(one.count()) + &not_readable(one),
    };
    vec![
        one.topic.clone(),
        one.partition.to_string(),
        lag,
        rate(one.rates.map(|rates| rates.produced)),
        rate(one.rates.map(|rates| rates.consumed)),
        seconds(one.oldest_unread_seconds),
        seconds(one.time_to_drain_seconds),
        one.owner.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

/// The offsets that Kafka's own tool counts as lag, too.
fn not_readable(one: &PartitionLagView) -> String {
    let parts = [
        (one.control_records, "markers"),
        (one.aborted_records, "aborted"),
        (one.compacted, "compacted"),
        (one.beyond_stable, "in open transactions"),
    ];
    let exact = parts.into_iter();
    let exact = exact.map(|(count, what)| (count.map(LagCount::of), what));
    let parts = exact.chain([(one.lost_count(), "lost")]);
    let parts = parts.filter_map(|(count, what)| {
        let count = count.filter(|count| *count != LagCount::ZERO)?;
        Some(format!("{count} {what}"))
    });
    let parts: Vec<String> = parts.collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!(" (+ {})", parts.join(", ")),
    }
}

fn count(lag: Option<LagCount>) -> String {
    lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string())
}

fn seconds(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else {
        return "-".to_owned();
    };
    match Duration::try_from_secs_f64(seconds.round()) {
        Ok(time) => humantime::format_duration(time).to_string(),
        Err(_) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag_view::test_views::{partition, view};

    #[test]
    fn a_group_has_its_state_its_rule_and_its_evidence_above_its_rows() {
        let text = render(&[view()], None);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "g: Stable, 1 member, lag 6, oldest 1m 1s, drained in -"
        );
        assert_eq!(lines[1], "  ok (keeps_up): 3 records wait");
        let cells: Vec<&str> = lines[3].split_whitespace().collect();
        assert_eq!(cells[..3], ["payments", "0", "3"]);
        assert!(lines[3].contains("3 (+ 2 markers)"), "{}", lines[3]);
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn an_unknown_lag_is_a_reason_and_no_number() {
        let unknown = PartitionLagView {
            lag: None,
            lag_at_least: None,
            lag_at_most: None,
            reason: Some("nothing committed".to_owned()),
            ..partition()
        };
        assert_eq!(cells(&unknown)[2], "- (nothing committed)");
        let unsure = PartitionLagView {
            lag: None,
            lag_at_least: Some(2),
            lag_at_most: Some(9),
            control_records: Some(0),
            ..partition()
        };
        assert_eq!(cells(&unsure)[2], "≥ 2, ≤ 9");
    }

    #[test]
    fn names_and_evidence_of_other_systems_stay_on_their_line() {
        let mut hostile = view();
        hostile.group = "x\u{1b}[31m\ny".to_owned();
        hostile.evidence = "a\u{1b}]0;b\u{7}\nc".to_owned();
        hostile.partitions[0].topic = "t\r\u{202e}".to_owned();
        let text = render(&[hostile], None);
        assert_eq!(text.lines().count(), 4, "{text:?}");
        let is_shown = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
        assert!(text.chars().all(is_shown), "{text:?}");
    }

    #[test]
    fn while_watching_each_line_ends_with_its_sparkline() {
        let mut sparklines = Sparklines::default();
        sparklines.add(lag_values(&[view()]));
        let text = render(&[view()], Some(&sparklines));
        let ends: Vec<bool> = text.lines().map(|line| line.ends_with('█')).collect();
        assert_eq!(ends, [true, false, false, true], "{text}");
    }
}
