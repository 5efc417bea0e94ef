//! Breaks images at random, but where it hurts: in the words the loader reads.
//!
//! Deterministic: a seed names a mutant for ever.

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
}

/// A valid image and the ranges of the file that the loader reads.
pub struct Specimen {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    regions: Vec<std::ops::Range<usize>>,
}

fn word(bytes: &[u8], place: usize) -> u64 {
    u64::from_le_bytes(bytes[place..place + 8].try_into().expect("eight bytes"))
}

impl Specimen {
    /// Finds the regions of a valid image.
    pub fn new(name: &'static str, bytes: Vec<u8>) -> Self {
        let count = usize::from(bytes[56]);
        let table = word(&bytes, 32) as usize;
        let mut regions = vec![0..64, table..table + 56 * count];
        let programs = (0..count).map(|index| table + 56 * index);
        let kind = |place: usize| {
            u32::from_le_bytes(bytes[place..place + 4].try_into().expect("four bytes"))
        };
        let loads: Vec<_> = programs
            .clone()
            .filter(|place| kind(*place) == 1)
            .map(|place| {
                (word(&bytes, place + 8), word(&bytes, place + 16), word(&bytes, place + 32))
            })
            .collect();
        let position = |vaddr: u64| {
            loads
                .iter()
                .find(|(_, start, size)| (*start..start + size).contains(&vaddr))
                .map(|(offset, start, _)| (vaddr - start + offset) as usize)
        };
        for place in programs {
            let start = word(&bytes, place + 8) as usize;
            let end = start + word(&bytes, place + 32) as usize;
            match kind(place) {
                // Dynamic section, notes, unwind table header.
                2 | 4 | 0x6474_e550 => regions.push(start..end),
                _ => {}
            }
            if kind(place) == 2 {
                // Twice, because most depends on it.
                regions.push(start..end);
                for entry in (start..end).step_by(16) {
                    // Hash, strings, symbols, RELA, JMPREL, RELR, GNU hash, init and fini array.
                    if matches!(
                        word(&bytes, entry),
                        4 | 5 | 6 | 7 | 23 | 25 | 26 | 36 | 0x6fff_fef5
                    ) && let Some(table) = position(word(&bytes, entry + 8))
                    {
                        regions.push(table..(table + 256).min(bytes.len()));
                    }
                }
            }
        }
        Self { name, bytes, regions }
    }

    /// Returns the mutant with a seed.
    pub fn mutant(&self, seed: u64) -> Vec<u8> {
        let mut random = Random(seed);
        let mut bytes = self.bytes.clone();
        for _ in 0..=random.below(4) {
            self.mutate(&mut bytes, &mut random);
        }
        if random.below(20) == 0 {
            bytes.truncate(random.below(self.bytes.len()));
        }
        bytes
    }

    /// Changes one word.
    fn mutate(&self, bytes: &mut [u8], random: &mut Random) {
        let region = &self.regions[random.below(self.regions.len())];
        let size = [1, 2, 4, 8, 8][random.below(5)];
        let slots = region.len() / size;
        if slots == 0 {
            return;
        }
        let place = region.start + size * random.below(slots);
        let mut raw = [0; 8];
        raw[..size].copy_from_slice(&bytes[place..place + size]);
        let old = u64::from_le_bytes(raw);
        let length = bytes.len() as u64;
        let new = match random.below(9) {
            0 => random.next(),
            1 => old ^ 1 << random.below(8 * size),
            2 => old.wrapping_add([1, 8, 24, 4096][random.below(4)]),
            3 => old.wrapping_sub([1, 8, 24, 4096][random.below(4)]),
            4 => [0, 1, 2, 3, 7, 63, 64][random.below(7)],
            5 => [u64::MAX, u64::MAX - 7, 1 << 63, (1 << 63) - 1, 1 << 32][random.below(5)],
            6 => [length, length - 1, length + 1, length / 2, 0x1000, 0x2000][random.below(6)],
            // A word from elsewhere in the region: valid, but not here.
            7 => {
                let other = region.start + size * random.below(slots);
                raw[..size].copy_from_slice(&bytes[other..other + size]);
                u64::from_le_bytes(raw)
            }
            _ => random.next() & 0xff,
        };
        bytes[place..place + size].copy_from_slice(&new.to_le_bytes()[..size]);
    }
}
