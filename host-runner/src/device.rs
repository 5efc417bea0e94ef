//! device placeholder
pub mod sim;
