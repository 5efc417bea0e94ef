//! Committing: puts a planned image into memory, binds it and seals it.
//!
//! ```text
//!  resolve all names ─▶ place segments ─▶ relocate ─▶ check functions ─▶ seal
//!         │                 └─ any failure: the drop of the placed image releases ─┘
//!         └─ all missing names in one error, before any memory is touched
//! ```
//!
//! No code of the image runs here; constructors are the caller's separate step
//! ([`LoadedImage::run_init`]).
#![expect(
    clippy::result_large_err,
    reason = "without an allocator the names of missing symbols travel by value; failing is rare"
)]

use super::code_memory::CodeMemory;
use super::dynamic::TableRange;
use super::elf::Tag;
use super::import::Import;
use super::load_error::{LoadError, UnresolvedSymbols};
use super::loaded_image::{FunctionList, LoadedImage};
use super::placed_image::{PlacedImage, Window, outside};
use super::plan::{Lifecycle, Plan};
use super::relocation::{Action, WORD_BYTES};
use super::relr;
use super::symbol::Binding;

/// Imports whose addresses are kept while an image is bound; the rest is asked for again.
///
/// Linkers put the undefined symbols first, and orchestrations have about forty.
const KEPT_IMPORTS: usize = 128;

/// Offers addresses for the names an image does not define.
///
/// Must answer the same for the same name as long as a commit runs. The loader trusts the
/// addresses: they are what the executor chose to offer.
pub trait SymbolResolver {
    /// Returns the address of an import, or `None` if it is not offered.
    ///
    /// An import with a version is met by exactly that version of the name, or by a name that
    /// has no versions at all; one without version by the default version.
    fn resolve(&self, import: &Import<'_>) -> Option<u64>;
}

/// Loads a planned image into `memory` and binds its imports through `resolver`.
///
/// A weak import nobody offers becomes 0. On success the image is sealed: no page is writable and
/// executable, and none of its code has run.
///
/// # Errors
///
/// Missing symbols, all in one error, or a failure of the memory, which is empty afterwards.
pub fn commit(
    plan: &Plan<'_>,
    memory: &mut dyn CodeMemory,
    resolver: &dyn SymbolResolver,
) -> Result<LoadedImage, LoadError> {
    let (planned, actual) = (plan.page_bytes(), memory.page_bytes());
    if actual > planned || !actual.is_power_of_two() {
        return Err(LoadError::PageSize { planned, memory: actual });
    }
    let mut imports = Imports { resolver, kept: [0; KEPT_IMPORTS] };
    imports.resolve(plan)?;
    let (mut image, base) = PlacedImage::place(memory, plan)?;
    let (span, align) = (plan.span(), plan.align());
    if base & (align as u64 - 1) != 0 || base.checked_add(span as u64).is_none() {
        return Err(LoadError::BaseAddress { base, align });
    }
    let binder = Binder { plan, imports: &imports, bias: base.wrapping_sub(plan.start()) };
    binder.relocate(&mut image)?;
    let (mut init, mut fini) = (FunctionList::new(), FunctionList::new());
    binder.initialisers(&mut image, &mut init)?;
    binder.finalisers(&mut image, &mut fini)?;
    image.seal()?;
    Ok(LoadedImage::new(plan, base, binder.bias, init, fini))
}

/// The addresses of what an image wants from outside.
struct Imports<'r> {
    resolver: &'r dyn SymbolResolver,
    /// By index in the symbol table; 0 for symbols that are not imports, and for weak ones that
    /// nobody offers.
    kept: [u64; KEPT_IMPORTS],
}

impl Imports<'_> {
    /// Asks for every import once, and collects the missing ones.
    fn resolve(&mut self, plan: &Plan<'_>) -> Result<(), LoadError> {
        let mut missing = None;
        let mut imports = plan.imports();
        while let Some((index, import)) = imports.next_indexed() {
            match self.resolver.resolve(&import) {
                Some(address) => {
                    if let Some(kept) = self.kept.get_mut(index as usize) {
                        *kept = address;
                    }
                }
                None if import.weak => {}
                None => missing.get_or_insert_with(UnresolvedSymbols::new).push(&import),
            }
        }
        missing.map_or(Ok(()), |missing| Err(LoadError::Unresolved(missing)))
    }

    /// Returns the address of an import that [`resolve`](Self::resolve) has asked for.
    fn address(&self, plan: &Plan<'_>, symbol: u32) -> Result<u64, LoadError> {
        if let Some(kept) = self.kept.get(symbol as usize) {
            return Ok(*kept);
        }
        let Some(import) = plan.symbols.import_at(symbol) else { return Ok(0) };
        match self.resolver.resolve(&import) {
            Some(address) => Ok(address),
            None if import.weak => Ok(0),
            // Only a resolver that changes its mind gets here.
            None => {
                let mut missing = UnresolvedSymbols::new();
                missing.push(&import);
                Err(LoadError::Unresolved(missing))
            }
        }
    }
}

/// Binds one image to where it lies.
struct Binder<'b, 'a> {
    plan: &'b Plan<'a>,
    imports: &'b Imports<'b>,
    /// What is added to an address as linked.
    bias: u64,
}

impl Binder<'_, '_> {
    /// Applies all relocations: packed ones first, as the gABI orders them.
    fn relocate(&self, image: &mut PlacedImage<'_, '_, '_>) -> Result<(), LoadError> {
        let mut window = Window::empty();
        for group in relr::groups(self.plan.relocations.packed()) {
            for target in group?.words() {
                if window.word(target).is_none() {
                    window = image.window(target)?;
                }
                let word = window.word(target).ok_or(outside(target))?;
                *word = u64::from_le_bytes(*word).wrapping_add(self.bias).to_le_bytes();
            }
        }
        let relocations = &self.plan.relocations;
        let relative = relocations.relative_info();
        for table in relocations.unpacked() {
            let mut index = 0;
            while let Some(rest) = table.records.get(index..)
                && let Some(entry) = rest.first()
            {
                let run = window.add_relative(rest, relative, self.bias);
                index += run;
                if run > 0 {
                    continue;
                }
                let (target, value) = match relocations.decode(&table, index, entry)? {
                    Action::Nothing => (None, 0),
                    Action::Relative { target, addend } => {
                        (Some(target), self.bias.wrapping_add(addend))
                    }
                    Action::Symbol { target, symbol, addend } => {
                        (Some(target), self.address_of(symbol)?.wrapping_add(addend))
                    }
                };
                index += 1;
                let Some(target) = target else { continue };
                if window.word(target).is_none() {
                    window = image.window(target)?;
                }
                *window.word(target).ok_or(outside(target))? = value.to_le_bytes();
            }
        }
        Ok(())
    }

    /// Returns the address a symbol binds to: the image first, then the resolver, then 0 if weak.
    fn address_of(&self, symbol: u32) -> Result<u64, LoadError> {
        match self.plan.symbols.binding(symbol) {
            Some(Binding::Image(vaddr)) => Ok(self.bias.wrapping_add(vaddr)),
            Some(Binding::Absolute(value)) => Ok(value),
            Some(Binding::Import) => self.imports.address(self.plan, symbol),
            // Planning has compared every index with the table.
            None => {
                let count = self.plan.symbols.count();
                Err(super::PlanError::SymbolIndex { offset: 0, symbol, count }.into())
            }
        }
    }

    /// Collects the initialisers in calling order: `DT_INIT`, then the array forwards.
    ///
    /// Here and below the list is filled in place: it is too large to be moved around.
    fn initialisers(
        &self,
        image: &mut PlacedImage<'_, '_, '_>,
        list: &mut FunctionList,
    ) -> Result<(), LoadError> {
        let Lifecycle { function, array } = self.plan.init;
        list.extend(function.and_then(|vaddr| self.offset(vaddr)));
        self.collect(image, Tag::INIT_ARRAY, array, list)
    }

    /// Collects the finalisers in calling order: the array backwards, then `DT_FINI`.
    fn finalisers(
        &self,
        image: &mut PlacedImage<'_, '_, '_>,
        list: &mut FunctionList,
    ) -> Result<(), LoadError> {
        let Lifecycle { function, array } = self.plan.fini;
        self.collect(image, Tag::FINI_ARRAY, array, list)?;
        list.reverse();
        list.extend(function.and_then(|vaddr| self.offset(vaddr)));
        Ok(())
    }

    /// Returns where an address as linked is, counted from the first byte of the image.
    fn offset(&self, vaddr: u64) -> Option<u32> {
        u32::try_from(vaddr.wrapping_sub(self.plan.start())).ok()
    }

    /// Appends the relocated entries of a function array, each of which must be code of the image.
    fn collect(
        &self,
        image: &mut PlacedImage<'_, '_, '_>,
        tag: Tag,
        array: Option<TableRange>,
        list: &mut FunctionList,
    ) -> Result<(), LoadError> {
        let Some(TableRange { vaddr, bytes }) = array else { return Ok(()) };
        for (index, offset) in (0..bytes).step_by(WORD_BYTES as usize).enumerate() {
            let address = image.word(vaddr.wrapping_add(offset))?;
            let outside = LoadError::FunctionOutsideText { tag, index, address };
            let vaddr = address.wrapping_sub(self.bias);
            if !self.plan.segments.is_code(vaddr, 1) {
                return Err(outside);
            }
            // Planning has compared the number of entries with the room of the list.
            self.offset(vaddr).and_then(|each| list.push(each).ok()).ok_or(outside)?;
        }
        Ok(())
    }
}
