//! Commands besides the service.

mod solve;

pub use solve::solve;
