//! Checks that the description of a topology agrees with the reader of topologies: documents are
//! made up from the schema, and the fields that the reader asked for are compared with those of the
//! schema.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use super::document;
use crate::model::{Topology, known_fields, path};

/// The older spellings: accepted with a warning, and not described.
const SYNONYMS: [&str; 3] = ["max_nodes", "port_bindings", "run_parameters"];

/// The schemas of a document's parts.
struct Schemas(Value);

impl Schemas {
    fn resolved<'s>(&'s self, schema: &'s Value) -> &'s Value {
        match schema["$ref"].as_str() {
            Some(place) => self.0.pointer(place.trim_start_matches('#')).unwrap(),
            None => schema,
        }
    }

    /// What may be there, one after the other; null is left out.
    fn kinds<'s>(&'s self, schema: &'s Value) -> Vec<&'s Value> {
        let schema = self.resolved(schema);
        match schema["oneOf"].as_array() {
            Some(kinds) => kinds
                .iter()
                .filter(|kind| kind["type"] != "null")
                .flat_map(|kind| self.kinds(kind))
                .collect(),
            None => vec![schema],
        }
    }
}

/// Something that was made up, and what is known about its parts.
#[derive(Clone, Debug)]
struct Made {
    value: Value,
    /// The fields of each object, for all its kinds together, by path.
    objects: BTreeMap<String, BTreeSet<String>>,
    /// The least and the most that each number may be, by path.
    numbers: BTreeMap<String, (Option<f64>, Option<f64>)>,
}

impl Made {
    fn leaf(value: Value) -> Self {
        Self {
            value,
            objects: BTreeMap::new(),
            numbers: BTreeMap::new(),
        }
    }

    fn take(&mut self, other: &Self) {
        self.objects.extend(other.objects.clone());
        self.numbers.extend(other.numbers.clone());
    }
}

/// Makes a value up, with a choice at every alternative.
fn make(schemas: &Schemas, schema: &Value, at: &str, choose: &mut dyn FnMut(usize) -> usize) -> Made {
    let kinds = schemas.kinds(schema);
    let kind = kinds[choose(kinds.len())];
    let is = |name: &str| match &kind["type"] {
        Value::Array(names) => names.contains(&json!(name)),
        one => one == name,
    };
    if is("object") {
        let mut made = Made::leaf(json!({}));
        let mut fields = Map::new();
        let none = Map::new();
        for (name, of) in kind["properties"].as_object().unwrap_or(&none) {
            let required = kind["required"]
                .as_array()
                .is_some_and(|names| names.contains(&json!(name)));
            if required || choose(4) > 0 {
                let field = make(schemas, of, &path(at, name), choose);
                made.take(&field);
                fields.insert(name.clone(), field.value);
            }
        }
        if let Some(of) = kind.get("additionalProperties").filter(|of| of.is_object()) {
            let field = make(schemas, of, &path(at, "one"), choose);
            made.take(&field);
            fields.insert("one".to_owned(), field.value);
        }
        let names = kinds.iter().filter_map(|kind| kind["properties"].as_object());
        let names = names.flat_map(Map::keys).cloned().collect();
        made.objects.insert(at.to_owned(), names);
        made.value = Value::Object(fields);
        return made;
    }
    if is("array") {
        let mut made = make(schemas, &kind["items"], &format!("{at}[0]"), choose);
        made.value = json!([made.value]);
        return made;
    }
    let mut made = Made::leaf(Value::Null);
    if is("number") || is("integer") {
        let (least, most) = (kind["minimum"].as_f64(), kind["maximum"].as_f64());
        let value = [least, most].into_iter().flatten().nth(choose(2));
        made.numbers.insert(at.to_owned(), (least, most));
        #[expect(clippy::cast_possible_truncation)]
        let whole = value.unwrap_or(1.0) as i64;
        made.value = json!(whole);
    } else if is("boolean") {
        made.value = json!(choose(2) == 0);
    } else if let Some(names) = kind["enum"].as_array() {
        made.value = names[choose(names.len())].clone();
    } else {
        // A field's own example fits it better than that of its type.
        let example = schema.get("example").or_else(|| kind.get("example"));
        made.value = example
            .filter(|example| example.is_string())
            .cloned()
            .unwrap_or(json!("text"));
    }
    made
}

fn topology(seed: &[u8]) -> Made {
    let schemas = Schemas(document());
    let mut seed = seed.iter().cycle();
    let mut choose = |among: usize| usize::from(*seed.next().unwrap()) % among;
    let topology = json!({ "$ref": "#/components/schemas/Topology" });
    make(&schemas, &topology, "", &mut choose)
}

/// Conditions that a schema can't express, because they concern several fields.
fn is_of_several(problem: &str) -> bool {
    [
        "more than",
        "needs hooks_git_repo",
        "go together",
        "is not a tier of app",
        "is zero",
        "there are",
    ]
    .iter()
    .any(|said| problem.contains(said))
}

#[test]
fn the_schema_of_a_topology_has_the_fields_and_the_bounds_of_its_reader() {
    let mut seen = BTreeMap::<String, BTreeSet<String>>::new();
    let seeds = proptest::collection::vec(any::<u8>(), 64..128);
    let config = ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let checked = std::cell::RefCell::new(&mut seen);
    TestRunner::new(config)
        .run(&seeds, |seed| {
            let made = topology(&seed);
            let (read, asked) = known_fields(|| Topology::parse(&made.value));
            let (problems, warnings) = match read {
                Ok(parsed) => (Vec::new(), parsed.warnings),
                Err(problems) => (problems.0, Vec::new()),
            };
            let wrong: Vec<_> = problems
                .iter()
                .filter(|one| one.problem.contains("should be") && !is_of_several(&one.problem))
                .filter(|one| made.objects.contains_key(&one.path) || made.numbers.contains_key(&one.path))
                .collect();
            prop_assert!(wrong.is_empty(), "{wrong:#?} of {:#}", made.value);
            let unknown: Vec<_> = warnings
                .iter()
                .filter(|one| one.problem.contains("is not a field"))
                .collect();
            prop_assert!(unknown.is_empty(), "{unknown:#?} of {:#}", made.value);
            for (at, asked) in asked {
                let Some(described) = made.objects.get(&at) else {
                    continue;
                };
                let asked: BTreeSet<String> = asked
                    .into_iter()
                    .filter(|name| !SYNONYMS.contains(name))
                    .map(str::to_owned)
                    .collect();
                let undescribed: Vec<_> = asked.difference(described).collect();
                prop_assert!(
                    undescribed.is_empty(),
                    "{at:?} reads {undescribed:?}, which its schema has not"
                );
                // One of several kinds is read to its end only if it is that kind.
                checked.borrow_mut().entry(at).or_default().extend(asked);
            }
            Ok(())
        })
        .unwrap();
    for at in [
        "",
        "infrastructure",
        "infrastructure.weights",
        "apps[0].tiers.one",
    ] {
        let all = topology(&[1]).objects;
        let described = &all[at];
        assert_eq!(&seen[at], described, "read of {at:?}, and described");
    }
}

#[test]
fn a_number_beyond_its_bounds_is_a_problem_at_its_place() {
    let made = topology(&[1, 2, 3]);
    assert!(made.numbers.len() > 10, "{:#?}", made.numbers);
    for (at, (least, most)) in &made.numbers {
        for (bound, step) in [(least, -1.0), (most, 1.0)] {
            let Some(bound) = bound else { continue };
            let mut document = made.value.clone();
            let place = at.replace("[0]", ".0").replace('.', "/");
            *document.pointer_mut(&format!("/{place}")).unwrap() = json!(bound + step);
            let problems = Topology::parse(&document).unwrap_err();
            assert!(
                problems.0.iter().any(|problem| problem.path == *at),
                "{at} = {} is taken: {problems}",
                bound + step
            );
        }
    }
}
