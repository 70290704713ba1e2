//! The shapes of requests and answers, for `openapi.json`. They describe; what is read and written
//! is the business of `model`, `execute` and `service`. That they agree is tested: by requests
//! made up from them, and by answers held against them.

#![expect(dead_code, reason = "only their shapes are of interest")]

mod allocation;
mod execution;
mod placement;
mod topology;

pub use allocation::*;
pub use execution::*;
pub use placement::*;
pub use topology::*;
