//! Rows by number: VMs, tiers and operations are numbered once, so that the ordering works on
//! small integers instead of names.
//!
//! Every lookup has a result. A number comes only from the table that gave it out or from one of
//! the same length, so the blank row is never seen; it is there so that no lookup can panic.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// A row number of one kind of table.
pub(super) trait Key: Copy {
    fn of(row: usize) -> Self;
    fn row(self) -> usize;
}

macro_rules! key {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(super) struct $name(usize);

        impl $crate::translate::table::Key for $name {
            fn of(row: usize) -> Self {
                Self(row)
            }
            fn row(self) -> usize {
                self.0
            }
        }
    )*};
}
pub(super) use key;

key! {
    /// A VM of either allocation.
    VmNo
    /// A tier that has a container in either allocation.
    TierNo
    /// Something that has to be done to one container.
    OpNo
}

/// Rows by their number.
#[derive(Clone, Debug)]
pub(super) struct Table<K, T> {
    rows: Vec<T>,
    blank: T,
    key: PhantomData<K>,
}

impl<K: Key, T: Default> Table<K, T> {
    pub(super) fn new() -> Self {
        Self {
            rows: Vec::new(),
            blank: T::default(),
            key: PhantomData,
        }
    }

    /// One row for each row of `other`.
    pub(super) fn like<U: Default>(other: &Table<K, U>, row: impl FnMut(&U) -> T) -> Self {
        Self {
            rows: other.rows.iter().map(row).collect(),
            blank: T::default(),
            key: PhantomData,
        }
    }

    pub(super) fn push(&mut self, row: T) -> K {
        self.rows.push(row);
        K::of(self.rows.len() - 1)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = K> + use<K, T> {
        (0..self.rows.len()).map(K::of)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.rows
            .iter()
            .enumerate()
            .map(|(number, row)| (K::of(number), row))
    }
}

impl<K: Key, T> Index<K> for Table<K, T> {
    type Output = T;
    fn index(&self, key: K) -> &T {
        self.rows.get(key.row()).unwrap_or(&self.blank)
    }
}

impl<K: Key, T> IndexMut<K> for Table<K, T> {
    fn index_mut(&mut self, key: K) -> &mut T {
        self.rows.get_mut(key.row()).unwrap_or(&mut self.blank)
    }
}
