//! One run of the compiler: from the cache if nothing has changed, else for real.
//!
//! ```text
//! key ──found──────────────────────────────▶ output
//!  └──not found──▶ compiler ──▶ output + dependency file ──▶ cache
//! ```
//!
//! The compiler works in a temporary folder that is gone afterwards, on failure too.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::SystemTime;

use super::cache::Cache;
use super::compiler::Compiler;
use super::dependencies::parse_dependencies;
use super::digest::Digest;
use super::error::CompileError;
use super::file::read;
use crate::source_file::SourceFile;

/// Lines of the compiler's output that an error message repeats.
const ERROR_LINES_MAX: usize = 12;

/// What one run of the compiler is asked to do.
#[derive(Debug)]
pub(super) struct Step<'a> {
    /// The source, as an absolute path.
    pub(super) source: &'a Path,
    /// All flags but the output and dependency files.
    pub(super) flags: Vec<OsString>,
    /// An object that is linked in: its bytes, and the source it came from.
    pub(super) support: Option<(&'a [u8], PathBuf)>,
}

/// What a step made.
#[derive(Debug)]
pub(super) struct StepOutput {
    /// The bytes of the object or shared object.
    pub(super) bytes: Vec<u8>,
    /// Whether they came from the cache.
    pub(super) is_cached: bool,
    /// The source and the headers that they were made of, as they were read for the cache; `None`
    /// where the cache keeps nothing of it.
    pub(super) sources: Option<Vec<SourceFile>>,
}

impl Step<'_> {
    /// Looks the step up, else runs it below `scratch` and keeps its output.
    pub(super) fn run(
        &self,
        compiler: &Compiler,
        cache: &Cache,
        scratch: &Path,
    ) -> Result<StepOutput, CompileError> {
        let key = self.key(compiler)?;
        if let Some((bytes, sources)) = cache.lookup(&key) {
            return Ok(StepOutput { bytes, is_cached: true, sources: Some(sources) });
        }
        let cannot_write = |source| CompileError::Write { path: scratch.to_owned(), source };
        fs::create_dir_all(scratch).map_err(cannot_write)?;
        let folder = tempfile::Builder::new().prefix("compile-").tempdir_in(scratch);
        let folder = folder.map_err(cannot_write)?;
        let started = SystemTime::now();
        let (bytes, files) = self.compile(compiler, folder.path())?;
        let sources = cache.store(&key, &files, &bytes, started);
        Ok(StepOutput { bytes, is_cached: false, sources })
    }

    /// The base key: all that determines the output, but for the headers.
    fn key(&self, compiler: &Compiler) -> Result<Digest, CompileError> {
        let mut fields = Cache::base_key().field(compiler.identity().as_bytes());
        for flag in &self.flags {
            fields = fields.field(flag.as_encoded_bytes());
        }
        let support = self.support.as_ref().map_or(&[][..], |(bytes, _)| bytes);
        let path = self.source.as_os_str().as_encoded_bytes();
        Ok(fields.field(support).field(path).field(&read(self.source)?).finish())
    }

    /// Runs the compiler in `folder`; returns the output and the files it was made of.
    fn compile(
        &self,
        compiler: &Compiler,
        folder: &Path,
    ) -> Result<(Vec<u8>, Vec<PathBuf>), CompileError> {
        let output = folder.join("output");
        let dependencies = folder.join("dependencies");
        let mut command = compiler.command();
        command.args(&self.flags).args(["-MD", "-MT", "output", "-MF"]).arg(&dependencies);
        command.arg("-o").arg(&output).arg(self.source);
        if let Some((bytes, _)) = &self.support {
            let object = folder.join("support.o");
            fs::write(&object, bytes)
                .map_err(|source| CompileError::Write { path: object.clone(), source })?;
            command.arg(object);
        }
        let ended = command
            .output()
            .map_err(|source| CompileError::CompilerStart { program: compiler.name(), source })?;
        if !ended.status.success() {
            return Err(self.rejected(compiler, &ended));
        }
        if !output.is_file() {
            let command = self.command_line(compiler);
            return Err(CompileError::NoOutput { source_file: self.source.to_owned(), command });
        }
        let files = parse_dependencies(&String::from_utf8_lossy(&read(&dependencies)?));
        Ok((read(&output)?, files))
    }

    /// Makes the error of a compiler that ended badly.
    fn rejected(&self, compiler: &Compiler, ended: &Output) -> CompileError {
        let output = String::from_utf8_lossy(&ended.stderr).into_owned();
        CompileError::Rejected {
            source_file: self.source.to_owned(),
            status: ended.status.to_string(),
            first_errors: first_errors(&output),
            output,
            command: self.command_line(compiler),
        }
    }

    /// A shell command that does the same from the sources alone.
    fn command_line(&self, compiler: &Compiler) -> String {
        let sources = [Some(self.source), self.support.as_ref().map(|(_, path)| path.as_path())];
        let words = compiler.words().iter().map(OsString::as_os_str);
        let words = words.chain(self.flags.iter().map(OsString::as_os_str));
        let words = words.chain(sources.into_iter().flatten().map(Path::as_os_str));
        let words: Vec<String> = words.map(shell_word).collect();
        format!("{} -o /dev/null", words.join(" "))
    }
}

/// Quotes a word for a shell if it needs it.
fn shell_word(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+,:@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The lines from the first error on, or from the start if no line says "error".
fn first_errors(output: &str) -> String {
    let is_error = |line: &str| {
        ["error:", "undefined reference", "error "].iter().any(|word| line.contains(word))
    };
    let first = output.lines().position(is_error).unwrap_or(0);
    let lines: Vec<&str> = output.lines().skip(first).take(ERROR_LINES_MAX).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_only_words_that_need_it() {
        let check = |word: &str, expected: &str| assert_eq!(shell_word(word.as_ref()), expected);
        check("-std=c++20", "-std=c++20");
        check("my file.cpp", "'my file.cpp'");
        check("it's", r"'it'\''s'");
        check("", "''");
    }

    #[test]
    fn error_lines_begin_at_the_first_error() {
        let output = "In file a\nwarning: x\na.cpp:1:2: error: no\n    1 | x\nlast";
        assert_eq!(first_errors(output), "a.cpp:1:2: error: no\n    1 | x\nlast");
        assert_eq!(first_errors("strange\nwords"), "strange\nwords");
        let long = "error: many\n".repeat(ERROR_LINES_MAX + 3);
        assert_eq!(first_errors(&long).lines().count(), ERROR_LINES_MAX);
    }
}
