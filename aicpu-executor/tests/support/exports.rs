//! Lists what an image exports, found through its section headers, which the loader does not use.

use super::regions::{half, quarter, word};

/// Type of the section with the dynamic symbols.
const SHT_DYNSYM: u32 = 11;

/// Returns names and addresses of the defined symbols that others may use, in the order of the
/// table; a name that has two versions occurs twice.
pub fn exports(image: &[u8]) -> Vec<(Vec<u8>, u64)> {
    let headers = word(image, 40) as usize;
    let section = |index: usize| headers + 64 * index;
    let start = |place: usize| word(image, place + 24) as usize;
    let table = (0..quarter(image, 60))
        .map(section)
        .find(|place| half(image, place + 4) == SHT_DYNSYM)
        .expect("a section of dynamic symbols");
    let strings = start(section(half(image, table + 40) as usize));
    let symbols = start(table)..start(table) + word(image, table + 32) as usize;
    let mut all = Vec::new();
    for place in symbols.step_by(24) {
        let (info, other, section) =
            (image[place + 4], image[place + 5], quarter(image, place + 6));
        let is_global = matches!(info >> 4, 1 | 2 | 10);
        // Neither hidden nor internal, nor a number (such as the name of a version).
        if !is_global || other & 3 == 1 || other & 3 == 2 || section == 0 || section >= 0xff00 {
            continue;
        }
        let name = &image[strings + half(image, place) as usize..];
        let name: Vec<u8> = name.iter().copied().take_while(|byte| *byte != 0).collect();
        all.push((name, word(image, place + 8)));
    }
    all
}
