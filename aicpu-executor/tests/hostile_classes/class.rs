//! What a class of hostile input is, and how its cases are run.
//!
//! A case breaks the valid hand-made image in one way and says what must come of it. It counts only
//! if it did break something, and it runs on the images of both machines.

use aicpu_executor::loader::{
    ExportError, LoadError, LoadedImage, Machine, Plan, PlanError, PlanLimits, commit, plan,
};

use crate::support::Names;
use crate::support::checked_memory::CheckedMemory;
use crate::support::image_builder::TestImage;

/// Both instruction sets.
pub(crate) const MACHINES: [Machine; 2] = [Machine::X86_64, Machine::Aarch64];

/// The address that the cases' resolver gives to `imported`, the only name it offers.
pub(crate) const IMPORTED: u64 = 0x5555_0000_1000;
const SYMBOLS: Names = Names(&[("imported", IMPORTED)]);

/// A row of design loader §4.1.
pub(crate) struct HostileClass {
    /// Its number there.
    pub(crate) number: u8,
    /// What such input looks like.
    pub(crate) title: &'static str,
    /// The ways it was thought of here, accepted neighbours included.
    pub(crate) cases: &'static [Case],
}

/// One way to break the image, with its name.
pub(crate) enum Case {
    /// Planning refuses with exactly this error.
    Refused(&'static str, fn(&mut TestImage) -> PlanError),
    /// Planning accepts, committing fails with exactly this error and leaves the memory alone.
    NotLoaded(&'static str, fn(&mut TestImage) -> LoadError),
    /// The image loads, but its `entry` is not handed out as a function.
    NotCallable(&'static str, fn(&mut TestImage) -> ExportError),
    /// The image loads, and what would be harm did not happen: the second function looks.
    Harmless(&'static str, fn(&mut TestImage), fn(&Harmless<'_>)),
    /// Many images, or other limits: asserts by itself.
    Series(&'static str, fn(Machine)),
    /// A test elsewhere, because the class is not one of images: file from the root of the
    /// package, name of the test.
    Elsewhere(&'static str, &'static str),
}

/// An image that was broken and loads all the same.
pub(crate) struct Harmless<'a> {
    pub(crate) plan: &'a Plan<'a>,
    pub(crate) image: LoadedImage,
    pub(crate) memory: CheckedMemory,
}

impl HostileClass {
    /// Runs every case on both machines and returns how many ran.
    ///
    /// # Panics
    ///
    /// A case came out differently.
    pub(crate) fn check(&self) -> usize {
        let mut ran = 0;
        for machine in MACHINES {
            for case in self.cases {
                let label = format!("class {}, {}, {machine}", self.number, case.name());
                case.check(machine, &label);
                ran += 1;
            }
        }
        ran
    }
}

/// Plans with the default limits.
pub(crate) fn planned(image: &TestImage) -> Result<Plan<'_>, PlanError> {
    plan(&image.bytes, image.machine, &PlanLimits::default())
}

/// Breaks the valid image and makes sure that it is another one afterwards.
fn broken<T>(machine: Machine, label: &str, break_it: fn(&mut TestImage) -> T) -> (TestImage, T) {
    let valid = TestImage::new(machine);
    let mut image = valid.clone();
    let expected = break_it(&mut image);
    assert!(image.bytes != valid.bytes, "{label}: nothing was broken");
    (image, expected)
}

impl Case {
    fn name(&self) -> &'static str {
        match self {
            Self::Refused(name, _)
            | Self::NotLoaded(name, _)
            | Self::NotCallable(name, _)
            | Self::Harmless(name, ..)
            | Self::Series(name, _)
            | Self::Elsewhere(_, name) => name,
        }
    }

    fn check(&self, machine: Machine, label: &str) {
        match self {
            Self::Refused(_, break_it) => {
                let (image, expected) = broken(machine, label, *break_it);
                assert_eq!(planned(&image).map(|_| ()), Err(expected), "{label}");
                // A sentence of its own, not the fallback.
                assert_ne!(expected.to_string(), format!("{expected:?}"), "{label}");
            }
            Self::NotLoaded(_, break_it) => {
                let (image, expected) = broken(machine, label, *break_it);
                let plan = planned(&image).unwrap_or_else(|error| panic!("{label}: {error}"));
                let mut memory = CheckedMemory::new();
                let found = commit(&plan, &mut memory, &SYMBOLS).map(|_| ());
                assert_eq!(found, Err(expected), "{label}");
                assert!(!memory.is_reserved, "{label}");
                assert_eq!(memory.violations, [""; 0], "{label}");
            }
            Self::NotCallable(_, break_it) => {
                let (image, expected) = broken(machine, label, *break_it);
                let plan = planned(&image).unwrap_or_else(|error| panic!("{label}: {error}"));
                assert_eq!(plan.exported_function(b"entry"), Err(expected), "{label}");
            }
            Self::Harmless(_, break_it, look) => {
                let (source, ()) = broken(machine, label, *break_it);
                let plan = planned(&source).unwrap_or_else(|error| panic!("{label}: {error}"));
                let mut memory = CheckedMemory::new();
                let image = commit(&plan, &mut memory, &SYMBOLS)
                    .unwrap_or_else(|error| panic!("{label}: {error}"));
                assert_eq!(memory.violations, [""; 0], "{label}");
                look(&Harmless { plan: &plan, image, memory });
            }
            Self::Series(_, run) => run(machine),
            Self::Elsewhere(file, test) => {
                let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
                let text = std::fs::read_to_string(&path)
                    .unwrap_or_else(|error| panic!("{label}: {file}: {error}"));
                let is_there = text.contains(&format!("fn {test}("));
                assert!(is_there, "{label}: {file} has no test of that name");
            }
        }
    }
}
