use super::*;
use stack::Mode;

const OPTIONS: ReadOptions = ReadOptions {
    mode: Mode::Local,
    short: false,
};
use stack::interrupt::Interrupt;

async fn play(text: &str) -> (ScenarioOutcome, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    // A person may have set only one of the two names.
    let variables = [
        ("STACK", "of the test"),
        ("NO_PROXY", "shop.example"),
        ("no_proxy", ""),
    ];
    let stage = Runner {
        root: root.path().to_owned(),
        variables: variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    };
    let readme = readme::read(text, OPTIONS).unwrap();
    let scenario = Scenario {
        name: "test".to_owned(),
        readme,
    };
    let guard = Interrupt::default().guard().unwrap();
    let outcome = stage
        .play(&scenario, &guard, &ProgressPrinter::silent())
        .await
        .unwrap();
    (outcome, root)
}

fn verdicts(outcome: &ScenarioOutcome) -> Vec<String> {
    let verdict = |step: &StepOutcome| match &step.verdict {
        StepVerdict::Pass => format!("{}: pass", step.name),
        StepVerdict::Fail(reason) => format!("{}: {reason}", step.name),
        StepVerdict::Skipped => format!("{}: skipped", step.name),
    };
    outcome.steps.iter().map(verdict).collect()
}

#[tokio::test]
async fn steps_share_variables_and_each_starts_at_the_root() {
    let readme = "# A\n```sh\nID=7\nmkdir sub\ncd sub\n```\n## B\n```sh\nls -d sub; echo \"$ID $STACK\"\n```\n\
        ```text expect\nsub\n7 of the test\n```\n";
    let (outcome, _root) = play(readme).await;
    assert_eq!(verdicts(&outcome), ["A: pass", "B: pass"]);
}

#[tokio::test]
async fn no_step_uses_a_proxy_for_this_machine() {
    let readme = "# A\n```sh\nNAMES=\"$NO_PROXY $no_proxy\"\nprintenv NO_PROXY no_proxy\n```\n\
        ```text expect\nshop.example,127.0.0.1,localhost\nshop.example,127.0.0.1,localhost\n```\n\
        ## B\n```sh\n[ \"$NO_PROXY $no_proxy\" = \"$NAMES\" ]\n```\n";
    let (outcome, _root) = play(readme).await;
    assert_eq!(verdicts(&outcome), ["A: pass", "B: pass"]);
}

#[tokio::test]
async fn after_a_failed_step_only_restore_runs() {
    for failing in [
        "false\necho not reached",
        "false | cat",
        "echo $UNSET",
        "exit 1",
        "kill -9 $$",
    ] {
        let readme = format!(
            "# A\n```sh\necho seen\n{failing}\n```\n## B\n```sh\ntouch b\n```\n## Restore\n```sh\ntouch restored\n```\n"
        );
        let (outcome, root) = play(&readme).await;
        assert!(!outcome.passed(), "{failing}");
        let verdicts = verdicts(&outcome);
        assert!(
            verdicts[0].starts_with("A: exit code"),
            "{failing}: {verdicts:?}"
        );
        assert_eq!(verdicts[1..], ["B: skipped", "Restore: pass"], "{failing}");
        assert!(
            outcome.steps[0].output.starts_with("seen\n"),
            "{:?}",
            outcome.steps[0].output
        );
        assert!(!outcome.steps[0].output.contains("not reached"));
        assert!(root.path().join("restored").exists() && !root.path().join("b").exists());
    }
}

#[tokio::test]
async fn a_step_that_must_fail_stops_at_its_first_failure_and_keeps_the_shell() {
    let readme = "# A\n```sh\nID=7\n```\n## B\n```sh fails\nID=8\nfalse\ntouch too-far\n```\n## C\n```sh\necho $ID\n```\n```text expect\n7\n```\n";
    let (outcome, root) = play(readme).await;
    assert_eq!(verdicts(&outcome), ["A: pass", "B: pass", "C: pass"]);
    assert!(!root.path().join("too-far").exists());
    let (outcome, _root) = play("# A\n```sh fails\ntrue\n```\n").await;
    assert_eq!(verdicts(&outcome), ["A: succeeded, but must fail"]);
}

#[tokio::test]
async fn a_step_that_must_fail_must_not_fail_by_a_script_error() {
    for (script, code) in [
        ("exit 2", 2),
        ("if then", 2),
        ("./", 126),
        ("no-such-command-at-all", 127),
        ("kill -9 $BASHPID", 137),
        ("echo $UNSET", 1),
    ] {
        let (outcome, _root) = play(&format!("# A\n```sh fails\n{script}\n```\n")).await;
        let expected = format!("A: exit code {code}: the step itself is wrong");
        let verdicts = verdicts(&outcome);
        assert!(verdicts[0].starts_with(&expected), "{script}: {verdicts:?}");
    }
    // curl exits with 22 after a 404.
    for failure in ["false", "[ 1 = 2 ]", "exit 22"] {
        let (outcome, _root) = play(&format!("# A\n```sh fails\n{failure}\n```\n")).await;
        assert_eq!(verdicts(&outcome), ["A: pass"], "{failure}");
    }
}

#[tokio::test]
async fn a_step_with_unexpected_output_has_failed() {
    let readme = |expected| {
        format!("# A\n```sh\necho one; printf two >&2\n```\n```text expect\n{expected}\n```\n")
    };
    let (outcome, _root) = play(&readme("o…\ntwo")).await;
    assert_eq!(verdicts(&outcome), ["A: pass"]);
    let (outcome, _root) = play(&readme("one")).await;
    assert_eq!(verdicts(&outcome), ["A: unexpected output, expected: one"]);
}

#[tokio::test]
async fn a_step_that_takes_too_long_is_killed_with_its_children() {
    let mut readme = readme::read(
        "# A\n```sh\nsleep 300 & echo $! >pid; cat /dev/zero >/dev/null\n```\n",
        OPTIONS,
    )
    .unwrap();
    readme.steps[0].limit = Duration::from_millis(300);
    let root = tempfile::tempdir().unwrap();
    let stage = Runner {
        root: root.path().to_owned(),
        variables: BTreeMap::new(),
    };
    let scenario = Scenario {
        name: "test".to_owned(),
        readme,
    };
    let guard = Interrupt::default().guard().unwrap();
    let outcome = stage
        .play(&scenario, &guard, &ProgressPrinter::silent())
        .await
        .unwrap();
    assert_eq!(verdicts(&outcome), ["A: took longer than 0 s"]);
    let pid: i32 = std::fs::read_to_string(root.path().join("pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let left = procfs::process::Process::new(pid).and_then(|process| process.stat());
    assert!(left.is_err(), "{left:?}");
}

#[tokio::test]
async fn a_background_process_does_not_keep_a_step_from_ending() {
    let (outcome, _root) = play("# A\n```sh\nsleep 300 &\nfalse\n```\n").await;
    assert_eq!(verdicts(&outcome), ["A: exit code 1"]);
    let (outcome, _root) = play("# A\n```sh\nsleep 300 &\n```\n").await;
    assert_eq!(verdicts(&outcome), ["A: pass"]);
}

#[tokio::test]
async fn temporary_files_of_a_failed_step_are_removed() {
    let (outcome, root) = play("# A\n```sh\nmktemp -d >path\nfalse\n```\n").await;
    assert_eq!(verdicts(&outcome), ["A: exit code 1"]);
    let path = std::fs::read_to_string(root.path().join("path")).unwrap();
    let path = std::path::Path::new(path.trim());
    assert!(path.is_absolute() && !path.exists(), "{path:?}");
}
