//! Opens a shared object from memory with the system's loader: nothing is written to any disk.
//!
//! The bytes go to a sealed anonymous file, which is opened through its path in `/proc`. That path
//! ends with a descriptor number, numbers are reused, and the loader takes an object that is
//! loaded under the same path for the same object. So each path is spelled in a way of its own: by the
//! number of the file's inode, which no other file has as long as the object is loaded, and which the loader
//! goes by as well. A count would be one of this copy of the code only, and a process may have several.
//!
//! A debugger opens the path as well, in a process of its own: it names this process by its number,
//! and stays valid as long as the file is open.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};

use libloading::os::unix::Library;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, memfd_create};

mod constructors;

/// Why the object cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The system refused the anonymous file.
    #[error("cannot make an anonymous file for the image")]
    File(#[source] std::io::Error),
    /// The system's loader refused the object.
    #[error("the system's loader refuses it: {}", reason_of(.0))]
    Loader(#[source] libloading::Error),
    /// One of its constructors threw.
    #[error("a C++ exception left one of its constructors: {0}")]
    Constructor(String),
}

/// What the system's loader says, with the name of a missing symbol.
pub fn reason_of(error: &libloading::Error) -> String {
    // The loader's own words are in the cause.
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Opens `image`, with all its symbols bound now and none offered to others.
///
/// `name` is what maps show. The object stays where the file is closed; a debugger that comes later
/// finds nothing then.
///
/// # Errors
///
/// [`OpenError`].
///
/// # Safety
///
/// Constructors of the object run, and later its destructors: the image must be one that the user
/// wants to run in this process, and must have passed [`image::check`](crate::device::image::check).
pub unsafe fn open(name: &str, image: &[u8]) -> Result<(Library, File), OpenError> {
    // SAFETY: the caller's promise.
    unsafe { open_owned(name, image.to_vec()) }
}

/// As [`open`], for bytes that nobody else needs.
///
/// # Errors
///
/// [`OpenError`].
///
/// # Safety
///
/// As for [`open`].
pub unsafe fn open_owned(name: &str, mut image: Vec<u8>) -> Result<(Library, File), OpenError> {
    let constructors = constructors::detach(&mut image);
    let io = |error: rustix::io::Errno| OpenError::File(error.into());
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create(name, flags).map_err(io)?);
    file.write_all(&image).map_err(OpenError::File)?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    fcntl_add_seals(file.as_fd(), seals).map_err(io)?;
    let inode = fstat(file.as_fd()).map_err(io)?.st_ino;
    let path = unique_path(file.as_raw_fd(), inode);
    // SAFETY: the caller's promise.
    let library = unsafe { Library::open(Some(path), libc::RTLD_NOW | libc::RTLD_LOCAL) }
        .map_err(OpenError::Loader)?;
    // SAFETY: the caller's promise; the loader found no constructors.
    let library = unsafe { constructors.run(library) }.map_err(OpenError::Constructor)?;
    Ok((library, file))
}

/// A spelling of `/proc/PID/fd/N` that no other inode gives, whatever its `N`.
///
/// The bits of its number become `./` and `/`, which both mean nothing to the file system.
fn unique_path(descriptor: i32, inode: u64) -> String {
    let bits = 64 - inode.leading_zeros();
    let spelled = (0..bits).map(|bit| if inode >> bit & 1 == 1 { "./" } else { "/" });
    format!("/proc/{}/fd/{}{descriptor}", std::process::id(), spelled.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::sim::test_objects::cxx_bytes;
    use std::collections::HashSet;

    /// The start of what the C library says of an object.
    #[repr(C)]
    struct LinkMap {
        load_address: usize,
        name: *const std::ffi::c_char,
    }

    fn open_returning(value: i32) -> Library {
        let source = format!("extern \"C\" int value() {{ return {value}; }}");
        // SAFETY: compiled from the line above.
        unsafe { open("value", &cxx_bytes("value", &source)) }.unwrap().0
    }

    fn value_of(library: &Library) -> i32 {
        // SAFETY: the source defines it with this signature.
        let value = unsafe { library.get::<unsafe extern "C" fn() -> i32>(b"value\0") }.unwrap();
        // SAFETY: as above.
        unsafe { value() }
    }

    #[test]
    fn objects_stay_apart_although_their_descriptors_are_reused() {
        let libraries: Vec<Library> = (0..4).map(open_returning).collect();
        let values: Vec<i32> = libraries.iter().map(value_of).collect();
        assert_eq!(values, [0, 1, 2, 3]);
    }

    #[test]
    fn constructors_and_destructors_run_once_and_in_their_order() {
        let source = "static int calls = 0;\n\
            static int step(int factor) { return calls = 10 * calls + factor; }\n\
            extern \"C\" void *room = nullptr;\n\
            struct End { ~End() { if (room) ++*static_cast<int *>(room); } } end;\n\
            static int first = step(1), second = step(2);\n\
            __attribute__((constructor(150))) static void early() { step(3); }\n\
            extern \"C\" int value() { return first + second + calls; }";
        // SAFETY: compiled from the lines above.
        let (library, _) = unsafe { open("ordered", &cxx_bytes("ordered", source)) }.unwrap();
        // 3, then 31, then 312.
        assert_eq!(value_of(&library), 31 + 312 + 312);
        let mut ended = 0_i32;
        // SAFETY: the source defines it with this type.
        let room = unsafe { library.get::<*mut *mut i32>(b"room\0") }.unwrap().into_raw();
        // SAFETY: a live variable of the object, and nobody else uses it.
        unsafe { *room.cast::<*mut i32>() = &raw mut ended };
        drop(library);
        assert_eq!(ended, 1);
    }

    #[test]
    fn a_constructor_that_throws_is_an_error_and_later_objects_open() {
        let source = "#include <stdexcept>\n\
            static int fail() { throw std::runtime_error(\"no table\"); }\n\
            int value = fail();";
        for _ in 0..3 {
            // SAFETY: compiled from the lines above.
            let refused = unsafe { open("throwing", &cxx_bytes("throwing", source)) };
            let Err(OpenError::Constructor(text)) = refused else { panic!("{refused:?}") };
            assert_eq!(text, "std::runtime_error: no table");
            let opened = std::thread::spawn(|| value_of(&open_returning(5)));
            assert_eq!(opened.join().unwrap(), 5);
        }
    }

    #[test]
    fn bytes_that_the_loader_refuses_are_an_error() {
        // SAFETY: nothing in it can run.
        let refused = unsafe { open("nothing", b"\x7fELF, but nothing else") };
        assert!(matches!(refused, Err(OpenError::Loader(_))));
    }

    #[test]
    fn another_process_reads_the_object_where_the_loader_says_that_it_is() {
        let image = cxx_bytes("seen", "extern \"C\" int value() { return 6; }");
        // SAFETY: compiled from the line above.
        let (library, file) = unsafe { open("seen", &image) }.unwrap();
        let handle = library.into_raw();
        let mut map: *const LinkMap = std::ptr::null();
        // SAFETY: a live handle, and room for the pointer that this request asks for.
        let code = unsafe { libc::dlinfo(handle, libc::RTLD_DI_LINKMAP, (&raw mut map).cast()) };
        assert_eq!(code, 0);
        // SAFETY: the loader's record of an open library.
        let name = unsafe { std::ffi::CStr::from_ptr((*map).name) };
        let read = std::process::Command::new("cat").arg(name.to_str().unwrap()).output().unwrap();
        assert_eq!(read.stdout.len(), image.len());
        drop(file);
        // SAFETY: from the line above, and used no more.
        drop(unsafe { Library::from_raw(handle) });
    }

    #[test]
    fn paths_are_spelled_apart() {
        let paths: HashSet<String> = (1..2000).map(|inode| unique_path(7, inode)).collect();
        assert_eq!(paths.len(), 1999);
        // As long as it can be, it is no longer than a path may be.
        assert!(unique_path(i32::MAX, u64::MAX).len() < 200);
        let process = std::process::id();
        assert_eq!(unique_path(3, 6), format!("/proc/{process}/fd//././3"));
    }
}
