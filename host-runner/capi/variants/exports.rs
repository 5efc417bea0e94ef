//! How every variant of the library is linked.

fn main() {
    println!("cargo::rerun-if-changed=../exports.rs");
    // Only what this crate itself exports, and no name of a crate below it: two variants and other
    // libraries of ours may be in one process.
    println!("cargo::rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL");
    // Closing the library leaves it in memory: a lost device has threads in it that never end.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
