//! The manifests in kubernetes/, compared with the programs that they run and with the files that they repeat. Whether a cluster takes
//! them is the subject of .ci/kubernetes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use shared_events::{Service, Topic};

use crate::rig::{PROGRAM, Ran};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(FOLDER).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of a YAML file.
fn documents(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn document(path: &str) -> Value {
    documents(path).remove(0)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn string(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Every resource that the kustomization of base/ names.
fn base() -> Vec<Value> {
    let kustomization = document("kubernetes/base/kustomization.yaml");
    let files = list(&kustomization["resources"]).iter();
    files
        .flat_map(|file| documents(&format!("kubernetes/base/{}", string(file))))
        .collect()
}

/// The literals of a ConfigMap or Secret that the kustomization of base/ generates.
fn literals(generator: &str, name: &str) -> BTreeMap<String, String> {
    let kustomization = document("kubernetes/base/kustomization.yaml");
    let generated = list(&kustomization[generator]).iter();
    let one = generated.into_iter().find(|one| one["name"] == name);
    let one = one.unwrap_or_else(|| panic!("{generator}: {name}"));
    let pairs = list(&one["literals"]).iter().map(string);
    let pairs = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    });
    pairs.collect()
}

/// The pod templates of the resources, by the name of the resource.
fn pods() -> Vec<(String, Value)> {
    let of_resource = |resource: Value| {
        let pod = &resource["spec"]["template"]["spec"];
        pod.is_object()
            .then(|| (string(&resource["metadata"]["name"]), pod.clone()))
    };
    base().into_iter().filter_map(of_resource).collect()
}

/// A container of one of our programs.
struct Ours {
    name: String,
    program: String,
    pod: Value,
}

fn ours() -> Vec<Ours> {
    let pods = pods().into_iter();
    let ours = pods.filter(|(_, pod)| container(pod)["image"] == "saga-sandbox:local");
    ours.map(|(name, pod)| {
        let program = string(&container(&pod)["command"][0]);
        Ours {
            name,
            // The pod `tools` only waits: people run the command in it.
            program: program.replace("sleep", "sandbox"),
            pod,
        }
    })
    .collect()
}

fn container(pod: &Value) -> &Value {
    assert_eq!(list(&pod["containers"]).len(), 1, "{pod}");
    &pod["containers"][0]
}

/// The environment of a container.
fn variables(container: &Value) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for source in list(&container["envFrom"]) {
        let name = string(&source["configMapRef"]["name"]);
        all.extend(literals("configMapGenerator", &name));
    }
    for one in list(&container["env"]) {
        let secret = &one["valueFrom"]["secretKeyRef"];
        let value = match one.get("value") {
            Some(value) => string(value),
            None => literals("secretGenerator", &string(&secret["name"]))
                [secret["key"].as_str().unwrap()]
            .clone(),
        };
        all.insert(string(&one["name"]), value);
    }
    all
}

/// The help of a program, on one line; without the environment, whose values it would show.
fn help(program: &str) -> String {
    // People run loads in the pod of load-generator.
    let subcommands: &[&str] = match program {
        "load-generator" => &["serve", "burst"],
        _ => &[],
    };
    let mut all = String::new();
    for subcommand in subcommands.iter().map(Some).chain([None]) {
        let mut command = Command::new(PROGRAM.with_file_name(program));
        let help = Ran::of(command.args(subcommand).arg("--help").env_clear());
        assert_eq!(help.code, 0, "{program}: {}", help.errors);
        all += &help.output;
    }
    all.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The default of a variable in a help text.
fn default_of<'a>(help: &'a str, variable: &str) -> Option<&'a str> {
    let (_, rest) = help.split_once(&format!("[env: {variable}=] [default: "))?;
    Some(rest.split_once(']')?.0)
}

#[test]
fn every_variable_of_a_pod_is_a_setting_of_its_program_with_a_valid_value() {
    let ours = ours();
    assert_eq!(ours.len(), 8);
    let compose = text("docker-compose.yml");
    for Ours { name, program, pod } in ours {
        let variables = variables(container(&pod));
        let help = help(&program);
        for variable in variables.keys() {
            let shown = help.contains(&format!("[env: {variable}="))
                || help.contains(&format!("[env: {variable}]"));
            // The command does not show the variables that only its containers have.
            let hidden = program == "sandbox" && compose.contains(&format!("\n      {variable}: "));
            assert!(
                shown || hidden,
                "{name}: {program} has no setting {variable}"
            );
        }
        if program != "sandbox" {
            let mut check = Command::new(PROGRAM.with_file_name(&program));
            let checked = Ran::of(check.arg("check").env_clear().envs(&variables));
            assert_eq!(checked.code, 0, "{name}: {}", checked.errors);
        }
    }
}

#[test]
fn ports_are_those_of_the_programs_and_a_pod_may_drain_before_it_is_killed() {
    let services: Vec<Value> = base()
        .into_iter()
        .filter(|one| one["kind"] == "Service")
        .collect();
    let programs = ours().into_iter().filter(|one| one.program != "sandbox");
    for Ours { name, program, pod } in programs {
        let help = help(&program);
        let port: u64 = default_of(&help, "PORT").unwrap().parse().unwrap();
        assert_eq!(container(&pod)["ports"][0]["containerPort"], port, "{name}");
        let service = services
            .iter()
            .find(|one| one["metadata"]["name"] == name.as_str());
        assert_eq!(service.unwrap()["spec"]["ports"][0]["port"], port, "{name}");
        if let Some(drain) = default_of(&help, "DRAIN_TIMEOUT") {
            let drain: u64 = drain.trim_end_matches('s').parse().unwrap();
            let stop = &container(&pod)["lifecycle"]["preStop"]["sleep"]["seconds"];
            let least = drain + stop.as_u64().unwrap_or_default();
            let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
            assert!(grace > least, "{name}: {grace} s, not more than {least} s");
        }
    }
}

#[test]
fn no_pod_may_be_root_write_into_its_image_or_ask_a_registry_each_time() {
    let pods = pods();
    assert_eq!(pods.len(), 10);
    for (name, pod) in pods {
        let container = container(&pod);
        assert_eq!(pod["enableServiceLinks"], false, "{name}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        assert!(
            pod["securityContext"]["runAsUser"].as_u64() > Some(0),
            "{name}"
        );
        assert_eq!(
            container["securityContext"]["readOnlyRootFilesystem"], true,
            "{name}"
        );
        assert_eq!(container["imagePullPolicy"], "IfNotPresent", "{name}");
        assert!(
            container["resources"]["limits"]["memory"].is_string(),
            "{name}"
        );
        let image = string(&container["image"]);
        let (_, tag) = image.split_once(':').unwrap();
        assert_ne!(tag, "latest", "{name}");
    }
}

/// A value of docker-compose.yml: without a variable, its default.
fn in_compose(value: &Value) -> String {
    let value = string(value);
    let variable = value.split_once("${").and_then(|(before, rest)| {
        let (name_and_default, after) = rest.split_once('}')?;
        let (_, default) = name_and_default.split_once('-')?;
        Some(format!("{before}{default}{after}"))
    });
    variable.unwrap_or(value)
}

#[test]
fn the_images_and_the_settings_of_the_broker_are_those_of_docker_compose() {
    let compose = document("docker-compose.yml");
    let kustomization = document("kubernetes/base/kustomization.yaml");
    for service in ["kafka", "postgres"] {
        let image = in_compose(&compose["services"][service]["image"]);
        let (_, pod) = pods()
            .into_iter()
            .find(|(name, _)| name == service)
            .unwrap();
        assert_eq!(container(&pod)["image"], image.as_str());
        let (name, tag) = image.split_once(':').unwrap();
        let mut images = list(&kustomization["images"]).iter();
        assert!(
            images.any(|one| one["name"] == name && one["newTag"] == tag),
            "{image}"
        );
    }
    let own = [
        "KAFKA_ADVERTISED_LISTENERS",
        "KAFKA_LISTENERS",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
        "KAFKA_LOG_DIRS",
    ];
    let without_own = |mut all: BTreeMap<String, String>| {
        all.retain(|name, _| !own.contains(&name.as_str()));
        all
    };
    let expected = compose["services"]["kafka"]["environment"].as_object();
    let expected = expected.unwrap().iter();
    let expected = expected.map(|(name, value)| (name.clone(), in_compose(value)));
    let text = text("kubernetes/base/kafka.env");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let found = lines.map(|line| line.split_once('=').unwrap());
    let found = found.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(
        without_own(found.collect()),
        without_own(expected.collect())
    );
}

#[test]
fn keda_watches_the_group_of_each_service_on_topics_that_it_consumes() {
    for service in Service::ALL {
        let (short, _) = service.name().split_once('-').unwrap();
        let object = document(&format!("kubernetes/keda/{short}-scaledobject.yaml"));
        assert_eq!(object["spec"]["scaleTargetRef"]["name"], service.name());
        let consumed: BTreeSet<&str> = service
            .consumes()
            .iter()
            .map(|topic| topic.name())
            .collect();
        let triggers = list(&object["spec"]["triggers"]);
        assert!(!triggers.is_empty());
        for trigger in triggers {
            assert_eq!(trigger["metadata"]["consumerGroup"], service.group());
            let topic = trigger["metadata"]["topic"].as_str().unwrap();
            assert!(
                consumed.contains(topic),
                "{service} does not consume {topic}"
            );
        }
    }
}

#[test]
fn the_topics_of_the_strimzi_operator_are_those_that_the_command_creates() {
    let declared = documents("kubernetes/strimzi/topics.yaml");
    let found: BTreeMap<String, Value> = declared
        .into_iter()
        .map(|topic| (string(&topic["metadata"]["name"]), topic["spec"].clone()))
        .collect();
    let expected = Topic::ALL.into_iter().map(|topic| {
        let settings = topic.settings();
        let config = settings.config.iter().map(|(name, value)| {
            let number = value.parse::<u64>().map(Value::from);
            (
                (*name).to_owned(),
                number.unwrap_or_else(|_| Value::from(*value)),
            )
        });
        let config: serde_json::Map<String, Value> = config.collect();
        let spec = json!({"partitions": settings.partitions, "replicas": 1, "config": config});
        (topic.name().to_owned(), spec)
    });
    assert_eq!(found, expected.collect());
}
