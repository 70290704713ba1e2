//! Expressions: good ones, wrong ones, hostile ones.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Facts, Prefers, Requires};

fn node() -> Map<String, Value> {
    let Value::Object(node) = json!({
        "id": "edge-1", "source": "hosts", "standing": "ready", "cpu_cores": 4, "mem_units": 8, "epoch": null,
        "labels": { "zone": "a", "gpu": "", "rack.row/x": "7" },
        "capabilities": { "arch": "amd64", "os": "linux", "cores": 4, "clock_ghz": 2.5, "runtimes": ["runc", "kata"] },
        "health": { "load": 0.5 }
    }) else {
        unreachable!()
    };
    node
}

fn unmet(source: &str) -> Vec<String> {
    Requires::compile(source).unwrap().unmet(&Facts::of(&node()))
}

#[test]
fn what_is_true_of_a_node_has_no_reasons() {
    for source in [
        "true",
        "'gpu' in node.labels && node.capabilities.arch == 'amd64' && node.mem_units >= 8",
        "node.id.startsWith('edge-')",
        "node.source == \"hosts\" || false",
        "node.capabilities.runtimes.exists(one, one == 'kata')",
        "'kata' in node.capabilities.runtimes",
        "!has(node.labels.tpm)",
        "has(node.labels.tpm) || node.cpu_cores > 3.5",
        "node.labels['rack.row/x'] == '7'",
        "node.labels.all(name, size(name) < 100)",
        "node.capabilities.clock_ghz * 2.0 >= 5.0",
        "node.mem_units / 2 == 4",
        "node.mem_units >= 8u",
        "node.health.load < 1",
        "(node.labels.zone in ['a', 'b']) && // a comment && more\n node.standing == 'ready'",
        "node.labels.filter(name, name.contains('p')).size() == 1",
        "node.epoch == null",
    ] {
        assert_eq!(unmet(source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn each_conjunct_that_is_false_says_why() {
    let cases: [(&str, &[&str]); 10] = [
        (
            "node.capabilities.arch == 'arm64'",
            &["requires: node.capabilities.arch == 'arm64' is false (amd64)"],
        ),
        (
            "'tpm' in node.labels  &&  node.mem_units >= 16 && true",
            &[
                "requires: 'tpm' in node.labels is false (gpu, rack.row/x, zone)",
                "requires: node.mem_units >= 16 is false (8)",
            ],
        ),
        (
            "node.mem_units > node.cpu_cores * 2",
            &[
                "requires: node.mem_units > node.cpu_cores * 2 is false (node.mem_units is 8, node.cpu_cores is 4)",
            ],
        ),
        ("false", &["requires: false is false"]),
        (
            "node.labels.tpm == '2'",
            &["requires: node.labels.tpm == '2' can't be evaluated (there is no tpm), so it counts as false"],
        ),
        (
            "has(node.labels.tpm) && node.labels.tpm == '2'",
            &["requires: has(node.labels.tpm) is false (gpu, rack.row/x, zone)"],
        ),
        (
            "node.labels.zone > 3",
            &[
                "requires: node.labels.zone > 3 can't be evaluated (found no matching overload for '_>_' applied to \
               '(string, int)'), so it counts as false",
            ],
        ),
        (
            "node.mem_units / 0 == 1",
            &[
                "requires: node.mem_units / 0 == 1 can't be evaluated (division by zero), so it counts as false",
            ],
        ),
        (
            "node.labels.zone",
            &["requires: node.labels.zone is a, not true or false"],
        ),
        (
            "node.labels.zone == 'b' || node.labels.zone == 'c'",
            &["requires: node.labels.zone == 'b' || node.labels.zone == 'c' is false (a)"],
        ),
    ];
    for (source, reasons) in cases {
        assert_eq!(unmet(source), reasons, "{source}");
    }
}

#[test]
fn prefers_gives_a_number_or_says_why_not() {
    let score = |source: &str| Prefers::compile(source).unwrap().score(&Facts::of(&node()));
    assert_eq!(score("node.mem_units"), Ok(8.0));
    assert_eq!(score("node.labels.zone == 'a' ? 10 : 0"), Ok(10.0));
    assert_eq!(score("-node.health.load"), Ok(-0.5));
    assert_eq!(score("double(node.cpu_cores) / 8.0"), Ok(0.5));
    let why = |source: &str| score(source).unwrap_err();
    assert_eq!(
        why("node.labels.zone"),
        "prefers: node.labels.zone is a, not a number, so it counts as 0"
    );
    assert_eq!(
        why("node.labels.power"),
        "prefers: node.labels.power can't be evaluated (there is no power), so it counts as 0"
    );
    assert_eq!(why("1.0 / 0.0"), "prefers: 1.0 / 0.0 is inf, so it counts as 0");
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let cases = [
        ("node.cpu_cores >=", "column 18: it can't be read"),
        ("node.id == 'x", "column 12: it can't be read"),
        (
            "node.cpu_cores > 1 &&\n nod.labels.x == ''",
            "line 2, column 2: nod is not known here",
        ),
        ("node.mem > 3", "a node has no mem; it has id, source,"),
        ("node.labels.matches('a')", "matches is not a function here"),
        ("'gpu'", "it should give true or false"),
        (
            "node.cpu_cores + 1",
            "it gives a number, and should give true or false",
        ),
        ("", "it can't be read"),
    ];
    for (source, wanted) in cases {
        let mistakes = Requires::compile(source).unwrap_err();
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|one| one.contains(wanted)), "{source}: {told:?}");
    }
    let mistakes = Prefers::compile("node.mem_units > 3").unwrap_err();
    assert!(
        mistakes[0].problem.contains("should give a number"),
        "{mistakes:?}"
    );
}

/// Nothing that anybody writes takes long, panics, or is true by accident: it is refused, or false
/// with a reason.
#[test]
fn hostile_expressions_are_refused_or_false_in_bounded_time() {
    let range = |count: usize| format!("[{}]", vec!["1"; count].join(","));
    let letters = |count: usize| "x".repeat(count);
    let nested =
        |open: &str, close: &str, count: usize| format!("{}1{}", open.repeat(count), close.repeat(count));
    let twice = |count: usize| {
        let maps = ".map(s, s + s)".repeat(count);
        format!("['x']{maps}[0] == ''")
    };
    let loops = |count: usize, over: &str| {
        let open: String = (0..count).map(|n| format!("{over}.all(v{n}, ")).collect();
        format!("{open}false{}", ")".repeat(count))
    };
    let hostile: Vec<String> = vec![
        // What can't be read.
        "node.".to_owned(),
        "&&".to_owned(),
        "'".to_owned(),
        "\"\\".to_owned(),
        "((((((((((".to_owned(),
        "))))".to_owned(),
        "node..id".to_owned(),
        "\u{0}".to_owned(),
        "💥 == 💥".to_owned(),
        "node.id = 'x'".to_owned(),
        "import os".to_owned(),
        "__import__('os')".to_owned(),
        "'''".to_owned(),
        "// nothing".to_owned(),
        "\n\n\n".to_owned(),
        "99999999999999999999999999 > 1".to_owned(),
        "0x".to_owned(),
        "1e999999 > 1.0 && node.idd == ''".to_owned(),
        // Too large.
        letters(100_000),
        format!("'{}' == ''", letters(3000)),
        nested("(", ")", 1000),
        nested("[", "]", 900),
        nested("(", ")", 200),
        nested("{1:", "}", 100),
        "!".repeat(1501) + "true",
        "-".repeat(1500) + "1 == 2",
        "true ? ".repeat(200) + "false" + " : false".repeat(200).as_str(),
        "1+".repeat(900) + "1 == 0",
        // Larger than it looks: the parser does not take this as text.
        format!("[1 '\n, {}1]", "1+".repeat(900)),
        format!("[1 '\n, {}]", nested("(", ")", 900)),
        format!("[1 '\\q', '  , {}1]'", "1+".repeat(900)),
        // As large as allowed.
        "!".repeat(47) + "true",
        "-".repeat(46) + "1 == 2",
        "1+".repeat(47) + "1 == 0",
        "1==".repeat(47) + "1 == 0",
        "1 in ".repeat(48) + "[1]",
        "false?true:".repeat(48) + "false",
        "false||".repeat(280) + "false",
        "true&&".repeat(320) + "false",
        format!("node{} == 1", ".labels".repeat(24)),
        format!("node.labels{} == 1", "[1]".repeat(23)),
        format!("{} == 0", nested("(", ")", 16)),
        format!("{} == 1", nested("[", "]", 16)),
        format!("{} == 3", nested("-(1+", ")", 16)),
        format!("{} == 0", nested("(true?1:", ")", 16)),
        format!(
            "{} == 1",
            nested("-(1+[node.labels.a.b.c.d.e.f.g.h[", "]][0])", 5)
        ),
        // Endless, or nearly.
        twice(4),
        twice(30),
        twice(100),
        loops(3, "node.labels"),
        loops(4, "node.labels"),
        loops(8, "[1, 2]"),
        loops(3, &range(100)),
        loops(2, &range(300)),
        format!("{}.map(x, {}).size() == 0", range(400), range(400)),
        "node.labels.map(a, node.labels.map(b, node.labels.map(c, a + b + c))).size() == 0".to_owned(),
        // Wrong types.
        "node == node.id".to_owned(),
        "node.labels > node.labels".to_owned(),
        "node.id + 1 == ''".to_owned(),
        "node.id.size".to_owned(),
        "node[0] == 1".to_owned(),
        "node.labels[node] == ''".to_owned(),
        "node.capabilities.runtimes[99] == ''".to_owned(),
        "node.capabilities.runtimes[-1] == ''".to_owned(),
        "9223372036854775807 + node.cpu_cores > 0".to_owned(),
        "-9223372036854775807 - node.cpu_cores < 0".to_owned(),
        "node.cpu_cores % 0 == 0".to_owned(),
        "int('x') == 1".to_owned(),
        "node.labels.zone.startsWith(1)".to_owned(),
        "null".to_owned(),
        "node.health.load.load == 1".to_owned(),
        "type(node) == map".to_owned(),
        "{node.id: 1, node.id: 2}.size() == 2".to_owned(),
        "node.labels.exists_one(x, x.y)".to_owned(),
    ];
    assert!(hostile.len() >= 50);
    let facts = Facts::of(&node());
    for source in &hostile {
        let short: String = source.chars().take(60).collect();
        let begun = std::time::Instant::now();
        match Requires::compile(source) {
            Err(mistakes) => {
                assert!(!mistakes.is_empty(), "{short}");
                assert!(
                    mistakes.iter().all(|one| one.problem.len() < 500),
                    "{short}: {mistakes:?}"
                );
            }
            Ok(requires) => {
                let reasons = requires.unmet(&facts);
                assert!(!reasons.is_empty(), "{short} is true");
            }
        }
        // This is no measurement: without a bound it would never end.
        assert!(begun.elapsed() < Duration::from_secs(20), "{short}");
    }
}

/// These are counted before anything is parsed.
#[test]
fn what_the_parser_goes_deeper_for_is_counted() {
    use super::conjuncts::{chain, code, depth, operators};
    let counted = |source: &str| {
        let code = code(source);
        (depth(&code), operators(&code), chain(&code))
    };
    assert_eq!(
        counted("a.b[1].c == '(+.)' && !(x in [1, (2)]) // ((("),
        (3, 3, 3)
    );
    assert_eq!(counted("index >= 1 ? a.b : c.d.e"), (0, 2, 2));
    assert_eq!(counted("1 in 2 in 3 - in"), (0, 4, 0));
    assert_eq!(counted("f(x).g(y.z).h()"), (1, 0, 5));
}

/// The largest node that there can be, and the costliest expressions that are accepted.
#[test]
fn the_costliest_expression_that_is_taken_ends_on_the_largest_node() {
    let many: Map<String, Value> = (0..1000)
        .map(|n| (format!("{n:0>300}"), json!("y".repeat(1000))))
        .collect();
    let mut node = node();
    node.insert("labels".to_owned(), Value::Object(many));
    let facts = Facts::of(&node);
    for source in [
        "node.labels.exists(a, node.labels.exists(b, a == b + 'x'))",
        "node.labels.map(a, node.labels[a] + a).filter(b, b == '').size() > 0",
        "node.labels.exists(a, node.labels.exists(b, a == b && a != b))",
        "['x'].map(s, s + s)[0] == ''",
    ] {
        let requires = Requires::compile(source).unwrap();
        assert_eq!(requires.unmet(&facts).len(), 1, "{source}");
    }
}
