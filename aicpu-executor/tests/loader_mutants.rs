//! Truncates valid images at every length, and breaks them at random by the thousand.
//!
//! The oracle is more than "no panic": what is accepted is committed into memory that checks every
//! write, and must come out sealed, with its read-only segments equal to the file.
//!
//! `LOADER_MUTANTS` sets the number of mutants (20,000), `LOADER_SEED` the first seed (1); a
//! failure prints the seed of its mutant.

#[path = "support/support.rs"]
mod support;

use std::env;

use aicpu_executor::loader::{
    Import, LoadError, LoadedImage, Machine, Plan, PlanError, PlanLimits, Protection,
    SymbolResolver, commit, plan,
};
use support::checked_memory::CheckedMemory;
use support::compiler::shared_object;
use support::image_builder::TestImage;
use support::mutator::Specimen;

const PROGRAM: &str = r#"
    struct Base { virtual ~Base() {} virtual long work(long) = 0; };
    struct One : Base { long work(long v) override { return v + 1; } };
    struct Two : Base { long work(long v) override { return v + 2; } };
    extern "C" void outside(long *);
    static const char *names[] = {"one", "two", "three"};
    long numbers[] = {1, 2, 3};
    long *pointers[] = {&numbers[2], &numbers[1], numbers};
    static One one; static Two two;
    extern "C" long entry(long which) {
        outside(pointers[which]);
        Base *base = which ? static_cast<Base *>(&one) : &two;
        return base->work(names[which][0]);
    }
"#;

/// Offers every name but those that begin with `_ITM`.
struct Everything;

impl SymbolResolver for Everything {
    fn resolve(&self, import: &Import<'_>) -> Option<u64> {
        let offered = !import.name.starts_with(b"_ITM");
        offered.then_some(0x4000_0000_0000 + import.name.len() as u64)
    }
}

fn specimens() -> Vec<(Machine, Specimen)> {
    let native = Machine::native();
    let packed = ["-Wl,-z,pack-relative-relocs", "-Wl,--hash-style=gnu", "-s"];
    vec![
        (Machine::X86_64, Specimen::new("hand-made", TestImage::new(Machine::X86_64).bytes)),
        (Machine::Aarch64, Specimen::new("hand-made", TestImage::new(Machine::Aarch64).bytes)),
        (native, Specimen::new("sysv", shared_object(PROGRAM, &["-Wl,--hash-style=sysv", "-s"]))),
        (native, Specimen::new("packed", shared_object(PROGRAM, &packed))),
    ]
}

/// Asks a plan everything it can be asked.
fn interrogate(plan: &Plan<'_>) {
    for name in ["entry", "config", "table", "", "outside", "_ZTI3One", "nothing of the kind"] {
        let export = plan.export(name.as_bytes());
        if let Ok(function) = plan.exported_function(name.as_bytes()) {
            assert_eq!(export, Some(function));
            assert!(plan.segments().iter().any(|segment| {
                segment.protection.contains(Protection::EXECUTE)
                    && function.vaddr >= segment.vaddr
                    && function.vaddr + function.size <= segment.end()
            }));
        }
    }
    assert!(plan.imports().all(|import| import.name.len() <= 4096));
    assert!(plan.needed().all(|name| !name.contains(&b'/')));
    assert!(plan.build_id().is_none_or(|id| (1..=64).contains(&id.len())));
    assert!(plan.span() <= 16 << 20 && plan.span().is_multiple_of(4096));
    let _ = (plan.soname(), plan.eh_frame(), plan.machine(), plan.relocations());
}

/// Checks a sealed image against its plan and file.
fn inspect(bytes: &[u8], plan: &Plan<'_>, image: &LoadedImage, memory: &CheckedMemory) {
    let start = plan.segments()[0].vaddr & !(plan.align() as u64 - 1);
    for segment in plan.segments() {
        let place = (segment.vaddr - start) as usize;
        let rights = memory.pages[place / 4096];
        let is_writable = segment.protection.contains(Protection::WRITE);
        assert!(is_writable || rights == segment.protection);
        assert!(!rights.contains(Protection::WRITE | Protection::EXECUTE));
        if !is_writable {
            let (file, size) = (segment.offset as usize, segment.file_bytes as usize);
            assert_eq!(memory.bytes[place..place + size], bytes[file..file + size]);
            let padding = &memory.bytes[place + size..(place + size).next_multiple_of(4096)];
            assert!(padding.iter().all(|byte| *byte == 0));
        }
    }
    for address in image.init_functions().chain(image.fini_functions()) {
        let page = (address - image.base()) as usize / 4096;
        assert!(memory.pages[page].contains(Protection::EXECUTE), "{address:#x}");
    }
}

/// Prints which mutant a panic came from.
struct Label<'a>(&'a str, u64);

impl Drop for Label<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("specimen {}, seed {}", self.0, self.1);
        }
    }
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn no_mutant_panics_or_writes_outside_its_image() {
    let specimens = specimens();
    let (mut refused, mut failed, mut loaded) = (0, 0, 0);
    let first = number("LOADER_SEED", 1);
    let total = number("LOADER_MUTANTS", 20_000);
    for seed in first..first + total {
        let (machine, specimen) = &specimens[(seed % 4) as usize];
        let _label = Label(specimen.name, seed);
        let bytes = specimen.mutant(seed);
        let Ok(plan) = plan(&bytes, *machine, &PlanLimits::default()) else {
            refused += 1;
            continue;
        };
        interrogate(&plan);
        let mut memory = CheckedMemory::new();
        match commit(&plan, &mut memory, &Everything) {
            Ok(image) => {
                loaded += 1;
                inspect(&bytes, &plan, &image, &memory);
            }
            Err(LoadError::FunctionOutsideText { .. } | LoadError::Unresolved(_)) => {
                failed += 1;
                assert!(!memory.is_reserved);
            }
            Err(other) => panic!("{other}"),
        }
        assert_eq!(memory.violations, [""; 0]);
    }
    println!("{refused} refused, {failed} failed to load, {loaded} loaded");
    // Mutants that are all refused, or all accepted, would test little.
    assert!(refused > total / 4 && loaded > total / 10 && failed > 0);
}

#[test]
fn every_truncation_is_refused() {
    for (machine, specimen) in specimens() {
        let bytes = &specimen.bytes;
        let whole = plan(bytes, machine, &PlanLimits::default()).unwrap();
        let needed =
            whole.segments().iter().map(|each| each.offset + each.file_bytes).max().unwrap();
        for length in 0..bytes.len() {
            let found = plan(&bytes[..length], machine, &PlanLimits::default()).map(|_| ());
            if (length as u64) < needed {
                let is_expected = matches!(found, Err(PlanError::OutsideFile { file_bytes, .. }) if file_bytes == length);
                assert!(is_expected, "{} at {length}: {found:?}", specimen.name);
            } else {
                // Only section headers are cut, which the loader never reads.
                assert_eq!(found, Ok(()), "{} at {length}", specimen.name);
            }
        }
    }
}

#[test]
fn arbitrary_bytes_are_refused() {
    for (machine, specimen) in specimens() {
        for seed in 0..2_000 {
            let mut random = support::mutator::Random(seed);
            let mut bytes = specimen.bytes[..64 + random.below(448)].to_vec();
            for byte in bytes.iter_mut().skip(random.below(128)) {
                *byte = random.next() as u8;
            }
            assert!(plan(&bytes, machine, &PlanLimits::default()).is_err(), "{seed}");
        }
    }
}
