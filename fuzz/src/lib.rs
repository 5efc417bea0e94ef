//! What the fuzz targets do with their input, and the valid inputs that they start from.
//!
//! ```text
//!  input ─▶ target ─▶ parser under test ─▶ oracle: the same checks that the tests have
//! ```
//!
//! The oracles, the images and the records are those of the tests, included here by path. A target
//! panics if a parser does, or if something that was accepted does not keep its promises.

mod kept;
pub mod patches;
mod protocol_tests;
mod seed;
#[allow(dead_code, reason = "used in full where it comes from")]
#[path = "../../host-runner/src/source_file.rs"]
pub mod source_file;
mod support;

pub use kept::image_cache;
pub use protocol_tests::{args_blob, build_id, call_config, callable_blob, graph_image};
pub use seed::seeds;

use aicpu_executor::loader::Machine;

/// Plans any bytes as an image for either machine, and commits what is accepted to checked memory.
pub fn plan(bytes: &[u8]) {
    for machine in [Machine::X86_64, Machine::Aarch64] {
        let _ = support::oracle::judge(bytes, machine);
    }
}
