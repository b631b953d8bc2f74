use std::time::Duration;

use chrono::Utc;
use tokio::time::Instant;

use super::*;
use crate::readme::{self, ReadOptions};
use crate::runner::{Scenario, ScenarioOutcome, StepOutcome};
use stack::Mode;

const HOSTILE: &str = "</pre><script>alert(1)</script><b onclick='x'>\"&";

const README: &str = "# A & <b>title</b>\n## Break <i>it</i>\n```sh\necho '<script>'\n```\n## Look\n```sh\nlook\n```\n\
    ```text expect\nwanted <u>\n```\n## Never\n```sh\nnever\n```\n## Restore\n```sh\nrestore\n```\n";

fn step(name: &str, verdict: StepVerdict, output: &str, begun: Option<Instant>) -> StepOutcome {
    StepOutcome {
        name: name.to_owned(),
        verdict,
        begun,
        took: Duration::from_secs(3),
        output: output.to_owned(),
    }
}

fn page(samples: &Samples, failing: bool) -> String {
    let reading = ReadOptions {
        mode: Mode::Local,
        short: false,
    };
    let scenario = Scenario {
        name: "<hostile>".to_owned(),
        readme: readme::read(README, reading).unwrap(),
    };
    let begun = Instant::now();
    let look = match failing {
        true => StepVerdict::Fail(format!("printed {HOSTILE}")),
        false => StepVerdict::Pass,
    };
    let never = match failing {
        true => step("Never", StepVerdict::Skipped, "", None),
        false => step(
            "Never",
            StepVerdict::Pass,
            "",
            Some(begun + Duration::from_secs(6)),
        ),
    };
    let outcome = ScenarioOutcome {
        name: scenario.name.clone(),
        steps: vec![
            step("Break <i>it</i>", StepVerdict::Pass, HOSTILE, Some(begun)),
            step("Look", look, HOSTILE, Some(begun + Duration::from_secs(3))),
            never,
            step(
                "Restore",
                StepVerdict::Pass,
                "fine\n",
                Some(begun + Duration::from_secs(9)),
            ),
        ],
        stopped: false,
    };
    html(&Report {
        scenario: &scenario,
        outcome: &outcome,
        samples,
        date: Utc::now(),
        begun,
        took: Duration::from_secs(12),
        versions: vec![("Kafka".to_owned(), HOSTILE.to_owned())],
    })
}

fn seen() -> Samples {
    let mut samples = Samples::default();
    for (second, time) in [(0.0, "0"), (4.0, HOSTILE), (8.0, "0")] {
        let orders = vec![(HOSTILE.to_owned(), second + 1.0)];
        samples.add(second, None, orders);
        let setting = ("inventory-service".to_owned(), HOSTILE.to_owned());
        samples.changes.see(second, setting, time.to_owned());
    }
    samples
}

#[test]
fn every_step_is_there_with_what_was_typed_printed_and_expected() {
    let page = page(&seen(), true);
    for part in [
        "1. Break &lt;i&gt;it&lt;/i&gt;",
        "echo &#39;&lt;script&gt;&#39;",
        "2. Look",
        "wanted &lt;u&gt;",
        "3. Never",
        "NOT RUN",
        "4. Restore",
        "fine",
        "<p class=\"verdict fail\">FAIL</p>",
        "2 of 4",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let passed = self::page(&seen(), false);
    assert!(passed.contains("<p class=\"verdict pass\">PASS</p>") && passed.contains("4 of 4"));
}

#[test]
fn whatever_names_and_outputs_hold_is_text() {
    let page = page(&seen(), true);
    for markup in [
        "<script",
        "onclick='",
        "<b onclick",
        "<u>",
        "<i>",
        "<hostile>",
    ] {
        assert!(!page.contains(markup), "{markup}: {page}");
    }
    let policy = "content=\"default-src 'none'; style-src 'unsafe-inline'";
    assert!(page.contains(policy), "{page}");
    for outside in ["http://", "https://", "url(", "@import", " style=", "src="] {
        assert!(!page.contains(outside), "{outside}: {page}");
    }
}

#[test]
fn what_changed_is_shown_before_and_after_and_where_nothing_was_seen_that_is_said() {
    let with = page(&seen(), false);
    assert!(
        with.contains("<td>0</td>") && with.contains("from 0:04"),
        "{with}"
    );
    let without = page(&Samples::default(), false);
    assert!(without.contains("No service answered"), "{without}");
    assert!(without.contains("could not be read"), "{without}");
    assert!(!without.contains("<svg"), "{without}");
}
