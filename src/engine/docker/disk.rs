//! Disk in Docker's terms. Pure.
//!
//! Docker limits what a container may write to its root only with some storage drivers: btrfs, zfs, and overlay2 on XFS
//! with project quotas. With others it refuses, in its own words, and the disk is only counted.

use std::collections::HashMap;

/// The limit as Docker is told; None where there is none.
pub fn limit(disk_gb: u64) -> Option<HashMap<String, String>> {
    (disk_gb > 0).then(|| HashMap::from([("size".to_owned(), format!("{disk_gb}G"))]))
}

/// Whether an engine has refused for want of a storage driver that limits disks.
pub fn is_refused(said: &str) -> bool {
    said.contains("storage-opt") || said.contains("storage opt") || said.contains("StorageOpt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_asked_for_where_there_is_one() {
        assert_eq!(limit(0), None);
        assert_eq!(limit(20), Some([("size".to_owned(), "20G".to_owned())].into()));
    }

    #[test]
    fn an_engine_that_can_not_limit_disks_is_known_by_its_words() {
        assert!(is_refused(
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"
        ));
        assert!(!is_refused("No such image: web:1"));
    }
}
