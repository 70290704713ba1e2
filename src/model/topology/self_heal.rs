//! When the service repairs drift by itself.

use crate::model::reader::{At, Notes};

/// When drift is repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(as = SelfHealTimes, example = json!({ "grace_s": 10, "lost_after_s": 300, "backoff_max_s": 600, "max_lost_share": 0.5 }))]
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
    /// The largest share of all nodes that is taken to be lost when it does not answer. Where more are silent at
    /// once, `mapek` itself is taken to be cut off, and nothing is done about them; 0.5 unless given.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1, example = 0.5)]
    pub max_lost_share: Share,
}

/// A part of a whole, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(pub u16);

impl Share {
    /// Whether `part` of `whole` is more than this.
    #[must_use]
    pub fn is_exceeded_by(self, part: usize, whole: usize) -> bool {
        part.saturating_mul(1000) > whole.saturating_mul(usize::from(self.0))
    }

    fn read(notes: &mut Notes, at: &At<'_>) -> Option<Self> {
        let share = at.value.as_f64().filter(|share| (0.0..=1.0).contains(share));
        let Some(share) = share else {
            notes.problem(
                &at.path,
                format!("should be a number from 0 to 1, is {}", at.value),
            );
            return None;
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Some(Self((share * 1000.0).round() as u16))
    }
}

impl Default for SelfHeal {
    fn default() -> Self {
        Self {
            grace_s: 10,
            lost_after_s: 300,
            backoff_max_s: 600,
            max_lost_share: Share(500),
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
        if let Some(at) = fields.get("max_lost_share")
            && let Some(share) = Share::read(notes, &at)
        {
            heal.max_lost_share = share;
        }
        fields.finish(notes);
        Some(heal)
    }
}
