//! Compiles small C++ sources into shared objects for the tests of the simulator.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use libloading::os::unix::Library;

/// A shared object made for a test; its files go away with it.
pub(crate) struct Object {
    library: Option<Library>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Object {
    /// A symbol of the opened object.
    ///
    /// # Safety
    ///
    /// The symbol has the type `T`.
    pub(crate) unsafe fn symbol<T: Copy>(&self, name: &str) -> T {
        let library = self.library.as_ref().expect("opened by `cxx`");
        // SAFETY: the caller's promise.
        *unsafe { library.get::<T>(name.as_bytes()) }.expect("the source defines it")
    }

    /// Calls the exported `extern "C" long name(long)` of a test's own source.
    pub(crate) fn call(&self, name: &str, argument: i64) -> i64 {
        // SAFETY: the test's source declares it so.
        let function = unsafe { self.symbol::<unsafe extern "C" fn(i64) -> i64>(name) };
        // SAFETY: as above; the library is open.
        unsafe { function(argument) }
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).expect("the compiler wrote it")
    }
}

/// Compiles `source` to a shared object and returns its bytes; each source once per process.
pub(crate) fn cxx_bytes(name: &str, source: &str) -> Vec<u8> {
    static COMPILED: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let known = |compiled: &BTreeMap<String, Vec<u8>>| compiled.get(source).cloned();
    let lock = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bytes) = known(&lock()) {
        return bytes;
    }
    // Compiled without the lock, so that tests compile at the same time; the first one is kept.
    let bytes = compile(name, source, &[]).bytes();
    lock().entry(source.to_owned()).or_insert(bytes).clone()
}

/// Compiles `source` to a shared object with `flags` and returns its bytes.
pub(crate) fn cxx_bytes_with(name: &str, source: &str, flags: &[&str]) -> Vec<u8> {
    compile(name, source, flags).bytes()
}

/// Compiles `source` to a shared object and opens it with the system's loader.
pub(crate) fn cxx(name: &str, source: &str, flags: &[&str]) -> Object {
    let mut object = compile(name, source, flags);
    // SAFETY: a test object without constructors that matter.
    let library = unsafe { Library::open(Some(&object.path), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    object.library = Some(library.expect("the system's loader takes it"));
    object
}

fn compile(name: &str, source: &str, flags: &[&str]) -> Object {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join(format!("{name}.cpp"));
    let path = folder.path().join(format!("{name}.so"));
    std::fs::write(&file, source).expect("the folder is writable");
    let output = Command::new("g++")
        .args(["-std=c++17", "-O1", "-fPIC", "-shared", "-fno-gnu-unique", "-o"])
        .arg(&path)
        .arg(&file)
        .args(flags)
        .output()
        .expect("g++ is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Object { library: None, path, _folder: folder }
}

/// A kernel record around `binary`, as a builder would lay it out (spec callable §1.7).
pub(crate) fn core_callable(binary: &[u8]) -> Vec<u8> {
    let mut blob = vec![0; 128];
    let bytes = u32::try_from(binary.len()).expect("a small test object");
    blob[68..72].copy_from_slice(&bytes.to_le_bytes());
    blob.extend_from_slice(binary);
    blob
}
