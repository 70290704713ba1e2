//! mapek
