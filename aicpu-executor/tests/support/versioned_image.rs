//! A hand-made image with symbol versions: its own ones and those of two libraries.
//!
//! ```text
//!  symbol    number        record
//!  imported  4             libm.so.6: V_MATH
//!  optional  3             libc.so.6: V_NEW, and 5: V_OTHER, which nobody uses
//!  entry     2             own V_OWN, with a parent
//!  config    2, hidden
//!  others    1             none
//! ```
//!
//! Everything is behind the parts of the first segment; the numbers are those of the Linux
//! Standard Base, written out.

use aicpu_executor::loader::Machine;

use super::image_builder::{DT_NULL, DT_STRSZ, DT_STRTAB, TestImage};

pub const DT_VERSYM: u64 = 0x6fff_fff0;
pub const DT_VERDEF: u64 = 0x6fff_fffc;
pub const DT_VERDEFNUM: u64 = 0x6fff_fffd;
pub const DT_VERNEED: u64 = 0x6fff_fffe;
pub const DT_VERNEEDNUM: u64 = 0x6fff_ffff;

/// Bit of a number that hides the symbol.
pub const HIDDEN: u16 = 0x8000;

/// The image, and positions in the file of what tests break.
#[derive(Clone)]
pub struct VersionedImage {
    pub image: TestImage,
    pub numbers: usize,
    /// The record of libc.so.6, its two versions, then libm.so.6 and its version.
    pub needs: usize,
    /// The record of the file itself and its name, then V_OWN with two names.
    pub definitions: usize,
    pub end: usize,
}

impl VersionedImage {
    pub fn new(machine: Machine) -> Self {
        let image = TestImage::new(machine);
        let numbers = image.at.header_end;
        let (needs, definitions) = (numbers + 16, numbers + 16 + 80);
        let mut built = Self { image, numbers, needs, definitions, end: definitions + 64 };
        let names = built.write_strings();
        built.write_numbers();
        built.write_needs(&names);
        built.write_definitions(&names);
        built.write_dynamic();
        for field in [32, 40] {
            built.image.set_program(0, field, built.end as u64);
        }
        built
    }

    /// Copies the string table behind everything and adds names; returns where each begins.
    fn write_strings(&mut self) -> impl Fn(&str) -> u32 + use<> {
        let at = self.image.at;
        let mut table = self.image.bytes[at.strings..at.strings + at.string_bytes].to_vec();
        table.extend(b"libm.so.6\0V_NEW\0V_OTHER\0V_MATH\0V_OWN\0V_PARENT\0");
        self.image.put(self.end, &table);
        self.image.set_dynamic(DT_STRTAB, self.end as u64);
        self.image.set_dynamic(DT_STRSZ, table.len() as u64);
        self.end += table.len();
        move |name| {
            let text = [b"\0", name.as_bytes(), b"\0"].concat();
            let place = table.windows(text.len()).position(|window| window == text);
            place.expect("the table has the name") as u32 + 1
        }
    }

    /// Gives a symbol a number.
    pub fn set_number(&mut self, symbol: &str, number: u16) {
        let place = self.numbers + 2 * self.image.symbol(symbol) as usize;
        self.image.put16(place, number);
    }

    fn write_numbers(&mut self) {
        for symbol in ["table", "unique"] {
            self.set_number(symbol, 1);
        }
        self.set_number("imported", 4);
        self.set_number("optional", 3);
        self.set_number("entry", 2);
        self.set_number("config", 2 | HIDDEN);
    }

    fn write_needs(&mut self, name: &dyn Fn(&str) -> u32) {
        // Form, count, library, first version, next record.
        for (place, count, library, next) in [(0, 2, "libc.so.6", 48), (48, 1, "libm.so.6", 0)] {
            let place = self.needs + place;
            self.image.put16(place, 1);
            self.image.put16(place + 2, count);
            self.image.put32(place + 4, name(library));
            self.image.put32(place + 8, 16);
            self.image.put32(place + 12, next);
        }
        // Hash, flags, number, name, next version. One number has the bit that some linkers set.
        for (place, number, version, next) in
            [(16, 3, "V_NEW", 16), (32, 5 | HIDDEN, "V_OTHER", 0), (64, 4, "V_MATH", 0)]
        {
            let place = self.needs + place;
            self.image.put16(place + 6, number);
            self.image.put32(place + 8, name(version));
            self.image.put32(place + 12, next);
        }
    }

    fn write_definitions(&mut self, name: &dyn Fn(&str) -> u32) {
        // Form, flags, number, count, hash, first name, next record.
        for (place, flags, number, count, next) in [(0, 1, 1, 1, 28), (28, 0, 2, 2, 0)] {
            let place = self.definitions + place;
            for (field, value) in [1, flags, number, count].into_iter().enumerate() {
                self.image.put16(place + 2 * field, value);
            }
            self.image.put32(place + 12, 20);
            self.image.put32(place + 16, next);
        }
        for (place, version, next) in [(20, "libtest.so", 0), (48, "V_OWN", 8), (56, "V_PARENT", 0)]
        {
            self.image.put32(self.definitions + place, name(version));
            self.image.put32(self.definitions + place + 4, next);
        }
    }

    /// Adds five entries where the list ended.
    fn write_dynamic(&mut self) {
        let entries = [
            (DT_VERSYM, self.numbers as u64),
            (DT_VERDEF, self.definitions as u64),
            (DT_VERDEFNUM, 2),
            (DT_VERNEED, self.needs as u64),
            (DT_VERNEEDNUM, 2),
            (DT_NULL, 0),
        ];
        let first = self.image.dynamic(DT_NULL);
        for (index, (tag, value)) in entries.into_iter().enumerate() {
            self.image.put64(first + 16 * index, tag);
            self.image.put64(first + 16 * index + 8, value);
        }
        for field in [32, 40] {
            self.image.set_program(3, field, 32 * 16);
        }
    }

    /// Gives one of the added entries another tag or value.
    pub fn put_dynamic(&mut self, tag: u64, other: u64, value: u64) {
        let entry = |place: &usize| self.image.bytes[*place..*place + 8] == tag.to_le_bytes();
        let place = (0x2100..0x2300).step_by(16).find(entry).expect("the image has the tag");
        self.image.put64(place, other);
        self.image.put64(place + 8, value);
    }
}
