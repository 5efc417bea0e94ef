//! Valid images with patches that the fuzzer chooses: the way to what lies behind the checks that
//! arbitrary bytes never pass.
//!
//! ```text
//!  0    image: even x86-64, odd AArch64; the next bit: with versions, or with a full symbol table
//!  1    patches of 12 bytes each: region, kind, u16 place in it, u64 value
//! ```
//!
//! The region is taken modulo the number of regions, the place modulo the words of the region, so
//! that every input means something.

use std::sync::LazyLock;

use aicpu_executor::loader::Machine;

use crate::support::image_builder::{TEXT, TestImage};
use crate::support::oracle::judge;
use crate::support::regions::{Region, regions};
use crate::support::section_table;
use crate::support::versioned_image::VersionedImage;

/// Bytes of one patch.
const PATCH_BYTES: usize = 12;

/// Most patches of an image: more of them only hide each other.
const PATCHES_MAX: usize = 32;

/// A valid image with its regions.
struct Base {
    machine: Machine,
    bytes: Vec<u8>,
    regions: Vec<Region>,
}

static BASES: LazyLock<[Base; 4]> = LazyLock::new(|| {
    let base = |machine, bytes: Vec<u8>| Base { machine, regions: regions(&bytes), bytes };
    let with_names = |machine| {
        let mut bytes = TestImage::new(machine).bytes;
        section_table::append(&mut bytes, &[("hidden", 0x02, 2, TEXT + 0x40, 0x10)]);
        base(machine, bytes)
    };
    let with_versions = |machine| base(machine, VersionedImage::new(machine).image.bytes);
    [
        with_versions(Machine::X86_64),
        with_versions(Machine::Aarch64),
        with_names(Machine::X86_64),
        with_names(Machine::Aarch64),
    ]
});

/// Applies the patches and loads the image into checked memory.
pub fn run(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    let base = &BASES[usize::from(first % 4)];
    let mut bytes = base.bytes.clone();
    for patch in rest.as_chunks::<PATCH_BYTES>().0.iter().take(PATCHES_MAX) {
        apply(base, &mut bytes, patch);
    }
    let _ = judge(&bytes, base.machine);
}

/// Applies one patch.
fn apply(base: &Base, bytes: &mut [u8], patch: &[u8; PATCH_BYTES]) {
    let [region, kind, place_0, place_1, value @ ..] = *patch;
    let region = &base.regions[usize::from(region) % base.regions.len()].range;
    let size = [1, 2, 4, 8][usize::from(kind % 4)];
    let Some(slots) = (region.len() / size).checked_sub(1) else { return };
    let place = usize::from(u16::from_le_bytes([place_0, place_1])) % (slots + 1) * size;
    let word = &mut bytes[region.start + place..region.start + place + size];
    let mut raw = [0; 8];
    raw[..size].copy_from_slice(word);
    let (old, value) = (u64::from_le_bytes(raw), u64::from_le_bytes(value));
    let new = match kind / 4 % 4 {
        0 => value,
        1 => old.wrapping_add(value),
        2 => old ^ value,
        _ => old ^ 1_u64.rotate_left(u32::from(kind / 16)),
    };
    word.copy_from_slice(&new.to_le_bytes()[..size]);
}
