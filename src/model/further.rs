//! Reading the resources that are optional: disk and GPUs.

use super::reader::{Fields, Notes};
use super::units::{MOST, Size};

/// `size` with what an object says of `disk_gb` and `gpus`, and what is usual where it says nothing.
pub fn read(notes: &mut Notes, fields: &mut Fields<'_>, usual: Size, size: Size) -> Size {
    let mut amount = |name: &'static str, usual: u64| match fields.get(name) {
        None => usual,
        Some(at) => at.whole(notes, 0, MOST.into()).unwrap_or(usual),
    };
    Size {
        disk_gb: amount("disk_gb", usual.disk_gb),
        gpus: amount("gpus", usual.gpus),
        ..size
    }
}
