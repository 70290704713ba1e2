//! Who may do what: named tokens, each with a role. Only hashes of tokens are kept, so that no log,
//! answer or core dump contains one. Pure.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// The shortest token that is accepted: with random characters, too many to try.
const SHORTEST: usize = 16;

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// May look, and ask what would happen.
    Read,
    /// May also change things.
    Write,
    /// To register one node, to refresh it, and to let it leave: nothing else.
    Node,
}

/// What a call needs of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needed {
    /// That it may look.
    Read,
    /// That it may change.
    Write,
    /// That it may speak for this node.
    Node(String),
}

impl Needed {
    /// The role that is enough.
    #[must_use]
    pub fn role(&self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Node(_) => "node",
        }
    }
}

impl fmt::Display for Needed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read | Self::Write => out.write_str(self.role()),
            Self::Node(id) => write!(out, "write, or node for '{id}'"),
        }
    }
}

impl Role {
    /// Its name in files and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Node => "node",
        }
    }
}

/// A token that the service knows, without the token itself: who has it, what it allows, and until
/// when.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    /// The name of its holder.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The apps that it may put and remove, where it may change nothing else.
    pub apps: Option<BTreeSet<String>>,
    /// The one node that it may speak for, where that is its role.
    pub node: Option<String>,
    /// When it expires; None for never.
    pub until: Option<Timestamp>,
    hash: [u8; 32],
}

impl Grant {
    /// Whether it allows a change at that path: any, or only that of an app of its own.
    #[must_use]
    pub fn may_change(&self, path: &str) -> bool {
        let app = path.strip_prefix("/api/apps/");
        self.apps
            .as_ref()
            .is_none_or(|apps| app.is_some_and(|app| apps.contains(app)))
    }

    /// Whether it is enough for a call.
    #[must_use]
    pub fn allows(&self, needed: &Needed) -> bool {
        match (self.role, needed) {
            (Role::Write, _) | (Role::Read, Needed::Read) => true,
            (Role::Node, Needed::Node(id)) => self.node.as_ref() == Some(id),
            (Role::Read, _) | (Role::Node, _) => false,
        }
    }

    /// Whether it has expired.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// Never prints the hash.
impl fmt::Debug for Grant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.name, self.role.as_str())
    }
}

/// The tokens that the service knows; if there are none, everyone may do everything.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tokens(Vec<Grant>);

/// Prints names and roles only.
impl fmt::Debug for Tokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.iter().map(|known| (&known.name, known.role));
        out.debug_map().entries(known).finish()
    }
}

/// Why tokens can't be used. Never contains a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct BadTokens {
    /// Line or entry, from 1.
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Tokens {
    /// Reads a file of tokens, one on each line: `NAME ROLE TOKEN` and, if the token expires, the
    /// time, such as `2030-01-31T12:00:00Z`. Empty lines and lines that begin with `#` are ignored.
    /// The role `node:ID` is for the node ID; `node` alone is for the node NAME. The role `write:APP,…` changes these
    /// apps alone. A token can be replaced by `sha256:` and its hash.
    ///
    /// # Errors
    ///
    /// The first line that can't be used.
    pub fn from_file(text: &str) -> Result<Self, BadTokens> {
        let lines = text.lines().enumerate();
        let lines = lines
            .map(|(index, line)| (index, line.trim()))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let entries =
            lines.map(|(index, line)| (format!("line {}", index + 1), line.split_whitespace().collect()));
        Self::read(entries, "NAME ROLE TOKEN [EXPIRES]")
    }

    /// Reads `NAME:ROLE:TOKEN`, separated by commas. The role is `read`, `write`, or `node` for the node NAME.
    ///
    /// # Errors
    ///
    /// The first entry that can't be used.
    pub fn from_list(text: &str) -> Result<Self, BadTokens> {
        let entries = text.split(',').map(str::trim).enumerate();
        let entries = entries
            .filter(|(_, entry)| !entry.is_empty())
            .map(|(index, entry)| (format!("entry {}", index + 1), entry.splitn(3, ':').collect()));
        Self::read(entries, "NAME:ROLE:TOKEN")
    }

    fn read<'t>(
        entries: impl Iterator<Item = (String, Vec<&'t str>)>,
        shape: &str,
    ) -> Result<Self, BadTokens> {
        let mut known: Vec<Grant> = Vec::new();
        for (place, parts) in entries {
            let bad = |problem: String| BadTokens {
                place: place.clone(),
                problem,
            };
            let (name, role, token, until) = match parts.as_slice() {
                [name, role, token] => (name, role, token, None),
                [name, role, token, until] => (name, role, token, Some(until)),
                _ => {
                    return Err(bad(format!(
                        "should be {shape}, with ROLE read, write, write:APP,… or node:ID"
                    )));
                }
            };
            let letters = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
            if name.is_empty() || name.len() > 64 || !name.chars().all(letters) {
                let message = "the name should be 1 to 64 letters, digits, '.', '_', '-' or '@'";
                return Err(bad(message.to_owned()));
            }
            if ["anonymous", "mapek"].contains(name) || known.iter().any(|known| known.name == *name) {
                return Err(bad(format!("the name {name} is taken")));
            }
            let (role, apps, node) = role_of(role, name).ok_or_else(|| {
                bad(format!(
                    "the role of {name} should be read, write, node:ID, or write: and the apps that it may change, such \
                     as write:shop,blog"
                ))
            })?;
            let time = |text: &&str| {
                let wrong = || format!("the expiry of {name} should be a time such as 2030-01-31T12:00:00Z");
                text.parse::<Timestamp>().map_err(|_| bad(wrong()))
            };
            let until = until.map(time).transpose()?;
            let hash = hash_of(token).map_err(|problem| bad(format!("the token of {name} {problem}")))?;
            if known.iter().any(|known| known.hash == hash) {
                return Err(bad(format!("{name} has the same token as another name")));
            }
            known.push(Grant {
                name: (*name).to_owned(),
                role,
                apps,
                node,
                until,
                hash,
            });
        }
        Ok(Self(known))
    }

    /// The tokens of both.
    ///
    /// # Errors
    ///
    /// When both have a token of the same name.
    pub fn and(mut self, other: Self) -> Result<Self, BadTokens> {
        for known in other.0 {
            if self.0.iter().any(|one| one.name == known.name) {
                return Err(BadTokens {
                    place: format!("the name {}", known.name),
                    problem: "is in the file and in the environment".to_owned(),
                });
            }
            self.0.push(known);
        }
        Ok(self)
    }

    /// Whether there are no tokens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whose token it is, and what it allows. It is compared with all of them, in the same time
    /// whatever the token is.
    #[must_use]
    pub fn find(&self, token: &str) -> Option<&Grant> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let (mut found, mut place) = (Choice::from(0), 0_u64);
        for (index, known) in (0_u64..).zip(&self.0) {
            let same = known.hash.ct_eq(&hash);
            place.conditional_assign(&index, same);
            found |= same;
        }
        if !bool::from(found) {
            return None;
        }
        self.0.get(usize::try_from(place).ok()?)
    }

    /// The grant as it is now; None if its token is no longer known.
    #[must_use]
    pub fn still(&self, grant: &Grant) -> Option<&Grant> {
        self.0.iter().find(|known| known.hash == grant.hash)
    }
}

/// What a role stands for: the role, the apps that it is limited to, and the node that it speaks for.
type Scope = (Role, Option<BTreeSet<String>>, Option<String>);

fn role_of(text: &str, name: &str) -> Option<Scope> {
    match text.split_once(':') {
        None if text == "read" => Some((Role::Read, None, None)),
        None if text == "write" => Some((Role::Write, None, None)),
        None if text == "node" => Some((Role::Node, None, Some(name.to_owned()))),
        Some(("node", id)) if !id.is_empty() => Some((Role::Node, None, Some(id.to_owned()))),
        Some(("write", apps)) => {
            let apps: BTreeSet<String> = apps.split(',').map(str::to_owned).collect();
            let named = apps
                .iter()
                .all(|app| !app.is_empty() && !app.contains(['/', ':']));
            named.then_some((Role::Write, Some(apps), None))
        }
        _ => None,
    }
}

fn hash_of(token: &str) -> Result<[u8; 32], String> {
    if let Some(hex) = token.strip_prefix("sha256:") {
        let digit = |at: usize| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..32).map(digit).collect();
        let whole = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        return bytes
            .filter(|_| whole)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| "should have 64 hexadecimal digits after sha256:".to_owned());
    }
    if token.len() < SHORTEST {
        return Err(format!(
            "is shorter than {SHORTEST} characters; make one with: openssl rand -hex 32"
        ));
    }
    // The characters that a header may contain.
    if token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(Sha256::digest(token.as_bytes()).into())
    } else {
        Err("should be visible ASCII characters".to_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
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
}
