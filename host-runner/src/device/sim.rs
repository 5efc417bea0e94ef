//! sim placeholder
pub mod guarded_call;
#[cfg(test)]
mod test_objects;
