//! The clouds against an engine that answers from memory.
