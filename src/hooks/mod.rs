//! Hooks: fetched from git or a folder, delivered into containers, run there.
