//! Weights of the placement's objective.

use utoipa::ToSchema;

use crate::model::reader::{At, Notes};

/// Weights of the placement's objective. The defaults are the predecessor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
#[schema(example = json!({ "vm_create": 20, "vm_use": 11 }))]
pub struct Weights {
    /// A new VM used; 20 unless given.
    #[schema(value_type = Option<u32>, maximum = 1000000, example = 20)]
    pub vm_create: u32,
    /// An existing VM used; 11 unless given.
    #[schema(value_type = Option<u32>, maximum = 1000000, example = 11)]
    pub vm_use: u32,
    /// An existing VM not used, so deleted; 2 unless given.
    #[schema(value_type = Option<u32>, maximum = 1000000, example = 2)]
    pub vm_delete: u32,
    /// A new container; 4 unless given.
    #[schema(value_type = Option<u32>, maximum = 1000000, example = 4)]
    pub container_create: u32,
    /// An existing container kept or resized; 3 unless given.
    #[schema(value_type = Option<u32>, maximum = 1000000, example = 3)]
    pub container_set: u32,
    /// An existing container of a tier in the plan, removed; 1 unless given.
    #[schema(value_type = Option<u32>, maximum = 1000000, example = 1)]
    pub container_delete: u32,
    /// The same, if the tier has `max_node` 1; 100 unless given.
    #[schema(value_type = Option<u32>, maximum = 1000000, example = 100)]
    pub container_delete_pinned: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            vm_create: 20,
            vm_use: 11,
            vm_delete: 2,
            container_create: 4,
            container_set: 3,
            container_delete: 1,
            container_delete_pinned: 100,
        }
    }
}

impl Weights {
    pub(super) fn read(notes: &mut Notes, at: Option<At<'_>>) -> Self {
        let mut weights = Self::default();
        let Some(mut fields) = at.and_then(|at| at.object(notes)) else {
            return weights;
        };
        let most = 1_000_000;
        for (name, weight) in [
            ("vm_create", &mut weights.vm_create),
            ("vm_use", &mut weights.vm_use),
            ("vm_delete", &mut weights.vm_delete),
            ("container_create", &mut weights.container_create),
            ("container_set", &mut weights.container_set),
            ("container_delete", &mut weights.container_delete),
            ("container_delete_pinned", &mut weights.container_delete_pinned),
        ] {
            if let Some(given) = fields.whole(notes, name, 0, most) {
                *weight = given;
            }
        }
        fields.finish(notes);
        weights
    }
}
