//! The SDK that user code is compiled against: the built-in copy, or a folder the user names.
//!
//! `build.rs` embeds the files of `../sdk`, so that an installed program needs no checkout beside
//! it. They are written to `<cache>/sdk-<digest>/` on first use; the digest covers names and
//! bytes, so two versions of the program never share a folder. Each file is replaced atomically
//! and only if it differs, so concurrent processes agree and an edited copy is put right.

use std::fs;
use std::path::{Path, PathBuf};

use super::digest::DigestFields;
use super::error::CompileError;
use super::file::{read, write_atomically};

/// Name and bytes of every embedded file, sorted by name.
static EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/sdk_files.rs"));

/// Hexadecimal digits of the digest in the folder's name; 64 bits tell versions apart.
const FOLDER_DIGITS: usize = 16;

/// The translation unit that every orchestration is linked with.
pub(super) const SUPPORT_SOURCE: &str = "src/orchestration_support.cpp";

/// A folder that holds `include/`, `stub/` and `src/`.
#[derive(Clone, Debug)]
pub struct Sdk {
    folder: PathBuf,
}

impl Sdk {
    /// Uses a folder that the user named.
    ///
    /// # Errors
    ///
    /// [`CompileError::SdkIncomplete`] if a part is missing.
    pub fn at(folder: &Path) -> Result<Self, CompileError> {
        for missing in ["include", "stub", SUPPORT_SOURCE] {
            if !folder.join(missing).exists() {
                return Err(CompileError::SdkIncomplete { folder: folder.to_owned(), missing });
            }
        }
        let folder = fs::canonicalize(folder)
            .map_err(|source| CompileError::Read { path: folder.to_owned(), source })?;
        Ok(Self { folder })
    }

    /// Uses the built-in SDK, unpacked below `root`.
    ///
    /// # Errors
    ///
    /// [`CompileError::Write`] if a file cannot be written, [`CompileError::SdkNotEmbedded`] if
    /// the program was built without one.
    pub fn embedded(root: &Path) -> Result<Self, CompileError> {
        unpack(EMBEDDED, root)
    }

    /// The folder of the built-in SDK below `root`, whether it is unpacked or not.
    pub(super) fn embedded_folder(root: &Path) -> PathBuf {
        folder_of(EMBEDDED, root)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Writes `files` to their folder below `root`, leaving alone those that are right already.
fn unpack(files: &[(&str, &[u8])], root: &Path) -> Result<Sdk, CompileError> {
    if files.is_empty() {
        return Err(CompileError::SdkNotEmbedded);
    }
    let folder = folder_of(files, root);
    for (name, bytes) in files {
        let path = folder.join(name);
        if !read(&path).is_ok_and(|present| present == *bytes) {
            write_atomically(&path, bytes)?;
        }
    }
    Sdk::at(&folder)
}

/// Where files are unpacked below `root`.
fn folder_of(files: &[(&str, &[u8])], root: &Path) -> PathBuf {
    let mut fields = DigestFields::default();
    for (name, bytes) in files {
        fields = fields.field(name.as_bytes()).field(bytes);
    }
    let digits = fields.finish().hex();
    root.join(format!("sdk-{}", &digits[..FOLDER_DIGITS]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &[(&str, &[u8])] = &[
        ("include/tensor.h", b"// tensor"),
        ("src/orchestration_support.cpp", b"// support"),
        ("stub/pto/pto-inst.hpp", b"// stub"),
    ];

    #[test]
    fn unpacks_once_and_repairs_an_edited_file() {
        let root = tempfile::tempdir().unwrap();
        let sdk = unpack(FILES, root.path()).unwrap();
        let header = sdk.folder().join("include/tensor.h");
        let written = header.metadata().unwrap().modified().unwrap();
        fs::write(sdk.folder().join("stub/pto/pto-inst.hpp"), "edited").unwrap();

        let again = unpack(FILES, root.path()).unwrap();
        assert_eq!(again.folder(), sdk.folder());
        assert_eq!(header.metadata().unwrap().modified().unwrap(), written);
        assert_eq!(fs::read(sdk.folder().join("stub/pto/pto-inst.hpp")).unwrap(), b"// stub");
    }

    #[test]
    fn another_content_goes_to_another_folder() {
        let root = tempfile::tempdir().unwrap();
        let mut changed = FILES.to_vec();
        changed[0].1 = b"// tensor, changed";
        let one = unpack(FILES, root.path()).unwrap();
        let other = unpack(&changed, root.path()).unwrap();
        assert_ne!(one.folder(), other.folder());
    }

    #[test]
    fn a_folder_without_the_support_source_is_refused_by_name() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("include")).unwrap();
        fs::create_dir(root.path().join("stub")).unwrap();
        let error = Sdk::at(root.path()).unwrap_err();
        assert!(matches!(
            error,
            CompileError::SdkIncomplete { missing: "src/orchestration_support.cpp", .. }
        ));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let root = tempfile::tempdir().unwrap();
        let blocked = root.path().join("file");
        fs::write(&blocked, "").unwrap();
        let error = unpack(FILES, &blocked).unwrap_err();
        assert!(matches!(&error, CompileError::Write { path, .. } if path.starts_with(&blocked)));
    }

    #[test]
    fn no_embedded_files_ask_for_the_option() {
        let root = tempfile::tempdir().unwrap();
        let error = unpack(&[], root.path()).unwrap_err();
        assert!(matches!(error, CompileError::SdkNotEmbedded));
        assert!(error.to_string().contains("--sdk"));
    }
}
