//! Builds the smallest shared objects that a plan accepts, with any segments behind the headers.

use std::vec;
use std::vec::Vec;

use aicpu_executor::loader::{Machine, Plan, PlanLimits, plan};
use rustix::param::page_size;

/// `mov eax, number; ret`, or the same for AArch64.
pub(crate) fn returns(number: u16) -> Vec<u8> {
    let number = u32::from(number);
    if cfg!(target_arch = "x86_64") {
        [&[0xB8][..], &number.to_le_bytes(), &[0xC3]].concat()
    } else {
        [0x5280_0000 | number << 5, 0xD65F_03C0].map(u32::to_le_bytes).concat()
    }
}

/// A segment behind the headers.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// `PF_*`: 4 read, 2 write, 1 execute.
    pub(crate) flags: u32,
    /// Pages between the end of the segment before and this one.
    pub(crate) gap: usize,
    /// Bytes between the start of the page and the first byte.
    pub(crate) lead: usize,
    pub(crate) file: Vec<u8>,
    /// Zero bytes behind those of the file.
    pub(crate) zeros: usize,
    /// Shifts the bytes in the file, so that they cannot be mapped.
    pub(crate) is_incongruent: bool,
}

impl Piece {
    pub(crate) fn new(flags: u32, file: &[u8]) -> Self {
        let file = file.to_vec();
        Self { flags, gap: 0, lead: 0, file, zeros: 0, is_incongruent: false }
    }

    /// Code that returns a number.
    pub(crate) fn code(number: u16) -> Self {
        Self::new(5, &returns(number))
    }
}

/// Bytes of a segment and where it starts, counted from the first byte of the image.
pub(crate) struct Built {
    pub(crate) bytes: Vec<u8>,
    /// Offset of the first byte of each piece.
    pub(crate) starts: Vec<usize>,
}

impl Built {
    pub(crate) fn plan(&self) -> Plan<'_> {
        plan_of(&self.bytes)
    }
}

/// Plans an image with pages of this process.
pub(crate) fn plan_of(bytes: &[u8]) -> Plan<'_> {
    let limits =
        PlanLimits { page_bytes: page_size(), span_bytes: 64 << 20, ..PlanLimits::default() };
    plan(bytes, Machine::native(), &limits).unwrap_or_else(|error| panic!("{error}"))
}

/// Where tables are in the first page.
const SYMBOLS: usize = 0x800;
const STRINGS: usize = 0x818;
const HASH: usize = 0x820;
const DYNAMIC: usize = 0x840;
pub(crate) const HEADERS_END: usize = 0x8C0;

/// Builds an image: one read-only page with the headers, then the pieces. With `relro`, the first
/// pages of the piece with that index become read-only.
pub(crate) fn build(pieces: &[Piece], relro: Option<(usize, usize)>) -> Built {
    let page = page_size();
    let mut bytes = vec![0; page];
    let mut headers = vec![header(1, 4, 0, 0, (HEADERS_END, HEADERS_END), page)];
    headers.push(header(2, 4, DYNAMIC, DYNAMIC, (0x80, 0x80), 8));
    let (mut next, mut starts) = (page, Vec::new());
    for (index, piece) in pieces.iter().enumerate() {
        let first = next + piece.gap * page;
        let start = first + piece.lead;
        let shift = if piece.is_incongruent { 16 } else { 0 };
        bytes.resize(bytes.len().next_multiple_of(page) + piece.lead + shift, 0xEE);
        let align = if piece.is_incongruent { 1 } else { page };
        let sizes = (piece.file.len(), piece.file.len() + piece.zeros);
        headers.push(header(1, piece.flags, bytes.len(), start, sizes, align));
        if let Some((_, pages)) = relro.filter(|(of, _)| *of == index) {
            let sizes = (0, pages * page - piece.lead);
            headers.push(header(0x6474_E552, 4, 0, start, sizes, 1));
        }
        bytes.extend(&piece.file);
        // What follows in the file is not part of the segment and must never be seen in it.
        bytes.extend([0xEE; 64]);
        next = (start + sizes.1).next_multiple_of(page);
        starts.push(start);
    }
    write_tables(&mut bytes, &headers);
    Built { bytes, starts }
}

fn write_tables(bytes: &mut [u8], headers: &[[u8; 56]]) {
    let machine: u16 = match Machine::native() {
        Machine::X86_64 => 62,
        Machine::Aarch64 => 183,
    };
    let count = u16::try_from(headers.len()).unwrap();
    put(bytes, 0, b"\x7fELF\x02\x01\x01\x00");
    put(bytes, 16, &[3, 0]);
    put(bytes, 18, &machine.to_le_bytes());
    put(bytes, 20, &1_u32.to_le_bytes());
    put(bytes, 32, &64_u64.to_le_bytes());
    for (at, value) in [(52, 64), (54, 56), (56, count)] {
        put(bytes, at, &value.to_le_bytes());
    }
    put(bytes, 64, &headers.concat());
    // One bucket, one symbol: the empty one.
    put(bytes, HASH, &[1_u32, 1, 0, 0].map(u32::to_le_bytes).concat());
    let [symbols, strings, hash] = [SYMBOLS, STRINGS, HASH].map(|at| at as u64);
    let dynamic = [(4, hash), (5, strings), (6, symbols), (10, 1), (11, 24), (0, 0)];
    for (index, (tag, value)) in dynamic.into_iter().enumerate() {
        put(bytes, DYNAMIC + 16 * index, &[tag, value].map(u64::to_le_bytes).concat());
    }
}

/// A program header.
fn header(
    kind: u32,
    flags: u32,
    offset: usize,
    vaddr: usize,
    (file, memory): (usize, usize),
    align: usize,
) -> [u8; 56] {
    let mut bytes = [0; 56];
    put(&mut bytes, 0, &kind.to_le_bytes());
    put(&mut bytes, 4, &flags.to_le_bytes());
    let fields = [offset, vaddr, vaddr, file, memory, align].map(|field| field as u64);
    put(&mut bytes, 8, &fields.map(u64::to_le_bytes).concat());
    bytes
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}
