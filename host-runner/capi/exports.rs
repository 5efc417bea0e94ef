//! How the libraries that clients open are linked.

fn main() {
    // Only what this crate itself exports, and no name of a crate below it: two variants and other
    // libraries of ours may be in one process.
    println!("cargo::rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL");
    // Closing the library leaves it in memory: a lost device has threads in it that never end.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // What is shipped keeps the names of its functions, for back-traces, and not their lines.
    if std::env::var("PROFILE").as_deref() == Ok("release") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,--strip-debug");
    }
}
