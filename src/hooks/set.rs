//! The hooks of one revision. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::topology::HookName;
use crate::model::{TierId, Topology};

/// Most bytes of one file.
pub const MOST_OF_ONE: u64 = 4 * 1024 * 1024;
/// Most bytes of all files together.
pub const MOST_OF_ALL: u64 = 16 * 1024 * 1024;
/// Most files.
pub const MOST_FILES: usize = 1000;
/// The folder in a container where hooks are unpacked. It is a volume if the root file system can't
/// be written to.
pub const ROOT: &str = crate::engine::HOOKS_FOLDER;
/// The folder in it that has both folders.
pub const BASE: &str = "hooks";

/// The two kinds of hooks, each in a folder of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Run in a container that was created or updated.
    Scale,
    /// Run in the containers of a tier when one of its dependencies has changed.
    Tier,
}

impl Kind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Scale, Self::Tier];

    /// The folder's name, in the repository and in containers.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Scale => "scale_hooks",
            Self::Tier => "tier_hooks",
        }
    }

    /// The folder inside a container: the hooks' working directory.
    #[must_use]
    pub fn place(self) -> String {
        format!("{ROOT}/{BASE}/{}", self.folder())
    }

    /// Where a hook of this kind is in a container.
    #[must_use]
    pub fn path(self, hook: &HookName) -> String {
        format!("{}/{hook}", self.place())
    }
}

/// All files of one revision's two folders: the hooks, and what they need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookSet {
    /// The commit; for a plain folder, a hash of its content.
    pub revision: String,
    /// Contents of the files in `scale_hooks`, by path within it.
    pub scale: BTreeMap<String, Vec<u8>>,
    /// Contents of the files in `tier_hooks`, by path within it.
    pub tier: BTreeMap<String, Vec<u8>>,
}

/// A hook that the topology names and the repository lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The tier that names it.
    pub tier: TierId,
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub hook: HookName,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "tier '{}' names {}/{}",
            self.tier,
            self.kind.folder(),
            self.hook
        )
    }
}

impl HookSet {
    /// A revision without files.
    #[must_use]
    pub fn new(revision: &str) -> Self {
        Self {
            revision: revision.to_owned(),
            ..Self::default()
        }
    }

    /// The files of one kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> &BTreeMap<String, Vec<u8>> {
        match kind {
            Kind::Scale => &self.scale,
            Kind::Tier => &self.tier,
        }
    }

    /// Adds a file at `path` within the kind's folder.
    ///
    /// # Errors
    ///
    /// Says what is wrong if the file, or all files together, are too large.
    pub fn add(&mut self, kind: Kind, path: &str, content: Vec<u8>) -> Result<(), String> {
        check_size(bytes(&content))?;
        let files = match kind {
            Kind::Scale => &mut self.scale,
            Kind::Tier => &mut self.tier,
        };
        files.insert(path.to_owned(), content);
        if self.files().count() > MOST_FILES {
            return Err(format!("is one file too many: there may be at most {MOST_FILES}"));
        }
        if self.files().map(|(_, _, content)| bytes(content)).sum::<u64>() > MOST_OF_ALL {
            return Err(format!("makes more than {MOST_OF_ALL} bytes of hooks together"));
        }
        Ok(())
    }

    /// Kinds, paths and contents of all files, in a fixed order.
    pub fn files(&self) -> impl Iterator<Item = (Kind, &str, &[u8])> {
        Kind::ALL.into_iter().flat_map(|kind| {
            self.of(kind)
                .iter()
                .map(move |(path, content)| (kind, path.as_str(), content.as_slice()))
        })
    }

    /// The hooks that the topology names and that are missing here.
    #[must_use]
    pub fn missing(&self, topology: &Topology) -> Vec<Missing> {
        let mut missing = Vec::new();
        for tier in topology.tiers.values() {
            let scale = tier.scale_hooks().map(|hook| (Kind::Scale, hook));
            let named = scale.chain(tier.on_dependency_scale.iter().map(|hook| (Kind::Tier, hook)));
            for (kind, hook) in named {
                if !self.of(kind).contains_key(hook.as_str()) {
                    missing.push(Missing {
                        tier: tier.id.clone(),
                        kind,
                        hook: hook.clone(),
                    });
                }
            }
        }
        missing
    }

    /// All files as a tar archive to be unpacked at a container's `/ecoware`. Everyone may read and
    /// run them, whatever their mode was, since the container's user need not be root. The same
    /// files give the same bytes.
    ///
    /// # Errors
    ///
    /// When a path does not fit into an archive.
    pub fn archive(&self) -> std::io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut above = vec![BASE.to_owned()];
        above.extend(Kind::ALL.map(|kind| format!("{BASE}/{}", kind.folder())));
        for folder in above {
            append(
                &mut archive,
                &format!("{folder}/"),
                tar::EntryType::Directory,
                &[],
            )?;
        }
        for (kind, path, content) in self.files() {
            let place = format!("{BASE}/{}/{path}", kind.folder());
            append(&mut archive, &place, tar::EntryType::Regular, content)?;
        }
        archive.into_inner()
    }
}

fn bytes(content: &[u8]) -> u64 {
    u64::try_from(content.len()).unwrap_or(u64::MAX)
}

/// Checks one file's size before it is read.
pub fn check_size(bytes: u64) -> Result<(), String> {
    if bytes > MOST_OF_ONE {
        return Err(format!(
            "has {bytes} bytes; a hook may have at most {MOST_OF_ONE}"
        ));
    }
    Ok(())
}

fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &str,
    kind: tar::EntryType,
    content: &[u8],
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_size(bytes(content));
    archive.append_data(&mut header, path, content)
}
