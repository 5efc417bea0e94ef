//! The valid images that mutants are made of: hand-made ones, and what the compiler makes.

use std::sync::LazyLock;

use aicpu_executor::loader::Machine;

use super::compiler::shared_object;
use super::image_builder::{TEXT, TestImage};
use super::mutator::Specimen;
use super::regions::word;
use super::section_table;
use super::versioned_image::VersionedImage;

/// Virtual functions, pointers of every kind, imports with versions, objects with destructors.
const PROGRAM: &str = r#"
    #include <cstdlib>
    #include <stdexcept>
    struct Base { virtual ~Base() {} virtual long work(long) = 0; };
    struct One : Base { long work(long v) override { return v + 1; } };
    struct Two : Base { long work(long v) override { return v + 2; } };
    extern "C" void outside(long *);
    static const char *names[] = {"one", "two", "three"};
    long numbers[] = {1, 2, 3};
    long *pointers[] = {&numbers[2], &numbers[1], numbers};
    static One one; static Two two;
    extern "C" long entry(long which) {
        if (which > 2) throw std::runtime_error(names[1]);
        outside(pointers[which]);
        Base *base = which ? static_cast<Base *>(&one) : &two;
        return base->work(names[which][0]) + labs(which);
    }
    extern "C" long config() { return 1; }
"#;

/// Gives the functions and the pointers versions.
const VERSIONS: &str = "FIRST { global: entry; numbers; local: names; };
    SECOND { global: config; pointers; } FIRST;";

/// Returns the specimens with the machine each is for; compiled once in a program.
pub fn specimens() -> &'static [(Machine, Specimen)] {
    static ALL: LazyLock<Vec<(Machine, Specimen)>> = LazyLock::new(made);
    &ALL
}

/// Makes the specimens.
fn made() -> Vec<(Machine, Specimen)> {
    let mut all = Vec::new();
    for machine in [Machine::X86_64, Machine::Aarch64] {
        let mut plain = TestImage::new(machine).bytes;
        section_table::append(&mut plain, &[("hidden", 0x02, 2, TEXT + 0x40, 0x10)]);
        all.push((machine, Specimen::new("hand-made", plain)));
        let versioned = VersionedImage::new(machine).image.bytes;
        all.push((machine, Specimen::new("hand-made, versions", versioned)));
    }
    all.extend(native().into_iter().map(|specimen| (Machine::native(), specimen)));
    if Machine::native() == Machine::X86_64 {
        let plain = shared_object(PROGRAM, &["-Wl,--hash-style=both"]);
        let translated = Specimen::new("translated", for_aarch64(plain));
        all.push((Machine::Aarch64, translated));
    }
    all
}

/// Returns the specimens that this machine could run.
pub fn native() -> Vec<Specimen> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = folder.path().join("versions.map");
    std::fs::write(&script, VERSIONS).expect("the script is written");
    let script = format!("-Wl,--version-script={}", script.display());
    // Either brings a note of properties.
    let property = match Machine::native() {
        Machine::X86_64 => "-Wl,-z,ibt",
        Machine::Aarch64 => "-Wl,-z,force-bti",
    };
    let packed =
        ["-Wl,-z,pack-relative-relocs", "-Wl,--hash-style=gnu", "-Wl,-z,now", property, "-s"];
    [
        ("sysv", &["-Wl,--hash-style=sysv", "-s"][..]),
        ("packed", &packed),
        ("versions", &[&script, "-Wl,--hash-style=both", "-Wl,-z,noseparate-code"]),
    ]
    .map(|(name, flags)| Specimen::new(name, shared_object(PROGRAM, flags)))
    .into()
}

/// Turns an image for x86-64 into one that only claims to be for AArch64: the tables of the format
/// are the same but for two numbers. Its code is not to be run.
fn for_aarch64(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[18] = 183;
    let tables: Vec<_> = super::regions::regions(&bytes)
        .into_iter()
        .filter(|region| matches!(region.name, "relocations" | "function slots"))
        .collect();
    for place in tables.iter().flat_map(|region| region.range.clone().step_by(24)) {
        let number = match word(&bytes, place + 8) as u32 {
            1 => 257,
            6 => 1025,
            7 => 1026,
            8 => 1027,
            other => other,
        };
        bytes[place + 8..place + 12].copy_from_slice(&number.to_le_bytes());
    }
    bytes
}
