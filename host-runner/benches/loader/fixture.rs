//! The images that are loaded: generated, compiled with the system's compiler, and counted.
//!
//! | image | what |
//! |---|---|
//! | `small` | 30 KB, 250 relative and 40 symbolic relocations, as an orchestration has |
//! | `small_relr` | the same source, relative relocations packed |
//! | `small_other` | the same with more code, so that its pages have other rights |
//! | `big` | 10 MB, 42,000 relative and 8,000 symbolic relocations |
//!
//! A compiler that makes something else of a source would make the figures of two machines
//! incomparable in silence, so the counts are read from the file, with another reader than the
//! loaders under test, and compared.

use std::ffi::OsString;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

pub(crate) mod facts;
pub(crate) mod source;

use facts::Facts;
use source::{Answers, Source};

/// Where memory is a file system, on Linux.
const MEMORY_FILES: &str = "/dev/shm";

/// An image, in memory and as a file.
pub(crate) struct Fixture {
    /// Key of the image in the rows.
    pub(crate) image: &'static str,
    /// The bytes of the file.
    pub(crate) bytes: Vec<u8>,
    /// The file, on [`Fixtures::folder`].
    pub(crate) path: PathBuf,
    /// What was counted in it.
    pub(crate) facts: Facts,
    /// What its functions answer.
    pub(crate) answers: Answers,
}

/// All images; their files go away with it.
pub(crate) struct Fixtures {
    folder: TempDir,
    /// Whether the folder is memory, as the rows about files assume.
    pub(crate) in_memory: bool,
    pub(crate) small: Fixture,
    /// `None` if the linker cannot pack relocations.
    pub(crate) small_relr: Option<Fixture>,
    pub(crate) small_other: Fixture,
    pub(crate) big: Fixture,
}

impl Fixtures {
    /// Compiles and checks all of them.
    ///
    /// # Errors
    ///
    /// The compiler cannot be run or fails, or an image is not what its recipe promises.
    pub(crate) fn build() -> Result<Self> {
        let in_memory = Path::new(MEMORY_FILES).is_dir();
        let folder =
            if in_memory { tempfile::tempdir_in(MEMORY_FILES) } else { tempfile::tempdir() };
        let folder = folder.context("cannot make a folder for the images")?;
        let at = folder.path();
        let [small, small_relr, small_other, big] = std::thread::scope(|scope| {
            // The big one takes longest.
            let big = scope.spawn(|| BIG.build(at));
            let rest = [&SMALL, &SMALL_RELR, &SMALL_OTHER].map(|recipe| recipe.build(at));
            let big = big.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let [small, small_relr, small_other] = rest;
            [small, small_relr, small_other, big]
        });
        let (small, small_other) = (small?, small_other?);
        ensure!(
            small.facts.runs != small_other.facts.runs,
            "the images `small` and `small_other` have the same layout of pages: {:?}",
            small.facts.runs
        );
        // Older linkers, and those of other machines, take the flag for an unknown one.
        let left_out = |error: &anyhow::Error| eprintln!("left out, since {error:#}");
        let small_relr = small_relr.inspect_err(left_out).ok();
        Ok(Self { in_memory, small, small_relr, small_other, big: big?, folder })
    }

    /// Folder of the files, where methods may make more.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All images.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Fixture> {
        [&self.small].into_iter().chain(&self.small_relr).chain([&self.small_other, &self.big])
    }
}

/// How an image is made, and what it has to be then.
struct Recipe {
    image: &'static str,
    source: Source,
    /// Bytes of code that nobody calls.
    padding: usize,
    flags: &'static [&'static str],
    file_bytes: RangeInclusive<usize>,
    relative: RangeInclusive<usize>,
    /// Relative relocations that are packed.
    packed: RangeInclusive<usize>,
    symbolic: RangeInclusive<usize>,
    exports: usize,
}

/// Flags of every image. Builtins would turn calls of the C library into code.
const FLAGS: &[&str] = &[
    "-x",
    "c",
    "-std=gnu11",
    "-O1",
    "-shared",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-builtin",
    "-U_FORTIFY_SOURCE",
    "-w",
    "-Wl,-z,relro",
    "-Wl,-z,separate-code",
    "-Wl,--strip-all",
];

const SMALL: Recipe = Recipe {
    image: "small",
    source: Source::Small,
    padding: 0,
    flags: &[],
    file_bytes: 24_000..=40_000,
    relative: 240..=260,
    packed: 0..=0,
    symbolic: 37..=43,
    exports: 3,
};

const SMALL_RELR: Recipe = Recipe {
    image: "small_relr",
    flags: &["-Wl,-z,pack-relative-relocs"],
    file_bytes: 16_000..=36_000,
    packed: 235..=260,
    ..SMALL
};

const SMALL_OTHER: Recipe =
    Recipe { image: "small_other", padding: 4_000, file_bytes: 24_000..=44_000, ..SMALL };

const BIG: Recipe = Recipe {
    image: "big",
    source: Source::Big,
    padding: 0,
    flags: &["-Wl,-z,now"],
    file_bytes: 9_500_000..=12_000_000,
    relative: 41_990..=42_020,
    packed: 0..=0,
    symbolic: 7_995..=8_015,
    exports: 8_003,
};

impl Recipe {
    /// Compiles the image in `folder` and checks it.
    fn build(&self, folder: &Path) -> Result<Fixture> {
        let image = self.image;
        let text = match self.source {
            Source::Small => source::small(self.padding),
            Source::Big => source::big(),
        };
        let input = folder.join(format!("{image}.c"));
        let path = folder.join(format!("lib{image}.so"));
        fs::write(&input, text).with_context(|| format!("cannot write {}", input.display()))?;
        compile(&input, &path, self.flags)?;
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let facts = Facts::read(&bytes).with_context(|| format!("cannot read image `{image}`"))?;
        self.check(&facts).with_context(|| {
            format!("the compiler made something else of image `{image}`: {facts:?}")
        })?;
        Ok(Fixture { image, bytes, path, facts, answers: Answers::expected(self.source) })
    }

    /// Compares what was counted with what was asked for.
    fn check(&self, facts: &Facts) -> Result<()> {
        let counts = [
            ("bytes of the file", facts.file_bytes, &self.file_bytes),
            ("relative relocations", facts.relative, &self.relative),
            ("packed relocations", facts.packed, &self.packed),
            ("symbolic relocations", facts.symbolic, &self.symbolic),
            ("exports", facts.exports, &(self.exports..=self.exports)),
        ];
        for (what, count, allowed) in counts {
            ensure!(allowed.contains(&count), "{count} {what}; wanted are {allowed:?}");
        }
        ensure!(facts.has_relro, "it has no part that is read-only after relocation");
        let needed: Vec<&str> = facts.needed.iter().map(String::as_str).collect();
        ensure!(needed == ["libc.so.6"], "it needs {needed:?}, not only the C library");
        Ok(())
    }
}

/// Runs the compiler that the environment names, or the system's.
fn compile(input: &Path, output: &Path, flags: &[&str]) -> Result<()> {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| OsString::from("cc"));
    let result = Command::new(&compiler)
        .args(FLAGS)
        .args(flags)
        .arg("-o")
        .args([output, input])
        .output()
        .with_context(|| format!("cannot run the compiler `{}`", compiler.display()))?;
    ensure!(
        result.status.success(),
        "the compiler `{}` failed with {}: {}",
        compiler.display(),
        result.status,
        String::from_utf8_lossy(&result.stderr)
    );
    Ok(())
}
