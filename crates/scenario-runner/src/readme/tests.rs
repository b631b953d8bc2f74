use super::*;

const LOCAL: ReadOptions = ReadOptions {
    mode: Mode::Local,
    short: false,
};

const DOCKER: ReadOptions = ReadOptions {
    mode: Mode::Docker,
    short: false,
};

const README: &str = "# Broken\n\
    Words.\n\
    ## Break it\n\
    ```sh\nID=1\n```\n\
    ```text expect\nconfirmed …\n```\n\
    ```sh docker\ndocker\n```\n```text expect\nof docker\n```\n\
    ```sh local fails\nfalse\n```\n\
    ```json\n{}\n```\n\
    ## Wait for long (≤ 10 min)\n\
    ````sh\n```\n````\n\
    ## Restore\n\
    ### Settings\n\
    ```sh\nrestore\n```\n\
    ## Read on\n\
    ```text\nillustration\n```\n";

#[test]
fn steps_are_named_by_their_heading_and_know_what_they_must_do() {
    let readme = read(README, LOCAL).unwrap();
    assert_eq!(readme.title, "Broken");
    let names: Vec<_> = readme.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["Break it", "Break it (2)", "Wait for long"]);
    let [first, second, long] = readme.steps.as_slice() else {
        panic!()
    };
    assert_eq!(first.expected.as_deref(), Some("confirmed …\n"));
    assert_eq!(
        (second.must, second.expected.as_ref()),
        (Expectation::Fail, None)
    );
    assert_eq!((long.limit.as_secs(), long.script.as_str()), (600, "```\n"));
    assert_eq!(first.limit.as_secs(), 300);
    let restore: Vec<_> = readme
        .restore
        .iter()
        .map(|step| step.name.as_str())
        .collect();
    assert_eq!(restore, ["Settings"]);
}

#[test]
fn blocks_of_the_other_mode_are_left_out_with_their_output() {
    let docker = read(README, DOCKER).unwrap();
    let scripts: Vec<_> = docker
        .steps
        .iter()
        .map(|step| step.script.as_str())
        .collect();
    assert_eq!(scripts, ["ID=1\n", "docker\n", "```\n"]);
    assert_eq!(docker.steps[1].expected.as_deref(), Some("of docker\n"));
}

#[test]
fn small_numbers_are_for_the_short_mode_only() {
    let text = "# A\n```sh\nN=1000\n```\n```sh short\nN=10\n```\n```text expect\nsmall\n```\n";
    let scripts = |options| {
        let steps = read(text, options).unwrap().steps.into_iter();
        steps.map(|step| step.script).collect::<Vec<_>>()
    };
    assert_eq!(scripts(LOCAL), ["N=1000\n"]);
    let short = ReadOptions {
        short: true,
        ..LOCAL
    };
    assert_eq!(scripts(short), ["N=1000\n", "N=10\n"]);
}

#[test]
fn what_cannot_be_executed_is_said_with_its_line() {
    for (text, problem) in [
        ("# A\n```sh\n", "line 2: this block is never closed"),
        (
            "# A\n```sh never\n```\n",
            "line 2: sh never: only local, docker, fails and short are known",
        ),
        (
            "# A\n```text expect\n```\n",
            "line 2: there is no step before this expectation",
        ),
        (
            "# A\n```text expects\n```\n",
            "line 2: text expects: only `text expect` is known",
        ),
        (
            "# A (≤ 16 min)\n",
            "line 1: (≤ 16 min): must be (≤ N min), 15 minutes at most",
        ),
        ("# A\nwords\n", "line 1: there is no ```sh block to execute"),
        ("```sh\n```\n", "line 1: there is no heading"),
    ] {
        assert_eq!(
            read(text, LOCAL).unwrap_err().to_string(),
            problem,
            "{text}"
        );
    }
}

#[test]
fn a_step_is_expected_to_print_one_thing() {
    let twice = "# A\n```sh\n```\n```text expect\n```\n```text expect\n```\n";
    assert!(read(twice, LOCAL).is_err());
}
