//! What memory must hold after a load, computed apart from the loader.
//!
//! The model reads only images that were accepted, checks nothing, and does one thing after the
//! other with plain maps and vectors; numbers are those of the ABI documents. It is what the
//! loader's memory is compared with, byte for byte.

use std::collections::HashMap;

use super::checked_memory::POISON;
use super::elf_numbers::{
    DT_JMPREL, DT_PLTRELSZ, DT_RELA, DT_RELASZ, DT_RELR, DT_RELRSZ, DT_STRTAB, DT_SYMTAB,
    DT_VERNEED, DT_VERNEEDNUM, DT_VERSYM, PT_DYNAMIC, PT_LOAD,
};

/// The little-endian number of `N` bytes at a place.
fn number<const N: usize>(bytes: &[u8], place: usize) -> u64 {
    let mut raw = [0; 8];
    raw[..N].copy_from_slice(&bytes[place..place + N]);
    u64::from_le_bytes(raw)
}

/// A loadable segment, as its program header states it.
struct Load {
    offset: u64,
    vaddr: u64,
    file_bytes: u64,
    memory_bytes: u64,
    align: u64,
}

/// An accepted image, read in the simplest way.
pub struct Model<'a> {
    file: &'a [u8],
    loads: Vec<Load>,
    /// First value of each tag.
    dynamic: HashMap<u64, u64>,
    /// Address of the first byte, as linked.
    start: u64,
    /// End of the last page.
    end: u64,
    page_bytes: u64,
}

impl<'a> Model<'a> {
    /// Reads an image for pages of `page_bytes`.
    pub fn new(file: &'a [u8], page_bytes: u64) -> Self {
        let table = number::<8>(file, 32) as usize;
        let programs =
            (0..number::<2>(file, 56) as usize).map(|index| table + 56 * index).map(|place| {
                let word = |at| number::<8>(file, place + at);
                let load = Load {
                    offset: word(8),
                    vaddr: word(16),
                    file_bytes: word(32),
                    memory_bytes: word(40),
                    align: word(48),
                };
                (number::<4>(file, place) as u32, load)
            });
        let (mut loads, mut dynamic) = (Vec::new(), HashMap::new());
        for (kind, program) in programs {
            match kind {
                PT_LOAD if program.memory_bytes > 0 => loads.push(program),
                PT_DYNAMIC => {
                    let start = program.offset as usize;
                    let entries = (start..start + program.file_bytes as usize).step_by(16);
                    for entry in entries.take_while(|entry| number::<8>(file, *entry) != 0) {
                        let (tag, value) = (number::<8>(file, entry), number::<8>(file, entry + 8));
                        dynamic.entry(tag).or_insert(value);
                    }
                }
                _ => {}
            }
        }
        let align = loads.iter().map(|each| each.align).max().unwrap_or(0).max(page_bytes);
        let (first, last) = (&loads[0], &loads[loads.len() - 1]);
        let start = first.vaddr / align * align;
        let end = (last.vaddr + last.memory_bytes).next_multiple_of(page_bytes);
        Self { file, loads, dynamic, start, end, page_bytes }
    }

    /// Returns the place in the file of an address.
    fn place(&self, vaddr: u64) -> usize {
        let load = self
            .loads
            .iter()
            .find(|load| vaddr >= load.vaddr && vaddr - load.vaddr < load.file_bytes)
            .expect("the address is in the file");
        (load.offset + vaddr - load.vaddr) as usize
    }

    /// Returns the place and the bytes of a table.
    fn table(&self, address: u64, size: u64) -> (usize, usize) {
        match (self.dynamic.get(&address), self.dynamic.get(&size)) {
            (Some(vaddr), Some(bytes)) if *bytes > 0 => (self.place(*vaddr), *bytes as usize),
            _ => (0, 0),
        }
    }

    /// Returns the memory of the image loaded at `base`: untouched bytes are poison.
    ///
    /// `import` gives the address of a name nobody in the image defines.
    pub fn memory(&self, base: u64, import: impl Fn(&[u8], Option<&[u8]>) -> u64) -> Vec<u8> {
        let mut memory = vec![POISON; (self.end - self.start) as usize];
        for load in &self.loads {
            let first = (load.vaddr / self.page_bytes * self.page_bytes - self.start) as usize;
            let end = (load.vaddr + load.memory_bytes).next_multiple_of(self.page_bytes);
            memory[first..(end - self.start) as usize].fill(0);
            let (to, from) = ((load.vaddr - self.start) as usize, load.offset as usize);
            let bytes = load.file_bytes as usize;
            memory[to..to + bytes].copy_from_slice(&self.file[from..from + bytes]);
        }
        let bias = base.wrapping_sub(self.start);
        for vaddr in self.packed() {
            let to = (vaddr - self.start) as usize;
            let value = number::<8>(&memory, to).wrapping_add(bias);
            memory[to..to + 8].copy_from_slice(&value.to_le_bytes());
        }
        for (table, size) in [(DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)] {
            let (start, bytes) = self.table(table, size);
            for entry in (start..start + bytes).step_by(24) {
                if let Some(value) = self.value(entry, bias, &import) {
                    let to = (number::<8>(self.file, entry) - self.start) as usize;
                    memory[to..to + 8].copy_from_slice(&value.to_le_bytes());
                }
            }
        }
        memory
    }

    /// Returns the addresses that the packed table names, in order.
    fn packed(&self) -> Vec<u64> {
        let (start, bytes) = self.table(DT_RELR, DT_RELRSZ);
        let (mut all, mut next) = (Vec::new(), 0_u64);
        for place in (start..start + bytes).step_by(8) {
            let word = number::<8>(self.file, place);
            if word.is_multiple_of(2) {
                all.push(word);
                next = word.wrapping_add(8);
            } else {
                let bits = (1..64).filter(|bit| word >> bit & 1 == 1);
                all.extend(bits.map(|bit| next.wrapping_add(8 * (bit - 1))));
                next = next.wrapping_add(8 * 63);
            }
        }
        all
    }

    /// Returns what the relocation at a place of the file writes, if anything.
    fn value(
        &self,
        entry: usize,
        bias: u64,
        import: &impl Fn(&[u8], Option<&[u8]>) -> u64,
    ) -> Option<u64> {
        let kind = number::<4>(self.file, entry + 8);
        let symbol = number::<4>(self.file, entry + 12) as usize;
        let addend = number::<8>(self.file, entry + 16);
        match (number::<2>(self.file, 18), kind) {
            (62 | 183, 0) | (183, 256) => None,
            (62, 8) | (183, 1027) => Some(bias.wrapping_add(addend)),
            (62, 6 | 7) => Some(self.address(symbol, bias, import)),
            (62, 1) | (183, 257 | 1025 | 1026) => {
                Some(self.address(symbol, bias, import).wrapping_add(addend))
            }
            other => panic!("the loader accepted relocation {other:?}"),
        }
    }

    /// Returns the address of a symbol.
    fn address(
        &self,
        symbol: usize,
        bias: u64,
        import: &impl Fn(&[u8], Option<&[u8]>) -> u64,
    ) -> u64 {
        if symbol == 0 {
            return 0;
        }
        let place = self.place(self.dynamic[&DT_SYMTAB]) + 24 * symbol;
        let value = number::<8>(self.file, place + 8);
        match number::<2>(self.file, place + 6) {
            0 => {
                let name = self.string(number::<4>(self.file, place));
                import(name, self.version(symbol))
            }
            0xfff1 => value,
            _ => value.wrapping_add(bias),
        }
    }

    /// Returns the string at an offset of the string table.
    fn string(&self, offset: u64) -> &'a [u8] {
        let start = self.place(self.dynamic[&DT_STRTAB]) + offset as usize;
        let length = self.file[start..].iter().position(|byte| *byte == 0);
        &self.file[start..start + length.expect("the string ends")]
    }

    /// Returns the version that an undefined symbol is wanted in.
    fn version(&self, symbol: usize) -> Option<&'a [u8]> {
        let numbers = self.place(*self.dynamic.get(&DT_VERSYM)?);
        let wanted = number::<2>(self.file, numbers + 2 * symbol) & 0x7fff;
        let mut need = self.place(*self.dynamic.get(&DT_VERNEED)?);
        for _ in 0..self.dynamic[&DT_VERNEEDNUM] {
            let mut part = need + number::<4>(self.file, need + 8) as usize;
            for _ in 0..number::<2>(self.file, need + 2) {
                if number::<2>(self.file, part + 6) & 0x7fff == wanted {
                    return Some(self.string(number::<4>(self.file, part + 8)));
                }
                part += number::<4>(self.file, part + 12) as usize;
            }
            need += number::<4>(self.file, need + 12) as usize;
        }
        None
    }
}
