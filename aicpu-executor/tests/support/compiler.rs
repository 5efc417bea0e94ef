//! Compiles small shared objects with the system's C++ compiler.

use std::env;
use std::fs;
use std::process::Command;

/// Flags of every compilation.
const FLAGS: &[&str] = &["-O1", "-std=c++17", "-w"];

/// Flags of a shared object.
const SHARED: &[&str] = &["-shared", "-fPIC"];

/// Compiles C++ `source` with `flags` added and returns the bytes of the shared object.
pub fn shared_object(source: &str, flags: &[&str]) -> Vec<u8> {
    try_shared_object(source, flags).unwrap_or_else(|text| panic!("cannot compile: {text}"))
}

/// As [`shared_object`], but returns what the compiler said if it fails.
pub fn try_shared_object(source: &str, flags: &[&str]) -> Result<Vec<u8>, String> {
    compile(source, &[SHARED, flags].concat())
}

/// Compiles C++ `source` with `flags` and returns the bytes of the program.
pub fn executable(source: &str, flags: &[&str]) -> Vec<u8> {
    compile(source, flags).unwrap_or_else(|text| panic!("cannot compile: {text}"))
}

/// Runs the compiler.
fn compile(source: &str, flags: &[&str]) -> Result<Vec<u8>, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = folder.path().join("source.cpp");
    let output = folder.path().join("image.so");
    fs::write(&input, source).expect("the source is written");
    let compiler = env::var_os("CXX").unwrap_or_else(|| "g++".into());
    let result = Command::new(&compiler)
        .args(FLAGS)
        .args(flags)
        .arg("-o")
        .args([&output, &input])
        .output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", compiler.display()));
    if !result.status.success() {
        return Err(String::from_utf8_lossy(&result.stderr).into_owned());
    }
    Ok(fs::read(&output).expect("the compiler wrote its output"))
}
