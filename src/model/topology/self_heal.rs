//! When the service repairs drift by itself.

use crate::model::reader::{At, Notes};

/// When drift is repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(as = SelfHealTimes, example = json!({ "grace_s": 10, "lost_after_s": 300, "backoff_max_s": 600 }))]
pub struct SelfHeal {
    /// Seconds that a difference must last before anything is done about it; 10 unless given.
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 604800, example = 10)]
    pub grace_s: u32,
    /// Seconds after which an engine that does not answer counts as lost; 300 unless given.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 604800, example = 300)]
    pub lost_after_s: u32,
    /// The longest pause between two attempts, in seconds; 600 unless given.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 604800, example = 600)]
    pub backoff_max_s: u32,
}

impl Default for SelfHeal {
    fn default() -> Self {
        Self {
            grace_s: 10,
            lost_after_s: 300,
            backoff_max_s: 600,
        }
    }
}

/// The longest that any of them may be: a week.
const MOST: u32 = 604_800;

impl SelfHeal {
    /// None if it is left out or false.
    pub(super) fn read(notes: &mut Notes, at: Option<At<'_>>) -> Option<Self> {
        let at = at?;
        if let Some(wanted) = at.value.as_bool() {
            return wanted.then(Self::default);
        }
        if !at.value.is_object() {
            at.wrong(notes, "true, false or an object");
            return None;
        }
        let mut fields = at.object(notes)?;
        let mut heal = Self::default();
        for (name, least, value) in [
            ("grace_s", 0, &mut heal.grace_s),
            ("lost_after_s", 1, &mut heal.lost_after_s),
            ("backoff_max_s", 1, &mut heal.backoff_max_s),
        ] {
            if let Some(given) = fields.whole(notes, name, least, MOST) {
                *value = given;
            }
        }
        fields.finish(notes);
        Some(heal)
    }
}
