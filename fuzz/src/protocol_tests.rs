//! The parsers of `protocol`, with the promises that its tests check.
#![allow(
    dead_code,
    missing_docs,
    reason = "the included files are documented where they are tested"
)]

use protocol::CoreCallableView;

#[path = "../../protocol/tests/wire/promises.rs"]
mod promises;
#[path = "../../protocol/tests/wire/sample.rs"]
pub(crate) mod sample;

/// Reads any bytes as a callable, and as a kernel.
pub fn callable_blob(bytes: &[u8]) {
    promises::check_callable(bytes);
    if let Ok(kernel) = CoreCallableView::parse(bytes) {
        assert!(!kernel.binary.is_empty() && bytes.starts_with(kernel.blob));
        assert_eq!(kernel.signature.iter().count(), kernel.signature.len());
    }
}

/// Reads any bytes as the arguments of a run.
pub fn args_blob(bytes: &[u8]) {
    promises::check_args(bytes);
}

/// Reads any bytes as the settings of a run.
pub fn call_config(bytes: &[u8]) {
    promises::check_config(bytes);
}

/// Reads any bytes as the image of a graph.
pub fn graph_image(bytes: &[u8]) {
    promises::check_graph(bytes);
}

/// Finds the identity of any bytes.
pub fn build_id(bytes: &[u8]) {
    promises::check_image(bytes);
}
