//! An image that is wanted on a machine.

use crate::model::topology::Login;

/// An image that is wanted on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub image: String,
    /// The user name for its registry; None for what Docker's own configuration says, or for no
    /// login.
    pub login: Option<Login>,
    /// Whether the registry is asked for it although it is there.
    pub renew: bool,
    /// The digest that it must have, whatever the registry has under its name.
    pub digest: Option<String>,
}

/// Where progress is reported.
pub type Tell<'t> = &'t (dyn Fn(&str) + Send + Sync);

impl Wanted {
    /// Any image with that name; pulled if there is none.
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
