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

/// A token that the service knows, without the token itself: its holder, what it allows, and when it
/// expires.
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
mod tests;
