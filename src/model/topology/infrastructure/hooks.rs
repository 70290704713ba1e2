//! Where hooks come from.

use utoipa::ToSchema;

use crate::model::reader::{Fields, Notes, join};
use crate::model::topology::variable::{Reference, Variable};
use crate::model::topology::written::TextOrReference;

/// Where hooks come from, as written in the topology.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
pub struct HooksSource {
    /// URL or path of a git repository, or a plain folder, with `scale_hooks/` and `tier_hooks/`;
    /// or a reference to the URL.
    #[schema(rename = "hooks_git_repo", value_type = Option<TextOrReference>, example = "https://git.example/hooks.git")]
    pub repo: Variable,
    /// Branch, tag or commit; the repository's HEAD unless given.
    #[schema(rename = "hooks_ref", pattern = r"\S", example = "main")]
    pub reference: Option<String>,
    /// Who must have signed the commit: lines `NAME ssh-ed25519 AAAA…` as in OpenSSH's
    /// `allowed_signers`, or a reference to them.
    #[schema(
        rename = "hooks_signers",
        value_type = Option<TextOrReference>,
        example = "ops@shop.test ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLE"
    )]
    pub signers: Option<Variable>,
}

/// Where hooks come from: a folder or git repository with `scale_hooks/` and `tier_hooks/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks {
    /// URL or path.
    pub repo: String,
    /// Branch, tag or commit; the repository's HEAD if None.
    pub reference: Option<String>,
    /// Who must have signed the commit, in the format of `allowed_signers`.
    pub signers: Option<String>,
}

pub(super) fn read_hooks(notes: &mut Notes, fields: &mut Fields<'_>) -> Option<HooksSource> {
    let repo = fields.get("hooks_git_repo").map(|at| {
        if at.value.is_object() {
            Reference::read(notes, at).map(Variable::Reference)
        } else {
            at.text(notes).map(Variable::from)
        }
    });
    let reference = fields.text(notes, "hooks_ref");
    let signers = read_signers(notes, fields);
    let Some(repo) = repo else {
        for (field, there) in [
            ("hooks_ref", reference.is_some()),
            ("hooks_signers", signers.is_some()),
        ] {
            if there {
                notes.problem(&join(&fields.path, field), "needs hooks_git_repo");
            }
        }
        return None;
    };
    Some(HooksSource {
        repo: repo?,
        reference,
        signers,
    })
}

fn read_signers(notes: &mut Notes, fields: &mut Fields<'_>) -> Option<Variable> {
    let at = fields.get("hooks_signers")?;
    if at.value.is_object() {
        return Reference::read(notes, at).map(Variable::Reference);
    }
    let text = at.text(notes)?;
    let line = |line: &str| !line.trim_start().starts_with('#') && line.split_whitespace().count() >= 3;
    if !text.lines().any(line) {
        let problem =
            "has no line such as \"ops@shop.test ssh-ed25519 AAAA…\", as OpenSSH's allowed_signers have";
        notes.problem(&at.path, problem);
    }
    Some(Variable::from(text))
}
