//! Breaks images at random, but where it hurts: in what a loader reads.
//!
//! Deterministic: a seed names a mutant for ever, as long as the compiler makes the same image.
//! One mutant has one to five changes: of single words to boundary and neighbouring values, of
//! whole records (swapped, repeated, moved elsewhere, cleared), and of the length of the file.

use super::regions::{Region, regions, word};

/// Splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ value >> 31
    }

    /// Returns a number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Returns one of several values.
    fn pick(&mut self, values: &[u64]) -> u64 {
        values[self.below(values.len())]
    }
}

/// Tags of the dynamic section that change what is read; a mutant may get any of them.
const TAGS: [u64; 40] = [
    0,
    1,
    2,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    14,
    16,
    17,
    20,
    22,
    23,
    24,
    25,
    26,
    27,
    28,
    30,
    32,
    33,
    35,
    36,
    37,
    0x6fff_fef5,
    0x6fff_fff0,
    0x6fff_fff9,
    0x6fff_fffb,
    0x6fff_fffc,
    0x6fff_fffd,
    0x6fff_fffe,
    0x6fff_ffff,
    0x7fff_fffd,
    0x7fff_ffff,
];

/// Distances at which a word begins inside, straddles, or lies outside.
const NEARBY: [u64; 9] = [0, 1, 7, 8, 16, u64::MAX, u64::MAX - 6, u64::MAX - 7, u64::MAX - 15];

/// Returns the addresses and file positions at which the program headers begin and end something.
fn edges(bytes: &[u8]) -> Vec<u64> {
    let table = word(bytes, 32) as usize;
    let mut all = Vec::new();
    for place in (0..usize::from(bytes[56])).map(|index| table + 56 * index) {
        let [offset, vaddr, _, file, memory] =
            std::array::from_fn(|field| word(bytes, place + 8 + 8 * field));
        all.extend([offset, offset + file, vaddr, vaddr + file, vaddr + memory]);
        all.push((vaddr + memory).next_multiple_of(4096));
    }
    all
}

/// A valid image and the regions of it that a loader reads.
#[derive(Clone)]
pub struct Specimen {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    regions: Vec<Region>,
    /// Where something begins or ends, in the file or in memory.
    edges: Vec<u64>,
}

impl Specimen {
    /// Finds the regions of a valid image.
    pub fn new(name: &'static str, bytes: Vec<u8>) -> Self {
        let mut regions = regions(&bytes);
        // Twice, because most depends on them.
        let again: Vec<_> = regions
            .iter()
            .filter(|region| matches!(region.name, "program headers" | "dynamic section"))
            .cloned()
            .collect();
        regions.extend(again);
        let edges = edges(&bytes);
        Self { name, bytes, regions, edges }
    }

    /// Returns the names of the regions, sorted and each once.
    pub fn region_names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.regions.iter().map(|region| region.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Returns the same image, of which mutants change only the regions named.
    pub fn only(&self, names: &[&str]) -> Self {
        let mut part = self.clone();
        part.regions.retain(|region| names.contains(&region.name));
        part
    }

    /// Returns the mutant with a seed.
    pub fn mutant(&self, seed: u64) -> Vec<u8> {
        let mut random = Random(seed);
        let mut bytes = self.bytes.clone();
        for _ in 0..=random.below(4) {
            match random.below(9) {
                0 => self.move_records(&mut bytes, &mut random),
                1 => self.change_tag(&mut bytes, &mut random),
                2 => self.aim(&mut bytes, &mut random),
                _ => self.change_word(&mut bytes, &mut random),
            }
        }
        match random.below(40) {
            0 => bytes.truncate(random.below(self.bytes.len())),
            // Cut at a page, where a file system cuts.
            1 => bytes.truncate(random.below(self.bytes.len()) & !0xfff),
            2 => bytes.resize(self.bytes.len() + random.below(0x3000), 0),
            _ => {}
        }
        bytes
    }

    /// Changes one word of a region.
    fn change_word(&self, bytes: &mut [u8], random: &mut Random) {
        let region = &self.regions[random.below(self.regions.len())];
        let size = [1, 2, 4, 8, 8][random.below(5)];
        let slots = region.range.len() / size;
        if slots == 0 {
            return;
        }
        let place = region.range.start + size * random.below(slots);
        let mut raw = [0; 8];
        raw[..size].copy_from_slice(&bytes[place..place + size]);
        let old = u64::from_le_bytes(raw);
        let length = bytes.len() as u64;
        let new = match random.below(11) {
            0 => random.next(),
            1 => old ^ 1 << random.below(8 * size),
            2 => old.wrapping_add(random.pick(&[1, 8, 24, 4095, 4096, 4097, 1 << 16, 1 << 32])),
            3 => old.wrapping_sub(random.pick(&[1, 8, 24, 4095, 4096, 4097, 1 << 16, 1 << 32])),
            4 => random.pick(&[0, 1, 2, 3, 7, 8, 24, 63, 64]),
            5 => random.pick(&[
                u64::MAX,
                u64::MAX - 7,
                1 << 63,
                (1 << 63) - 1,
                (1 << 63) + 1,
                1 << 32,
                (1 << 32) - 1,
                (1 << 32) + 1,
                1 << 31,
            ]),
            6 => random.pick(&[
                length,
                length - 1,
                length + 1,
                length / 2,
                length.wrapping_neg(),
                0xfff,
                0x1000,
                0x1001,
                0x2000,
            ]),
            // A word from elsewhere in the region: valid, but not here.
            7 => {
                let other = region.range.start + size * random.below(slots);
                raw[..size].copy_from_slice(&bytes[other..other + size]);
                u64::from_le_bytes(raw)
            }
            // A word of another region: an address or a size of another table.
            8 => {
                let other = &self.regions[random.below(self.regions.len())].range;
                match other.len() / 8 {
                    0 => old,
                    words => word(bytes, other.start + 8 * random.below(words)),
                }
            }
            // Close to where a segment or a table begins or ends.
            9 => random.pick(&self.edges).wrapping_add(random.pick(&NEARBY)),
            _ => random.next() & 0xff,
        };
        bytes[place..place + size].copy_from_slice(&new.to_le_bytes()[..size]);
    }

    /// Repeats, swaps, moves or clears whole records.
    fn move_records(&self, bytes: &mut [u8], random: &mut Random) {
        let region = &self.regions[random.below(self.regions.len())];
        let record = if random.below(4) == 0 { 1 } else { region.record };
        let count = region.range.len() / record;
        if count < 2 {
            return;
        }
        let length = record * (1 + random.below(count.min(4)));
        let starts = region.range.len() - length + 1;
        let mut start = || region.range.start + random.below(starts) / record * record;
        let (from, to) = (start(), start());
        let piece = bytes[from..from + length].to_vec();
        match random.below(5) {
            0 => bytes[to..to + length].fill(0),
            1 => bytes[to..to + length].fill(0xff),
            2 => bytes.copy_within(from..from + length, to),
            3 => {
                bytes.copy_within(to..to + length, from);
                bytes[to..to + length].copy_from_slice(&piece);
            }
            // Over another region.
            _ => {
                let other = &self.regions[random.below(self.regions.len())].range;
                let length = length.min(other.len());
                let to = other.start + random.below(other.len() - length + 1);
                bytes[to..to + length].copy_from_slice(&piece[..length]);
            }
        }
    }

    /// Gives an entry of the dynamic section another tag.
    fn change_tag(&self, bytes: &mut [u8], random: &mut Random) {
        let dynamic = self.regions.iter().find(|region| region.name == "dynamic section");
        let Some(region) = dynamic else { return };
        let place = region.range.start + 16 * random.below(region.range.len() / 16);
        let tag = random.pick(&TAGS);
        bytes[place..place + 8].copy_from_slice(&tag.to_le_bytes());
    }

    /// Lets a record of addresses, mostly of a relocation, aim close to where something ends.
    fn aim(&self, bytes: &mut [u8], random: &mut Random) {
        let names = ["relocations", "function slots", "packed relocations", "initialisers"];
        let name = names[random.below(names.len())];
        let Some(region) = self.regions.iter().find(|region| region.name == name) else { return };
        let record = random.below(region.range.len() / region.record);
        let place = region.range.start + region.record * record;
        let target = random.pick(&self.edges).wrapping_add(random.pick(&NEARBY));
        bytes[place..place + 8].copy_from_slice(&target.to_le_bytes());
    }
}
