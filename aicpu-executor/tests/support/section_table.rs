//! Adds a section header table with `.symtab` and its names to a finished image.

/// One symbol: name, `st_info`, section index, address, size.
pub type SymbolRow = (&'static str, u8, u16, u64, u64);

/// Sections of the table that is added.
pub const SECTIONS: usize = 3;

/// Where the added parts are in the file.
#[derive(Clone, Copy)]
pub struct SectionPlaces {
    pub symbols: usize,
    pub strings: usize,
    pub headers: usize,
}

impl SectionPlaces {
    /// Returns the file position of section header `index`: 0 null, 1 `.symtab`, 2 `.strtab`.
    pub fn header(&self, index: usize) -> usize {
        self.headers + 64 * index
    }
}

/// Appends the table to an ELF64 image; what section headers it had are forgotten.
pub fn append(image: &mut Vec<u8>, rows: &[SymbolRow]) -> SectionPlaces {
    let mut strings = vec![0];
    let mut symbols = vec![0; 24];
    for (name, info, section, value, size) in rows {
        symbols.extend((strings.len() as u32).to_le_bytes());
        symbols.extend([*info, 0]);
        symbols.extend(section.to_le_bytes());
        symbols.extend(value.to_le_bytes());
        symbols.extend(size.to_le_bytes());
        strings.extend(name.bytes().chain([0]));
    }
    let places = SectionPlaces {
        symbols: image.len(),
        strings: image.len() + symbols.len(),
        headers: image.len() + symbols.len() + strings.len(),
    };
    let headers = [
        header(0, 0, 0, 0, 0),
        header(2, places.symbols, symbols.len(), 2, 24),
        header(3, places.strings, strings.len(), 0, 0),
    ];
    image.extend([symbols, strings, headers.concat()].concat());
    image[40..48].copy_from_slice(&(places.headers as u64).to_le_bytes());
    for (place, value) in [(58, 64_u16), (60, SECTIONS as u16), (62, 0)] {
        image[place..place + 2].copy_from_slice(&value.to_le_bytes());
    }
    places
}

/// One section header.
fn header(kind: u32, offset: usize, bytes: usize, link: u32, entry: u64) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[4..8].copy_from_slice(&kind.to_le_bytes());
    header[24..32].copy_from_slice(&(offset as u64).to_le_bytes());
    header[32..40].copy_from_slice(&(bytes as u64).to_le_bytes());
    header[40..44].copy_from_slice(&link.to_le_bytes());
    header[56..64].copy_from_slice(&entry.to_le_bytes());
    header
}
