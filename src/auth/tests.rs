#![allow(clippy::unwrap_used)]

use super::*;

const FILE: &str = "# who\nplanner write 0123456789abcdef\n\n  monitor  read  fedcba9876543210\n";

fn found<'t>(tokens: &'t Tokens, token: &str) -> Option<(&'t str, Role)> {
    tokens.find(token).map(|grant| (grant.name.as_str(), grant.role))
}

#[test]
fn a_token_is_found_with_its_name_and_role() {
    let tokens = Tokens::from_file(FILE).unwrap();
    assert_eq!(found(&tokens, "0123456789abcdef"), Some(("planner", Role::Write)));
    assert_eq!(found(&tokens, "fedcba9876543210"), Some(("monitor", Role::Read)));
    for wrong in ["", "0123456789abcde", "0123456789abcdef0", "FEDCBA9876543210"] {
        assert_eq!(found(&tokens, wrong), None, "{wrong}");
    }
    assert_eq!(found(&Tokens::default(), ""), None);
}

#[test]
fn a_token_may_expire_and_be_replaced() {
    let at = |time: &str| time.parse::<Timestamp>().unwrap();
    let tokens = Tokens::from_file("a read 0123456789abcdef 2030-01-31T12:00:00Z").unwrap();
    let grant = tokens.find("0123456789abcdef").unwrap();
    assert!(!grant.is_over(at("2030-01-31T11:59:59Z")) && grant.is_over(at("2030-01-31T12:00:00Z")));
    assert_eq!(tokens.still(grant), Some(grant));
    let later = Tokens::from_file("b write 0123456789abcdef").unwrap();
    assert_eq!(later.still(grant).map(|grant| grant.role), Some(Role::Write));
    assert_eq!(
        Tokens::from_file(FILE).unwrap().still(grant).unwrap().name,
        "planner"
    );
    assert_eq!(
        Tokens::from_file("c read another-token-by-far")
            .unwrap()
            .still(grant),
        None
    );
}

#[test]
fn a_token_of_a_node_is_for_that_node_and_nothing_else() {
    let tokens = Tokens::from_file(
        "edge-1 node 0123456789abcdef\nsite.agent node:edge-2 fedcba9876543210\nplanner write 0000000000000000",
    )
    .unwrap();
    let allows = |token: &str, needed: Needed| tokens.find(token).unwrap().allows(&needed);
    let node = |id: &str| Needed::Node(id.to_owned());
    assert!(allows("0123456789abcdef", node("edge-1")) && allows("fedcba9876543210", node("edge-2")));
    for needed in [
        node("edge-2"),
        node("EDGE-1"),
        node(""),
        Needed::Read,
        Needed::Write,
    ] {
        assert!(!allows("0123456789abcdef", needed.clone()), "{needed}");
    }
    assert!(allows("0000000000000000", node("edge-1")));
    let reader = Tokens::from_list("monitor:read:fedcba9876543210").unwrap();
    assert!(!reader.find("fedcba9876543210").unwrap().allows(&node("edge-1")));
    let listed = Tokens::from_list("edge-1:node:0123456789abcdef").unwrap();
    assert!(listed.find("0123456789abcdef").unwrap().allows(&node("edge-1")));
    assert!(Tokens::from_file("edge-1 node: 0123456789abcdef").is_err());
}

#[test]
fn a_list_is_read_like_a_file_and_a_token_may_have_colons() {
    let list = "planner:write:0123456789abcdef,monitor:read:fedcba9876543210,";
    assert!(Tokens::from_list(list) == Tokens::from_file(FILE));
    let tokens = Tokens::from_list("a:read:one:two:three:four").unwrap();
    assert_eq!(found(&tokens, "one:two:three:four"), Some(("a", Role::Read)));
}

#[test]
fn the_hash_of_a_token_stands_for_it() {
    let hash = "sha256:9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f";
    let tokens = Tokens::from_file(&format!("a read {hash}")).unwrap();
    assert_eq!(found(&tokens, "0123456789abcdef"), Some(("a", Role::Read)));
    assert_eq!(found(&tokens, hash), None);
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_without_the_token() {
    for (text, words) in [
        ("a read", "line 1: should be NAME ROLE TOKEN"),
        ("#\na admin 0123456789abcdef", "line 2: the role of a"),
        ("a read short-secret", "shorter than 16"),
        ("a read 0123456789abcdef tomorrow", "the expiry of a"),
        ("a read sha256:12", "64 hexadecimal digits"),
        (
            "a read sha256:+f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f",
            "64 hexadecimal",
        ),
        (
            "a read 0123456789abcdef\na write 0123456789abcdeg",
            "the name a is taken",
        ),
        (
            "a read 0123456789abcdef\nb write 0123456789abcdef",
            "the same token as another",
        ),
        ("mapek read 0123456789abcdef", "the name mapek is taken"),
        ("a/b read 0123456789abcdef", "the name should be"),
        ("a read 0123456789abcd\u{e9}\u{e9}", "visible ASCII"),
    ] {
        let error = Tokens::from_file(text).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
        assert!(!error.contains("0123") && !error.contains("secret"), "{error}");
    }
}

#[test]
fn nothing_that_is_written_has_a_token_or_its_hash() {
    let text = format!("{:?}", Tokens::from_file(FILE).unwrap());
    assert_eq!(text, "{\"planner\": Write, \"monitor\": Read}");
}
