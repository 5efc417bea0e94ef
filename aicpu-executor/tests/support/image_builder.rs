//! Builds one small, complete shared object by hand, for either machine.
//!
//! Every part has a known place, so that a test can break exactly one word and name the error it
//! expects. All numbers are written out from the ABI documents, not taken from the loader.
//!
//! ```text
//!  file    address  rights  contents
//!  0x0000  0x0000   R       headers, note, hash tables, symbols, strings, relocations, unwind table
//!  -       0x1000   -       hole
//!  0x1000  0x2000   RX      functions, 16 bytes apart
//!  -       0x3000   -       hole
//!  0x2000  0x4000   RW      init array, fini array, words to relocate, dynamic section (RELRO)
//!  0x3000  0x5000   RW      data, then .bss up to 0x5800
//! ```

use aicpu_executor::loader::Machine;

pub use super::elf_numbers::*;

/// Addresses inside the image.
pub const TEXT: u64 = 0x2000;
pub const RELRO: u64 = 0x4000;
pub const INIT_ARRAY: u64 = 0x4000;
pub const FINI_ARRAY: u64 = 0x4010;
/// Five words: relative, symbol of the image, import, weak import, function slot.
pub const WORDS: u64 = 0x4020;
pub const DYNAMIC: u64 = 0x4100;
pub const DATA: u64 = 0x5000;
/// Words with packed relocations: an address and a bitmap with two bits.
pub const PACKED: [u64; 3] = [DATA + 0x10, DATA + 0x18, DATA + 0x28];
pub const DATA_FILE_END: u64 = 0x5100;
pub const MEMORY_END: u64 = 0x5800;
pub const SPAN: usize = 0x6000;
/// Bytes of the file.
pub const FILE_BYTES: usize = 0x3100;

/// Build-ID of the image.
pub const BUILD_ID: [u8; 20] = *b"build-id of an image";

/// Positions in the file of what tests break.
#[derive(Clone, Copy, Default)]
pub struct Places {
    pub programs: usize,
    pub note: usize,
    pub sysv_hash: usize,
    pub gnu_hash: usize,
    pub symbols: usize,
    pub strings: usize,
    pub string_bytes: usize,
    pub rela: usize,
    pub plt: usize,
    pub relr: usize,
    pub eh_frame_hdr: usize,
    pub eh_frame: usize,
    pub header_end: usize,
}

/// The image and where its parts are.
#[derive(Clone)]
pub struct TestImage {
    pub bytes: Vec<u8>,
    pub machine: Machine,
    pub numbers: RelocationNumbers,
    pub at: Places,
}

/// Names in the string table, in the order of the symbol table.
const NAMES: [&str; 7] = ["", "imported", "optional", "entry", "config", "table", "unique"];
/// Index of the first symbol in the GNU hash table.
pub const FIRST_HASHED: u32 = 3;

impl TestImage {
    /// Builds the valid image.
    pub fn new(machine: Machine) -> Self {
        let numbers = RelocationNumbers::of(machine);
        let mut image =
            Self { bytes: vec![0; FILE_BYTES], machine, numbers, at: Places::default() };
        image.place_parts();
        image.write_file_header();
        image.write_programs();
        image.write_note();
        image.write_symbols();
        image.write_relocations();
        image.write_eh_frame();
        image.write_text();
        image.write_dynamic();
        image
    }

    /// Decides where the parts of the first segment are.
    fn place_parts(&mut self) {
        let strings: usize = NAMES.iter().map(|name| name.len() + 1).sum();
        self.at.string_bytes = strings + "libc.so.6\0libtest.so\0".len();
        let sizes = [8 * 56, 36, 40, 56, 7 * 24, self.at.string_bytes, 7 * 24, 24, 16, 12, 44];
        let mut next = 64;
        let places = sizes.map(|size: usize| {
            let place = next;
            next = (place + size).next_multiple_of(8);
            place
        });
        [
            self.at.programs,
            self.at.note,
            self.at.sysv_hash,
            self.at.gnu_hash,
            self.at.symbols,
            self.at.strings,
            self.at.rela,
            self.at.plt,
            self.at.relr,
            self.at.eh_frame_hdr,
            self.at.eh_frame,
        ] = places;
        self.at.header_end = next;
        assert!(next < 0x1000);
    }

    fn write_file_header(&mut self) {
        self.put(0, b"\x7fELF\x02\x01\x01\x00");
        self.put16(16, 3);
        self.put16(
            18,
            match self.machine {
                Machine::X86_64 => 62,
                Machine::Aarch64 => 183,
            },
        );
        self.put32(20, 1);
        self.put64(32, self.at.programs as u64);
        self.put16(52, 64);
        self.put16(54, 56);
        self.put16(56, 8);
    }

    fn write_programs(&mut self) {
        let at = self.at;
        let headers: [(u32, u32, u64, u64, u64, u64, u64); 8] = [
            (PT_LOAD, 4, 0, 0, at.header_end as u64, at.header_end as u64, 0x1000),
            (PT_LOAD, 5, 0x1000, TEXT, 0x100, 0x100, 0x1000),
            (PT_LOAD, 6, 0x2000, RELRO, 0x1100, MEMORY_END - RELRO, 0x1000),
            (PT_DYNAMIC, 6, 0x2100, DYNAMIC, 27 * 16, 27 * 16, 8),
            (PT_NOTE, 4, at.note as u64, at.note as u64, 36, 36, 4),
            (PT_GNU_EH_FRAME, 4, at.eh_frame_hdr as u64, at.eh_frame_hdr as u64, 12, 12, 4),
            (PT_GNU_STACK, 6, 0, 0, 0, 0, 16),
            (PT_GNU_RELRO, 4, 0x2000, RELRO, 0x1000, 0x1000, 1),
        ];
        for (index, (kind, flags, offset, vaddr, file, memory, align)) in
            headers.into_iter().enumerate()
        {
            let place = at.programs + 56 * index;
            self.put32(place, kind);
            self.put32(place + 4, flags);
            for (field, value) in [offset, vaddr, vaddr, file, memory, align].iter().enumerate() {
                self.put64(place + 8 + 8 * field, *value);
            }
        }
    }

    fn write_note(&mut self) {
        let place = self.at.note;
        for (field, value) in [4, 20, 3].into_iter().enumerate() {
            self.put32(place + 4 * field, value);
        }
        self.put(place + 12, b"GNU\0");
        self.put(place + 16, &BUILD_ID);
    }

    /// Writes symbols, strings and both hash tables.
    fn write_symbols(&mut self) {
        let at = self.at;
        // Name, info, section, value, size; the hashed ones sorted by bucket.
        let symbols: [(usize, u8, u16, u64, u64); 7] = [
            (0, 0x00, 0, 0, 0),
            (1, 0x10, 0, 0, 0),
            (2, 0x20, 0, 0, 0),
            (3, 0x12, 2, TEXT, 16),
            (4, 0x22, 2, TEXT + 16, 16),
            (5, 0x11, 3, DATA, 16),
            (6, 0xa1, 3, DATA + 0x40, 8),
        ];
        let mut order: Vec<_> = symbols.to_vec();
        order[3..].sort_by_key(|(name, ..)| gnu_hash(NAMES[*name]) % 2);
        let mut offsets = [0; 7];
        let mut next = at.strings;
        for (index, name) in NAMES.iter().enumerate() {
            offsets[index] = next - at.strings;
            self.put(next, name.as_bytes());
            next += name.len() + 1;
        }
        self.put(next, b"libc.so.6\0libtest.so\0");
        for (index, (name, info, section, value, size)) in order.iter().enumerate() {
            let place = at.symbols + 24 * index;
            self.put32(place, offsets[*name] as u32);
            self.bytes[place + 4] = *info;
            self.put16(place + 6, *section);
            self.put64(place + 8, *value);
            self.put64(place + 16, *size);
        }
        let names: Vec<_> = order.iter().map(|(name, ..)| NAMES[*name]).collect();
        self.write_gnu_hash(&names);
        self.write_sysv_hash(&names);
    }

    fn write_gnu_hash(&mut self, names: &[&str]) {
        let place = self.at.gnu_hash;
        // Two buckets, first hashed symbol, one bloom word, shift.
        for (field, value) in [2, FIRST_HASHED, 1, 6].into_iter().enumerate() {
            self.put32(place + 4 * field, value);
        }
        let hashes: Vec<u32> = names[3..].iter().map(|name| gnu_hash(name)).collect();
        let bloom = hashes
            .iter()
            .fold(0, |bloom, hash| bloom | 1_u64 << (hash % 64) | 1_u64 << ((hash >> 6) % 64));
        self.put64(place + 16, bloom);
        for bucket in 0..2 {
            let first = hashes.iter().position(|hash| hash % 2 == bucket);
            let symbol = first.map_or(0, |index| index as u32 + FIRST_HASHED);
            self.put32(place + 24 + 4 * bucket as usize, symbol);
        }
        for (index, hash) in hashes.iter().enumerate() {
            let last = hashes.get(index + 1).is_none_or(|next| next % 2 != hash % 2);
            self.put32(place + 32 + 4 * index, hash & !1 | u32::from(last));
        }
    }

    fn write_sysv_hash(&mut self, names: &[&str]) {
        let place = self.at.sysv_hash;
        // One bucket with the defined symbols in ascending order.
        self.put32(place, 1);
        self.put32(place + 4, names.len() as u32);
        self.put32(place + 8, FIRST_HASHED);
        for symbol in FIRST_HASHED as usize..names.len() - 1 {
            self.put32(place + 12 + 4 * symbol, symbol as u32 + 1);
        }
    }

    fn write_relocations(&mut self) {
        let numbers = self.numbers;
        let table = self.symbol("table");
        let rela: [(u64, u32, u32, i64); 7] = [
            (INIT_ARRAY, 0, numbers.relative, TEXT as i64 + 32),
            (INIT_ARRAY + 8, 0, numbers.relative, TEXT as i64 + 48),
            (FINI_ARRAY, 0, numbers.relative, TEXT as i64 + 64),
            (WORDS, 0, numbers.relative, DATA as i64 - 4),
            (WORDS + 8, table, numbers.absolute, 8),
            (WORDS + 16, 1, numbers.absolute, -4),
            (WORDS + 24, 2, numbers.global_data, 0),
        ];
        for (index, entry) in rela.into_iter().enumerate() {
            self.put_rela(self.at.rela + 24 * index, entry);
        }
        self.put_rela(self.at.plt, (WORDS + 32, 1, numbers.jump_slot, 0));
        self.put64(self.at.relr, PACKED[0]);
        // Bit 1 stands for the word behind the address, bit 3 for the third one.
        self.put64(self.at.relr + 8, 1 | 1 << 1 | 1 << 3);
        for (index, vaddr) in PACKED.into_iter().enumerate() {
            self.put64((vaddr - 0x2000) as usize, 0x100 * (index as u64 + 1));
        }
    }

    /// Writes one relocation: target, symbol, number, addend.
    pub fn put_rela(
        &mut self,
        place: usize,
        (target, symbol, number, addend): (u64, u32, u32, i64),
    ) {
        self.put64(place, target);
        self.put32(place + 8, number);
        self.put32(place + 12, symbol);
        self.put64(place + 16, addend as u64);
    }

    fn write_eh_frame(&mut self) {
        let at = self.at;
        // Version 1; pointer PC-relative and signed 4 bytes; no table.
        self.put(at.eh_frame_hdr, &[1, 0x1b, 0xff, 0xff]);
        self.put32(at.eh_frame_hdr + 4, (at.eh_frame - (at.eh_frame_hdr + 4)) as u32);
        // A CIE with PC-relative pointers of 4 bytes, an FDE of the text, and the end mark.
        self.put32(at.eh_frame, 16);
        self.put(at.eh_frame + 8, b"\x01zR\0\x01\x78\x10\x01\x1b");
        let place = at.eh_frame + 28;
        let start = (TEXT as u32).wrapping_sub(place as u32);
        for (index, word) in [16, 24, start, 0x100].into_iter().enumerate() {
            self.put32(at.eh_frame + 20 + 4 * index, word);
        }
    }

    fn write_text(&mut self) {
        // Every function returns 42 plus its index, so that a test knows which one it called.
        for index in 0..16_u8 {
            let place = 0x1000 + 16 * usize::from(index);
            match self.machine {
                // mov eax, imm32; ret
                Machine::X86_64 => self.put(place, &[0xb8, 42 + index, 0, 0, 0, 0xc3]),
                // mov w0, #imm16; ret
                Machine::Aarch64 => {
                    self.put32(place, 0x5280_0000 | (42 + u32::from(index)) << 5);
                    self.put32(place + 4, 0xd65f_03c0);
                }
            }
        }
    }

    fn write_dynamic(&mut self) {
        let at = self.at;
        let needed = at.string_bytes as u64 - 21;
        let entries: [(u64, u64); 27] = [
            (DT_NEEDED, needed),
            (DT_SONAME, needed + 10),
            (DT_HASH, at.sysv_hash as u64),
            (DT_GNU_HASH, at.gnu_hash as u64),
            (DT_STRTAB, at.strings as u64),
            (DT_SYMTAB, at.symbols as u64),
            (DT_STRSZ, at.string_bytes as u64),
            (DT_SYMENT, 24),
            (DT_RELA, at.rela as u64),
            (DT_RELASZ, 7 * 24),
            (DT_RELAENT, 24),
            (DT_JMPREL, at.plt as u64),
            (DT_PLTRELSZ, 24),
            (DT_PLTREL, DT_RELA),
            (DT_RELR, at.relr as u64),
            (DT_RELRSZ, 16),
            (DT_RELRENT, 8),
            (DT_INIT, TEXT + 80),
            (DT_FINI, TEXT + 96),
            (DT_INIT_ARRAY, INIT_ARRAY),
            (DT_INIT_ARRAYSZ, 16),
            (DT_FINI_ARRAY, FINI_ARRAY),
            (DT_FINI_ARRAYSZ, 8),
            (DT_FLAGS, 8),
            (DT_FLAGS_1, 1),
            (DT_SPARE, 0),
            (DT_NULL, 0),
        ];
        for (index, (tag, value)) in entries.into_iter().enumerate() {
            self.put64(0x2100 + 16 * index, tag);
            self.put64(0x2108 + 16 * index, value);
        }
    }
}

/// The hash function of the GNU hash table.
fn gnu_hash(name: &str) -> u32 {
    let mut hash = 5381_u32;
    for byte in name.bytes() {
        hash = (hash << 5).wrapping_add(hash).wrapping_add(u32::from(byte));
    }
    hash
}
