//! What `docs/aws.md` tells people to copy, checked as far as possible without AWS.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::metrics::cache;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/aws.md");

/// The only block in this language.
fn block(language: &str) -> String {
    let docs = std::fs::read_to_string(DOCS).unwrap();
    let opening = format!("```{language}\n");
    let mut blocks = docs.split(&opening).skip(1);
    let block = blocks.next().unwrap().split("```").next().unwrap().to_owned();
    assert!(blocks.next().is_none(), "more than one block of {language}");
    block
}

/// Gives `input` to a program, which must accept it. Returns what it prints.
fn through(command: &mut Command, input: &str) -> String {
    let program = command.get_program().to_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program:?}: {error}; scripts/setup test installs it"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program:?}: {told}{said}");
    told
}

#[test]
fn the_user_data_is_a_sound_script_that_writes_a_sound_configuration() {
    let script = block("sh");
    assert!(
        script.starts_with("#!/bin/bash\n"),
        "cloud-init runs what names its shell"
    );
    through(Command::new("shellcheck").arg("-"), &script);

    let config = script.split("<<'JSON'\n").nth(1).unwrap();
    let config: Value = serde_json::from_str(config.split("\nJSON\n").next().unwrap()).unwrap();
    assert_eq!(config["tlsverify"], true, "{config:#}");
    let hosts: Vec<&str> = config["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(hosts.contains(&"tcp://0.0.0.0:2376"), "{hosts:?}");
    // The engine reads the files that the script writes, in the same folder.
    let folder = "/etc/docker/tls";
    assert!(script.contains(&format!("cd {folder} &&")), "{script}");
    for key in ["tlscacert", "tlscert", "tlskey"] {
        let path = config[key].as_str().unwrap();
        let file = path.strip_prefix(folder).unwrap().trim_start_matches('/');
        let made = [
            format!(">{file}"),
            format!("-out {file}"),
            format!("-keyout {file}"),
        ];
        assert!(
            made.iter().any(|made| script.contains(made)),
            "nothing makes {file}"
        );
    }
}

/// `${kind.name.…}` and the like: what an expression refers to.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')) {
                let parts: Vec<&str> = word.split('.').collect();
                found.extend(match parts.as_slice() {
                    ["data", kind, name, ..] => Some(format!("data.{kind}.{name}")),
                    ["var", name, ..] => Some(format!("var.{name}")),
                    [kind, name, ..] if kind.starts_with("aws_") => Some(format!("{kind}.{name}")),
                    _ => None,
                });
            }
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// Names of the blocks of a kind: `resource "a" "b"` is `a.b`.
fn defined(document: &Value, kind: &str) -> BTreeSet<String> {
    let bare = |name: &str| name.trim_matches('"').to_owned();
    let mut found = BTreeSet::new();
    for block in document[kind].as_array().into_iter().flatten() {
        for (first, inner) in block.as_object().unwrap() {
            let inner: Vec<String> = inner.as_object().unwrap().keys().map(|name| bare(name)).collect();
            match kind {
                "variable" => found.extend([format!("var.{}", bare(first))]),
                _ => found.extend(
                    inner
                        .iter()
                        .filter(|name| !name.starts_with("__"))
                        .map(|name| format!("{}.{name}", bare(first))),
                ),
            }
        }
    }
    found
}

#[test]
fn the_terraform_example_can_be_read_and_speaks_of_nothing_that_it_does_not_define() {
    let script = "import hcl2, json, sys; print(json.dumps(hcl2.load(sys.stdin)))";
    let mut python = Command::new(cache().join("hcl/bin/python"));
    let document = through(python.args(["-c", script]), &block("hcl"));
    let document: Value = serde_json::from_str(&document).unwrap();
    let mut known = defined(&document, "resource");
    assert!(known.contains("aws_autoscaling_group.shop"), "{known:?}");
    let data = defined(&document, "data");
    known.extend(data.iter().map(|name| format!("data.{name}")));
    known.extend(defined(&document, "variable"));
    let mut spoken_of = BTreeSet::new();
    references(&document, &mut spoken_of);
    assert!(spoken_of.contains("aws_launch_template.mapek"), "{spoken_of:?}");
    let unknown: Vec<&String> = spoken_of.difference(&known).collect();
    assert!(unknown.is_empty(), "not defined: {unknown:?}");
}
