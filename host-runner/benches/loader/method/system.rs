//! What the system offers: `dlopen`, of a file that lies ready or of one that is written first.
//!
//! The second is what a program does that has the image in memory: create, write, load, unlink.

use std::ffi::{CStr, CString, c_void};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Exports, Method};
use crate::fixture::Fixture;
use crate::fixture::source::{Answers, EXPORTS};

/// `dlopen` of a file that lies ready, as often as wanted.
pub(crate) struct Ready<'f> {
    fixture: &'f Fixture,
    path: CString,
    names: [CString; 3],
}

impl<'f> Ready<'f> {
    pub(crate) fn new(fixture: &'f Fixture) -> Result<Self> {
        Ok(Self { fixture, path: c_path(&fixture.path)?, names: names()? })
    }
}

impl Method for Ready<'_> {
    fn name(&self) -> &'static str {
        "glibc"
    }

    fn image(&self) -> &'static str {
        self.fixture.image
    }

    fn expected(&self) -> Option<Answers> {
        Some(self.fixture.answers)
    }

    fn load(&mut self, visit: &mut dyn FnMut(&Exports)) -> Result<()> {
        let library = Library::open(&self.path)?;
        library.show(&self.names, visit)
    }
}

/// The image is written to a file of a name that is unused, loaded, and the name removed at once.
pub(crate) struct Staged<'f> {
    fixture: &'f Fixture,
    path: PathBuf,
    c_path: CString,
    names: [CString; 3],
}

impl<'f> Staged<'f> {
    pub(crate) fn new(fixture: &'f Fixture, folder: &Path) -> Result<Self> {
        let path = folder.join(format!("staged-{}.so", fixture.image));
        Ok(Self { fixture, c_path: c_path(&path)?, path, names: names()? })
    }
}

impl Method for Staged<'_> {
    fn name(&self) -> &'static str {
        "staged_dlopen"
    }

    fn image(&self) -> &'static str {
        self.fixture.image
    }

    fn expected(&self) -> Option<Answers> {
        Some(self.fixture.answers)
    }

    fn load(&mut self, visit: &mut dyn FnMut(&Exports)) -> Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&self.path)?;
        file.write_all(&self.fixture.bytes)?;
        drop(file);
        let library = Library::open(&self.c_path);
        fs::remove_file(&self.path)?;
        library?.show(&self.names, visit)
    }
}

/// An open library; dropping it closes it.
struct Library(*mut c_void);

impl Library {
    fn open(path: &CStr) -> Result<Self> {
        // SAFETY: the path ends with NUL; the constructors are those of a fixture.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            bail!("dlopen of {}: {}", path.to_string_lossy(), last_error());
        }
        Ok(Self(handle))
    }

    /// Resolves the exports and shows them.
    fn show(&self, names: &[CString; 3], visit: &mut dyn FnMut(&Exports)) -> Result<()> {
        let mut functions = [core::ptr::null(); 3];
        for (function, name) in functions.iter_mut().zip(names) {
            // SAFETY: the library is open, and the name ends with NUL.
            let address = unsafe { libc::dlsym(self.0, name.as_ptr()) };
            if address.is_null() {
                bail!("dlsym of {}: {}", name.to_string_lossy(), last_error());
            }
            *function = address.cast_const().cast();
        }
        // SAFETY: the exports of a fixture, open as long as `self`.
        visit(&unsafe { Exports::new(functions) });
        Ok(())
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once; nobody uses its functions any more.
        let status = unsafe { libc::dlclose(self.0) };
        assert_eq!(status, 0, "dlclose: {}", last_error());
    }
}

/// What the system's loader says about its last failure.
fn last_error() -> String {
    // SAFETY: the text is valid until the next call from this thread.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return String::from("no reason given");
    }
    // SAFETY: as above, and it ends with NUL.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn c_path(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes()).context("the path of an image has a NUL")
}

fn names() -> Result<[CString; 3]> {
    let [a, b, c] = EXPORTS;
    Ok([CString::new(a)?, CString::new(b)?, CString::new(c)?])
}
