//! Fields that are a switch, or one of a few names.

use std::str::FromStr;

use strum::VariantNames;

use crate::model::reader::{Fields, Notes, alternatives};

/// True or false; false if left out.
pub(super) fn read_switch(notes: &mut Notes, fields: &mut Fields<'_>, name: &'static str) -> bool {
    fields.get(name).is_some_and(|at| {
        at.value.as_bool().unwrap_or_else(|| {
            at.wrong(notes, "true or false");
            false
        })
    })
}

/// One of a few names; the default if left out.
pub(super) fn read_choice<T: Default + FromStr + VariantNames>(
    notes: &mut Notes,
    fields: &mut Fields<'_>,
    field: &'static str,
) -> T {
    let Some(at) = fields.get(field) else {
        return T::default();
    };
    let Some(name) = at.text(notes) else {
        return T::default();
    };
    name.parse().unwrap_or_else(|_| {
        let names: Vec<String> = T::VARIANTS.iter().map(|name| format!("{name:?}")).collect();
        let problem = format!("should be {}, is {name:?}", alternatives(&names));
        notes.problem(&at.path, problem);
        T::default()
    })
}
