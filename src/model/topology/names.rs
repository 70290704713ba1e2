//! Names that become container names and file names.
