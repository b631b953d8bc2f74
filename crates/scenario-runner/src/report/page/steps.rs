//! The steps: commands, output and result.

use std::fmt::Write;

use super::super::Report;
use super::super::escape::{Text, bounded};
use super::super::figures::clock;
use crate::readme::{Expectation, Step};
use crate::runner::{StepOutcome, StepVerdict};

pub(super) fn write(page: &mut String, report: &Report<'_>) {
    page.push_str("<h2>The steps</h2>\n");
    let readme = &report.scenario.readme;
    let steps = readme.steps.iter().chain(&readme.restore);
    for (n, (step, done)) in steps.zip(&report.outcome.steps).enumerate() {
        if n == readme.steps.len() {
            page.push_str("<h2>Restored</h2>\n");
        }
        one(page, n + 1, step, done);
    }
}

fn one(page: &mut String, number: usize, step: &Step, done: &StepOutcome) {
    let (class, word, open) = match &done.verdict {
        StepVerdict::Pass => ("pass", "PASS", ""),
        StepVerdict::Fail(_) => ("fail", "FAIL", " open"),
        StepVerdict::Skipped => ("skipped", "NOT RUN", ""),
    };
    let time = match done.begun {
        Some(_) if done.took.as_secs() < 60 => format!("{:.1} s", done.took.as_secs_f64()),
        Some(_) => format!("{} min", clock(done.took.as_secs_f64())),
        None => String::new(),
    };
    let _ = write!(
        page,
        "<details class=\"one {class}\"{open}>\n<summary><b>{word}</b><span class=\"name\">{number}. {}</span>\
         <span class=\"time\">{time}</span></summary>\n",
        Text(&done.name)
    );
    if let StepVerdict::Fail(reason) = &done.verdict {
        let _ = writeln!(page, "<p class=\"why\">{}</p>", Text(reason));
    }
    let typed = match step.must {
        Expectation::Succeed => "Typed",
        Expectation::Fail => "Typed, and it must fail",
    };
    block(page, typed, &step.script);
    match (&step.expected, &done.verdict) {
        (Some(expected), StepVerdict::Fail(_)) => {
            page.push_str("<div class=\"both\"><div>");
            block(page, "Expected (… stands for anything)", expected);
            page.push_str("</div><div>");
            block(page, "Actual", &done.output);
            page.push_str("</div></div>");
        }
        (_, StepVerdict::Skipped) => {}
        (_, _) if done.output.trim().is_empty() => {
            page.push_str("<p class=\"soft\">It printed nothing.</p>\n");
        }
        (_, _) => block(page, "Printed", &done.output),
    }
    page.push_str("</details>\n");
}

fn block(page: &mut String, what: &str, text: &str) {
    let text = bounded(text);
    // HTML drops a line break directly after <pre>.
    let _ = writeln!(
        page,
        "<h4>{}</h4>\n<pre>\n{}</pre>",
        Text(what),
        Text(&text)
    );
}
