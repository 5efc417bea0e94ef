//! Reading and atomic writing of files, with their paths in the errors.
//!
//! Several processes may share the cache; a reader must see the old file, the new one or none,
//! never a part.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::error::CompileError;

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, CompileError> {
    fs::read(path).map_err(|source| CompileError::Read { path: path.to_owned(), source })
}

/// Writes `bytes` beside `path` and renames them into place, creating the folders on the way.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), CompileError> {
    let refused = |source| CompileError::Write { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(refused)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(refused)?;
    file.write_all(bytes).map_err(refused)?;
    file.persist(path).map_err(|error| refused(error.error))?;
    Ok(())
}
