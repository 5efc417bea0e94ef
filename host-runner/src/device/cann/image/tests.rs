//! What is said where a program is missing or of the wrong kind.

use super::super::fake;
use super::*;

#[test]
fn a_program_that_is_not_there_says_where_it_was_looked_for_and_how_to_build_it() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        CannConfig { aicpu_images: Some(folder.path().to_owned()), ..CannConfig::default() };
    let missing = config.aicpu_program(ChipName::A5).unwrap_err();
    let path = folder.path().join("aarch64/a5/onboard/libaicpu.so");
    let text = missing.to_string();
    assert!(text.contains(&path.display().to_string()), "{text}");
    assert!(text.contains("cargo xtask build-aicpu --target aarch64-unknown-linux-gnu"), "{text}");
    assert!(text.contains("--chip a5") && text.contains("AICPU_IMAGES"), "{text}");
    let missing = config.core_program(ChipName::A5).unwrap_err();
    assert!(missing.to_string().contains("docs/cann.md"), "{missing}");
}

#[test]
fn a_program_for_another_machine_or_without_its_entry_is_refused() {
    let (_folder, config) = fake::images("a2a3");
    assert!(config.aicpu_program(ChipName::A2a3).is_ok());
    let images = config.aicpu_images.clone().unwrap();
    let own = config.aicpu_machine;
    let other = match own {
        Machine::X86_64 => Machine::Aarch64,
        Machine::Aarch64 => Machine::X86_64,
    };
    std::fs::rename(images.join(machine_name(own)), images.join(machine_name(other))).unwrap();
    let wrong = CannConfig { aicpu_machine: other, ..config }.aicpu_program(ChipName::A2a3);
    let Err(CannError::BadImage { reason, .. }) = wrong else { panic!("{wrong:?}") };
    assert!(reason.contains("another machine"), "{reason}");
}
