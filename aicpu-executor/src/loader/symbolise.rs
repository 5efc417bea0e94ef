//! From an address of an image to the function it is in, and the list of all functions.
//!
//! It exists apart because it serves people, not the load: log lines, debuggers and profilers. Only
//! a planned image is asked, but `.symtab`, which knows most, is not part of what planning checks.
//! So every symbol is compared with the segments here, and one that is not code is passed over.
//!
//! ```text
//!  .symtab (static functions too), if it is there and well-formed ┐
//!  .dynsym (exports only)                                         ┴▶ functions ▶ nearest to address
//! ```
//!
//! Cost: one pass over the symbols for each question; nothing is prepared or kept.

use super::elf::{self, Symbol};
use super::plan::Plan;
use super::section::FullSymbols;
use super::segment::Segment;
use super::string_table::StringTable;
use super::symbol::{binding_of, kind_of};

/// A function of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionSymbol<'a> {
    /// Name as the compiler wrote it (C++ names are mangled); not empty.
    pub name: &'a [u8],
    /// First address, as linked. Lies in the file-backed part of an executable segment.
    pub vaddr: u64,
    /// Bytes, cut at the end of the segment; 0 if unknown.
    pub size: u64,
    /// Whether it is visible outside the source file that defines it.
    pub is_global: bool,
}

/// A place in a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodePlace<'a> {
    /// The function.
    pub function: FunctionSymbol<'a>,
    /// Bytes from its start.
    pub offset: u64,
}

impl<'a> Plan<'a> {
    /// Iterates over all functions that have a name, in the order of the symbol table.
    ///
    /// Several may start at one address. `.symtab` is read if it is there and well-formed, else
    /// `.dynsym`, which has the exported functions only.
    pub fn functions(&self) -> impl Iterator<Item = FunctionSymbol<'a>> {
        Functions::full(self).unwrap_or_else(|| Functions::dynamic(self)).all()
    }

    /// Returns the function that contains the address `vaddr` (as linked), and how far in it is.
    ///
    /// A function without size reaches up to the next one or the end of its segment. Of several
    /// that contain the address, the one that starts last is returned; of several names for it,
    /// a global one.
    #[must_use]
    pub fn symbolise(&self, vaddr: u64) -> Option<CodePlace<'a>> {
        let found = Functions::full(self).and_then(|functions| functions.nearest(vaddr));
        found.or_else(|| Functions::dynamic(self).nearest(vaddr))
    }
}

/// The functions of one symbol table.
#[derive(Clone, Copy)]
struct Functions<'a, 'p> {
    symbols: &'a [Symbol],
    strings: StringTable<'a>,
    segments: &'p [Segment],
}

impl<'a, 'p> Functions<'a, 'p> {
    /// Those of `.symtab`.
    fn full(plan: &'p Plan<'a>) -> Option<Self> {
        let FullSymbols { symbols, strings } = FullSymbols::find(plan.segments.image())?;
        Some(Self { symbols, strings, segments: plan.segments() })
    }

    /// Those of `.dynsym`.
    fn dynamic(plan: &'p Plan<'a>) -> Self {
        let (symbols, strings) = plan.symbols.parts();
        Self { symbols, strings, segments: plan.segments() }
    }

    /// Iterates over those with a name.
    fn all(self) -> impl Iterator<Item = FunctionSymbol<'a>> + use<'a, 'p> {
        self.extents().filter_map(move |extent| self.named(extent))
    }

    /// Iterates over all of them, the nameless included.
    fn extents(self) -> impl Iterator<Item = Extent<'a>> + use<'a, 'p> {
        self.symbols.iter().filter_map(move |symbol| self.extent(symbol))
    }

    /// Returns where a symbol lies, if it is a defined function inside an executable segment.
    ///
    /// Hand-written assembly leaves the type out; such a symbol counts only if it is global,
    /// because local ones mark places inside functions (`$x` and `$d` of AArch64).
    fn extent(&self, symbol: &'a Symbol) -> Option<Extent<'a>> {
        let section = symbol.section.get();
        let is_global = binding_of(symbol) != elf::STB_LOCAL;
        let is_function =
            kind_of(symbol) == elf::STT_FUNC || kind_of(symbol) == elf::STT_NOTYPE && is_global;
        if !is_function || section == elf::SHN_UNDEF || section >= elf::SHN_LORESERVE {
            return None;
        }
        let start = symbol.value.get();
        let end_of_code = self.segments.iter().find_map(|each| each.end_of_code(start))?;
        let size = symbol.size.get().min(end_of_code.saturating_sub(start));
        Some(Extent { symbol, start, size, end_of_code, is_global })
    }

    /// Adds the name to an extent.
    fn named(
        &self,
        Extent { symbol, start, size, is_global, .. }: Extent<'a>,
    ) -> Option<FunctionSymbol<'a>> {
        let name = self.strings.get(symbol.name.get().into(), "symbol", 0).ok()?;
        (!name.is_empty()).then_some(FunctionSymbol { name, vaddr: start, size, is_global })
    }

    /// Finds the function that contains an address.
    fn nearest(self, vaddr: u64) -> Option<CodePlace<'a>> {
        let mut sized: Option<Extent<'a>> = None;
        let mut sizeless: Option<Extent<'a>> = None;
        // Where the function that starts last before the address starts.
        let mut last_start = 0;
        let candidates = self
            .extents()
            .filter(|each| each.start <= vaddr && vaddr < each.end_of_code)
            .filter(|each| self.named(*each).is_some());
        for each in candidates {
            last_start = last_start.max(each.start);
            if each.size == 0 {
                sizeless = Some(each.or_nearer(sizeless));
            } else if vaddr - each.start < each.size {
                sized = Some(each.or_nearer(sized));
            }
        }
        // One without size ends where any other one starts.
        let sizeless = sizeless.filter(|each| each.start == last_start);
        let found = match (sized, sizeless) {
            (Some(sized), Some(other)) if other.start > sized.start => other,
            (Some(sized), _) => sized,
            (None, other) => other?,
        };
        let function = self.named(found)?;
        Some(CodePlace { function, offset: vaddr - found.start })
    }
}

/// A function symbol and where it lies.
#[derive(Clone, Copy)]
struct Extent<'a> {
    symbol: &'a Symbol,
    start: u64,
    /// Bytes, not past `end_of_code`; 0 if unknown.
    size: u64,
    /// End of the file-backed part of its segment.
    end_of_code: u64,
    is_global: bool,
}

impl Extent<'_> {
    /// Returns the one that starts later; of two at one place the global one, else `other`.
    fn or_nearer(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if (other.start, other.is_global) >= (self.start, self.is_global) => other,
            _ => self,
        }
    }
}
