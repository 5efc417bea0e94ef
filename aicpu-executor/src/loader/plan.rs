//! Planning: reads and checks a whole image, and changes nothing.
//!
//! A [`Plan`] borrows the image and holds ranges, not copies, so it needs no allocator and costs
//! about one kilobyte of stack. Once it exists, every question about the image has an answer that
//! was checked.

use super::dynamic::{Dynamic, TableRange, TableTags};
use super::eh_frame::{self, EhFrame};
use super::elf::{self, ProgramHeader, Tag};
use super::error::PlanError;
use super::header;
use super::loaded_image::MAX_FUNCTIONS;
use super::machine::Machine;
use super::name::SymbolName;
use super::needed::{self, DEFAULT_NEEDED, NeededIter, NeededPolicy};
use super::note;
use super::page_layout::PageLayout;
use super::property;
use super::relocation::{Relocations, WORD_BYTES};
use super::section::FullSymbols;
use super::segment::{self, Pages, Segment, Segments};
use super::string_table::StringTable;
use super::symbol::{Export, ExportError, ImportIter, SymbolTable};

/// What an image may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanLimits {
    /// Page size of the memory it will be loaded into: a power of two, 4 KiB to 64 KiB.
    pub page_bytes: usize,
    /// Bytes of the file.
    pub image_bytes: usize,
    /// Bytes of address space, `.bss` included.
    pub span_bytes: usize,
    /// Words written by relocations.
    pub relocations: usize,
    /// Libraries the image may need.
    pub needed: NeededPolicy,
}

impl Default for PlanLimits {
    /// 4 KiB pages, 64 MiB of file (debug information is in it), 16 MiB of memory, 2^20
    /// relocations, and the libraries of [`DEFAULT_NEEDED`].
    fn default() -> Self {
        Self {
            page_bytes: 4096,
            image_bytes: 64 << 20,
            span_bytes: 16 << 20,
            relocations: 1 << 20,
            needed: NeededPolicy::Allow(DEFAULT_NEEDED),
        }
    }
}

/// A checked image, ready to be [`commit`](super::commit())ted any number of times.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    machine: Machine,
    page_bytes: usize,
    pub(super) segments: Segments<'a>,
    pub(super) relro: Option<Pages>,
    dynamic: Dynamic<'a>,
    strings: StringTable<'a>,
    pub(super) symbols: SymbolTable<'a>,
    pub(super) relocations: Relocations<'a>,
    relocation_count: usize,
    pub(super) init: Lifecycle,
    pub(super) fini: Lifecycle,
    eh_frame: Option<EhFrame>,
    build_id: Option<&'a [u8]>,
    soname: Option<&'a [u8]>,
}

/// The functions to call at one end of an image's life.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifecycle {
    /// `DT_INIT` or `DT_FINI`, as linked. Checked to be code.
    pub(super) function: Option<u64>,
    /// `DT_INIT_ARRAY` or `DT_FINI_ARRAY`; its words are known only after relocation.
    pub(super) array: Option<TableRange>,
}

/// The program headers that may occur once.
#[derive(Debug, Default)]
struct SingleHeaders<'a> {
    dynamic: Option<&'a ProgramHeader>,
    relro: Option<&'a ProgramHeader>,
    eh_frame: Option<&'a ProgramHeader>,
    tls: Option<&'a ProgramHeader>,
    stack: Option<&'a ProgramHeader>,
    property: Option<&'a ProgramHeader>,
}

/// Checks `image` for `machine` against `limits`.
///
/// Cost: linear in the size of the file; about 2 µs for an orchestration of 30 KB (design loader
/// §2.5).
///
/// # Errors
///
/// The first reason found why the image cannot be loaded safely.
pub fn plan<'a>(
    image: &'a [u8],
    machine: Machine,
    limits: &PlanLimits,
) -> Result<Plan<'a>, PlanError> {
    let page_bytes = limits.page_bytes;
    if !page_bytes.is_power_of_two() || !(4096..=65536).contains(&page_bytes) {
        return Err(PlanError::PageSize { bytes: page_bytes });
    }
    if image.len() > limits.image_bytes {
        return Err(PlanError::ImageTooLarge { bytes: image.len(), limit: limits.image_bytes });
    }
    let headers = header::program_headers(image, machine)?;
    let mut segments = Segments::read(image, headers, page_bytes as u64, limits.span_bytes)?;
    let single = SingleHeaders::read(image, headers)?;
    if machine == Machine::Aarch64 && property::marks_branch_targets(image, headers)? {
        segments.guard_branches();
    }
    let relro = match single.relro {
        Some(range) => segments.relro_pages(range.vaddr.get(), range.memory_bytes.get())?,
        None => None,
    };
    let dynamic = single.dynamic.ok_or(PlanError::MissingHeader { kind: "PT_DYNAMIC" })?;
    let dynamic = Dynamic::read(dynamic, &segments)?;
    let strings = StringTable::read(&dynamic, &segments)?;
    needed::check(&dynamic, strings, limits.needed)?;
    let symbols = SymbolTable::read(&dynamic, &segments, strings)?;
    if single.tls.is_some() || dynamic.wants_static_tls() {
        // Exported variables were refused with their name when the symbols were read.
        let name = FullSymbols::find(image).and_then(|symbols| symbols.thread_local());
        let name = name.map_or(SymbolName::EMPTY, SymbolName::new);
        return Err(PlanError::ThreadLocal { name });
    }
    let relocations = Relocations::read(&dynamic, &segments, machine)?;
    let relocation_count = relocations.check(&segments, &symbols, limits.relocations)?;
    let eh_frame = match single.eh_frame {
        Some(header) => Some(eh_frame::read(header, &segments)?),
        None => None,
    };
    let soname = match dynamic.get(Tag::SONAME) {
        Some(string) => Some(strings.get(string, "this library", 0)?),
        None => None,
    };
    Ok(Plan {
        machine,
        page_bytes,
        relro,
        strings,
        symbols,
        relocations,
        relocation_count,
        init: Lifecycle::read(&dynamic, &segments, INIT_TAGS)?,
        fini: Lifecycle::read(&dynamic, &segments, FINI_TAGS)?,
        eh_frame,
        build_id: note::build_id(image, headers)?,
        soname,
        dynamic,
        segments,
    })
}

impl<'a> Plan<'a> {
    /// Returns the machine the image is for.
    #[must_use]
    pub const fn machine(&self) -> Machine {
        self.machine
    }

    /// Returns the page size the plan was made for.
    #[must_use]
    pub const fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// Returns the file that was planned.
    #[must_use]
    pub const fn image(&self) -> &'a [u8] {
        self.segments.image()
    }

    /// Returns the rights of all pages after sealing. Computed, so ask once.
    #[must_use]
    pub fn pages(&self) -> PageLayout {
        PageLayout::new(&self.segments, self.relro)
    }

    /// Returns the address of the first byte, as linked; a multiple of [`align`](Self::align).
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.segments.start()
    }

    /// Returns where a segment begins, counted from the first byte of the image.
    #[must_use]
    pub const fn offset_of(&self, segment: &Segment) -> usize {
        // CAST: segments lie inside the span, which is a usize.
        segment.vaddr.wrapping_sub(self.segments.start()) as usize
    }

    /// Returns the end of the last byte that is in the file, counted from the first byte of the
    /// image. What is behind it is zero.
    #[must_use]
    pub fn file_end(&self) -> usize {
        let end = |segment: &Segment| self.offset_of(segment) + self.file_bytes(segment).len();
        self.segments().iter().map(end).max().unwrap_or(0)
    }

    /// Returns the file bytes of a segment of this plan.
    #[must_use]
    pub fn file_bytes(&self, segment: &Segment) -> &'a [u8] {
        self.segments.file_bytes(segment.vaddr, segment.file_bytes).unwrap_or_default()
    }

    /// Returns the pages of a segment, as a range counted from the first byte of the image, and
    /// how many bytes of them lie before the segment.
    #[must_use]
    pub fn pages_of(&self, segment: &Segment) -> (usize, core::ops::Range<usize>) {
        let pages = self.segments.pages(segment);
        // CAST: segments lie inside the span, which is a usize.
        let first = pages.vaddr.wrapping_sub(self.start()) as usize;
        let lead = segment.vaddr.wrapping_sub(pages.vaddr) as usize;
        (lead, first..first + pages.bytes as usize)
    }

    /// Returns the bytes of address space the image needs, a multiple of the page size.
    #[must_use]
    pub const fn span(&self) -> usize {
        // CAST: at most the limit, which is a usize.
        self.segments.span() as usize
    }

    /// Returns the alignment of that space: a power of two, at least a page, at most 64 KiB.
    #[must_use]
    pub const fn align(&self) -> usize {
        // CAST: at most 64 KiB.
        self.segments.align() as usize
    }

    /// Returns the loadable segments, ascending by address.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        self.segments.as_slice()
    }

    /// Returns how many words the relocations write.
    #[must_use]
    pub const fn relocations(&self) -> usize {
        self.relocation_count
    }

    /// Iterates over the symbols the image wants from outside.
    #[must_use]
    pub fn imports(&self) -> ImportIter<'_> {
        self.symbols.imports()
    }

    /// Returns the exported symbol `name`, function or data, if it lies in a segment.
    #[must_use]
    pub fn export(&self, name: &[u8]) -> Option<Export> {
        self.symbols.export(name).filter(|each| self.segments.holds(each.vaddr, each.size))
    }

    /// Returns the exported function `name`, which lies wholly in an executable segment.
    ///
    /// # Errors
    ///
    /// There is no such symbol, or it is not such a function (hostile class 27).
    pub fn exported_function(&self, name: &[u8]) -> Result<Export, ExportError> {
        self.symbols.exported_function(name, &self.segments)
    }

    /// Returns the GNU Build-ID, 1 to 64 bytes. Metadata only: equal ids do not prove equal files.
    #[must_use]
    pub const fn build_id(&self) -> Option<&'a [u8]> {
        self.build_id
    }

    /// Iterates over the libraries the image needs, in order.
    #[must_use]
    pub fn needed(&self) -> NeededIter<'a> {
        NeededIter::new(self.dynamic.entries(), self.strings)
    }

    /// Returns the name the library gives itself.
    #[must_use]
    pub const fn soname(&self) -> Option<&'a [u8]> {
        self.soname
    }

    /// Returns where the unwind tables are.
    #[must_use]
    pub const fn eh_frame(&self) -> Option<EhFrame> {
        self.eh_frame
    }
}

/// The tags of one end of an image's life: function, array, bytes of the array.
type LifecycleTags = (Tag, Tag, Tag);
const INIT_TAGS: LifecycleTags = (Tag::INIT, Tag::INIT_ARRAY, Tag::INIT_ARRAYSZ);
const FINI_TAGS: LifecycleTags = (Tag::FINI, Tag::FINI_ARRAY, Tag::FINI_ARRAYSZ);

impl Lifecycle {
    /// Reads the three tags.
    fn read(
        dynamic: &Dynamic<'_>,
        segments: &Segments<'_>,
        (function_tag, address, size): LifecycleTags,
    ) -> Result<Self, PlanError> {
        let function = dynamic.get(function_tag);
        if let Some(vaddr) = function
            && !segments.is_code(vaddr, 1)
        {
            return Err(PlanError::FunctionOutsideText { tag: function_tag, vaddr });
        }
        let array = dynamic.table(TableTags { address, size, entry: None }, WORD_BYTES)?;
        if let Some(TableRange { vaddr, bytes }) = array {
            let count = bytes / WORD_BYTES;
            if count > MAX_FUNCTIONS as u64 {
                let limit = MAX_FUNCTIONS;
                return Err(PlanError::TooManyFunctions { tag: size, count, limit });
            }
            if vaddr % WORD_BYTES != 0 {
                return Err(PlanError::TableMisaligned { tag: address, vaddr });
            }
            if segments.file_offset(vaddr, bytes).is_none() {
                return Err(PlanError::TableOutsideSegment { tag: address, vaddr, bytes });
            }
        }
        Ok(Self { function, array })
    }
}

impl<'a> SingleHeaders<'a> {
    /// Finds them, and checks that the file has the bytes that they and the notes speak of.
    fn read(image: &[u8], headers: &'a [ProgramHeader]) -> Result<Self, PlanError> {
        let mut found = Self::default();
        for (index, header) in (0_u16..).zip(headers) {
            let (slot, kind) = match header.kind.get() {
                elf::PT_DYNAMIC => (&mut found.dynamic, "PT_DYNAMIC"),
                elf::PT_GNU_RELRO => (&mut found.relro, "PT_GNU_RELRO"),
                elf::PT_GNU_EH_FRAME => (&mut found.eh_frame, "PT_GNU_EH_FRAME"),
                elf::PT_TLS => (&mut found.tls, "PT_TLS"),
                elf::PT_GNU_STACK => (&mut found.stack, "PT_GNU_STACK"),
                elf::PT_GNU_PROPERTY => (&mut found.property, "PT_GNU_PROPERTY"),
                _ => continue,
            };
            if slot.replace(header).is_some() {
                return Err(PlanError::DuplicateHeader { kind, header: index });
            }
            segment::check_file_range(image, index, header, kind)?;
            if header.kind.get() == elf::PT_GNU_STACK && header.flags.get() & elf::PF_X != 0 {
                return Err(PlanError::ExecutableStack { header: index });
            }
        }
        Ok(found)
    }
}
