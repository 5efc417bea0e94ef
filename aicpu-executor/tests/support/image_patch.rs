//! Finds and changes single words of a hand-made image.

use super::image_builder::{MEMORY_END, RELRO, TestImage};

impl TestImage {
    pub fn put(&mut self, place: usize, bytes: &[u8]) {
        self.bytes[place..place + bytes.len()].copy_from_slice(bytes);
    }

    pub fn put16(&mut self, place: usize, value: u16) {
        self.put(place, &value.to_le_bytes());
    }

    pub fn put32(&mut self, place: usize, value: u32) {
        self.put(place, &value.to_le_bytes());
    }

    pub fn put64(&mut self, place: usize, value: u64) {
        self.put(place, &value.to_le_bytes());
    }

    pub fn get32(&self, place: usize) -> u32 {
        u32::from_le_bytes(self.bytes[place..place + 4].try_into().expect("four bytes"))
    }

    pub fn get64(&self, place: usize) -> u64 {
        u64::from_le_bytes(self.bytes[place..place + 8].try_into().expect("eight bytes"))
    }

    /// Adds bytes to the end of the file and of the last segment; returns where they are in the
    /// file and in memory. The `.bss` shrinks.
    pub fn append(&mut self, bytes: &[u8]) -> (u64, u64) {
        let offset = self.bytes.len() as u64;
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let file_bytes = self.bytes.len() as u64 - 0x2000;
        self.set_program(2, 32, file_bytes);
        self.set_program(2, 40, file_bytes.max(MEMORY_END - RELRO));
        (offset, offset + 0x2000)
    }

    /// Returns the file position of the program header `index`.
    pub fn program(&self, index: usize) -> usize {
        self.at.programs + 56 * index
    }

    /// Changes a field (by its offset) of the program header `index`.
    pub fn set_program(&mut self, index: usize, offset: usize, value: u64) {
        let place = self.program(index) + offset;
        match offset {
            0 | 4 => self.put32(place, value as u32),
            _ => self.put64(place, value),
        }
    }

    /// Returns the file position of the entry with `tag` in the dynamic section.
    pub fn dynamic(&self, tag: u64) -> usize {
        let entry = |place: &usize| self.bytes[*place..*place + 8] == tag.to_le_bytes();
        (0x2100..0x22b0).step_by(16).find(entry).expect("the image has the tag")
    }

    /// Gives the entry with `tag` another value.
    pub fn set_dynamic(&mut self, tag: u64, value: u64) {
        self.put64(self.dynamic(tag) + 8, value);
    }

    /// Turns the entry with `tag` into another one.
    pub fn replace_dynamic(&mut self, tag: u64, other: u64, value: u64) {
        let place = self.dynamic(tag);
        self.put64(place, other);
        self.put64(place + 8, value);
    }

    /// Returns the index of the symbol called `name`.
    pub fn symbol(&self, name: &str) -> u32 {
        let terminated = [name.as_bytes(), b"\0"].concat();
        let named = |index: &u32| {
            let place = self.at.symbols + 24 * *index as usize;
            let offset = self.get32(place) as usize;
            self.bytes[self.at.strings + offset..].starts_with(&terminated)
        };
        (0..7).find(named).expect("the image has the symbol")
    }

    /// Returns the file position of the symbol called `name`.
    pub fn symbol_place(&self, name: &str) -> usize {
        self.at.symbols + 24 * self.symbol(name) as usize
    }
}
