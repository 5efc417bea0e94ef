//! The ways to load an image, behind one trait, so that all are timed and checked alike.
//!
//! One operation is: load, resolve the three exports, run the constructors, unload. What is
//! prepared once (a file that lies ready, a slot, a table of symbols) is prepared in the
//! constructor of the method and says so there.
//!
//! | module | methods |
//! |---|---|
//! | `ours` | this project's loader, by where the code goes |
//! | `system` | `dlopen` of a ready file, and of a file written for it |
//! | `crates` | the `elf_loader` crate |
//! | `dedup` | no load: whether an image is known already |
//! | `floor` | no loader: only the copies and system calls that none can do without |

use anyhow::{Result, ensure};

use crate::fixture::source::{Answers, SEED};
use crate::fixture::{Fixture, Fixtures};
use crate::sibling::Pair;
use ours::Ours;

#[expect(unsafe_code, reason = "vouches for the functions that a crate has loaded")]
pub(crate) mod crates;
pub(crate) mod dedup;
pub(crate) mod floor;
#[expect(
    unsafe_code,
    reason = "runs constructors and registers unwind tables, as an executor does"
)]
pub(crate) mod ours;
#[expect(unsafe_code, reason = "dlopen, dlsym and dlclose")]
pub(crate) mod system;

/// A way to load an image.
pub(crate) trait Method {
    /// Key of the method in the rows.
    fn name(&self) -> &'static str;

    /// Key of the image in the rows.
    fn image(&self) -> &'static str;

    /// What the functions have to answer; `None` if nothing is loaded.
    fn expected(&self) -> Option<Answers>;

    /// Does it once, and shows the functions to `visit` while they are there.
    fn load(&mut self, visit: &mut dyn FnMut(&Exports)) -> Result<()>;
}

/// A method whose kind does not matter.
pub(crate) type AnyMethod<'f> = Box<dyn Method + 'f>;

/// The exported functions of a loaded image.
///
/// # Invariants
///
/// They are those of [`EXPORTS`](crate::fixture::source::EXPORTS) with the signatures of the
/// source, of an image that stays loaded and initialised as long as the value is there.
pub(crate) struct Exports([*const (); 3]);

impl Exports {
    /// Takes the addresses of the three functions.
    ///
    /// # Safety
    ///
    /// The invariants of the type.
    #[expect(unsafe_code, reason = "the caller promises what an address is")]
    pub(crate) const unsafe fn new(functions: [*const (); 3]) -> Self {
        Self(functions)
    }

    /// Calls all three.
    #[expect(unsafe_code, reason = "calls what was loaded")]
    pub(crate) fn answers(&self) -> Answers {
        let [bind, config, last] = self.0;
        // SAFETY: a function of this signature (invariant of the type).
        let bind: extern "C" fn(u64) -> u64 = unsafe { core::mem::transmute(bind) };
        // SAFETY: as above.
        let config: extern "C" fn() -> u64 = unsafe { core::mem::transmute(config) };
        // SAFETY: as above.
        let last: extern "C" fn(u64) -> u64 = unsafe { core::mem::transmute(last) };
        Answers([bind(1), config(), last(SEED)])
    }
}

/// Loads a few times and compares what the functions answer.
///
/// # Errors
///
/// A load fails, or an answer is not the expected one.
pub(crate) fn verify(method: &mut dyn Method, loads: u32) -> Result<()> {
    let Some(expected) = method.expected() else { return Ok(()) };
    for load in 0..loads {
        let mut seen = None;
        method.load(&mut |exports| seen = Some(exports.answers()))?;
        ensure!(
            seen == Some(expected),
            "wrong result: `{}` of `{}` answers {seen:x?} after load {load}, and has to answer \
             {expected:x?}",
            method.name(),
            method.image(),
        );
    }
    Ok(())
}

/// All methods for the small images, in the order of the table.
///
/// # Errors
///
/// One of them cannot be prepared.
pub(crate) fn small(fixtures: &Fixtures) -> Result<Vec<AnyMethod<'_>>> {
    let small = &fixtures.small;
    let mut methods: Vec<AnyMethod<'_>> = vec![
        Box::new(system::Ready::new(small)?),
        Box::new(system::Staged::new(small, fixtures.folder())?),
        Box::new(crates::ElfLoader::new(small)?),
    ];
    let ours = Ours::small(small, &fixtures.small_other, fixtures.folder())?;
    methods.extend(ours.into_iter().map(any));
    if let Some(packed) = &fixtures.small_relr {
        methods.push(Box::new(system::Ready::new(packed)?));
        methods.extend(Ours::main(packed)?.into_iter().map(any));
    }
    methods.extend(floors(small)?);
    methods.push(Box::new(dedup::Dedup::new(small)));
    Ok(methods)
}

fn any(method: Ours<'_>) -> AnyMethod<'_> {
    Box::new(method)
}

/// All methods for the big image.
///
/// # Errors
///
/// One of them cannot be prepared.
pub(crate) fn big(fixtures: &Fixtures) -> Result<Vec<AnyMethod<'_>>> {
    let big = &fixtures.big;
    let mut methods: Vec<AnyMethod<'_>> = vec![
        Box::new(system::Ready::new(big)?),
        Box::new(system::Staged::new(big, fixtures.folder())?),
        Box::new(crates::ElfLoader::new(big)?),
    ];
    methods.extend(Ours::big(big, fixtures.folder())?.into_iter().map(any));
    methods.extend(floors(big)?);
    Ok(methods)
}

/// Methods that are timed beside a busy thread too.
///
/// # Errors
///
/// One of them cannot be prepared.
pub(crate) fn siblings(fixtures: &Fixtures) -> Result<Vec<Pair<'_>>> {
    let small = &fixtures.small;
    Ok(vec![
        Pair {
            method: Box::new(system::Ready::new(small)?),
            alone: "glibc_alone",
            with_sibling: "glibc_with_sibling",
        },
        Pair {
            method: any(Ours::same(small)?),
            alone: "ours_warm_same_alone",
            with_sibling: "ours_warm_same_with_sibling",
        },
    ])
}

/// The floors under one image.
fn floors(fixture: &Fixture) -> Result<Vec<AnyMethod<'_>>> {
    use floor::{Fresh, FromFile, Population, Warm};
    Ok(vec![
        Box::new(Fresh::new(fixture, Population::AtFirstUse)),
        Box::new(Fresh::new(fixture, Population::AtOnce)),
        Box::new(FromFile::new(fixture)?),
        Box::new(Warm::new(fixture, floor::Sealing::EachTime)?),
        Box::new(Warm::new(fixture, floor::Sealing::Never)?),
    ])
}
