//! An image that is wanted on a machine.

use crate::model::topology::Login;

/// An image that is wanted on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub image: String,
    /// Who asks its registry for it; None for what Docker's own configuration says, or nobody.
    pub login: Option<Login>,
    /// Whether the registry is asked for it although it is there.
    pub renew: bool,
    /// What it must be, whatever the registry has under its name.
    pub digest: Option<String>,
}

/// Who is told how far something is.
pub type Tell<'t> = &'t (dyn Fn(&str) + Send + Sync);

impl Wanted {
    /// Whatever has that name; pulled where there is none.
    #[must_use]
    pub fn named(image: &str, login: Option<Login>) -> Self {
        Self {
            image: image.to_owned(),
            login,
            renew: false,
            digest: None,
        }
    }
}
