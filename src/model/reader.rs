//! Reading JSON with its paths.
