//! Names of tiers and VMs.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Wraps a name.
            #[must_use]
            pub fn new(name: &str) -> Self {
                Self(Arc::from(name))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $type {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }
    };
}

name! {
    /// The flat name of a tier, `{app}_{tier}`: also the name of its container on each VM.
    TierId
}

name! {
    /// What a container was made from, as a fingerprint: see [`super::revision`].
    RevisionId
}

name! {
    /// The name of a VM: an instance id, the name of a host, or `new_vm0`, `new_vm1`, … for VMs
    /// that are still to be made.
    VmId
}

impl TierId {
    /// The flat name of tier `tier` of app `app`.
    #[must_use]
    pub fn of(app: &str, tier: &str) -> Self {
        Self::new(&format!("{app}_{tier}"))
    }
}

impl VmId {
    /// The name of the `index`th VM that is still to be made.
    #[must_use]
    pub fn new_vm(index: usize) -> Self {
        Self::new(&format!("new_vm{index}"))
    }
}
