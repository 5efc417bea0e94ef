//! Committing: puts a planned image into memory, binds it and seals it.
//!
//! ```text
//!  resolve all names ─▶ reserve ─▶ place segments ─▶ relocate ─▶ check functions ─▶ seal
//!         │                 └── any failure: the writer's drop releases ────────────┘
//!         └─ all missing names in one error, before any memory is taken
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
use super::load_error::{LoadError, UnresolvedSymbols};
use super::loaded_image::{FunctionList, LoadedImage};
use super::plan::{Lifecycle, Plan};
use super::relocation::{Action, WORD_BYTES};
use super::relr;
use super::symbol::{Binding, Import};
use super::writer::ImageWriter;

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
/// Missing symbols, all in one error, or a failure of the memory. `memory` holds no reservation
/// afterwards.
pub fn commit(
    plan: &Plan<'_>,
    memory: &mut dyn CodeMemory,
    resolver: &dyn SymbolResolver,
) -> Result<LoadedImage, LoadError> {
    let (planned, actual) = (plan.page_bytes(), memory.page_bytes());
    if actual > planned || !actual.is_power_of_two() {
        return Err(LoadError::PageSize { planned, memory: actual });
    }
    check_imports(plan, resolver)?;
    let (mut writer, base) = ImageWriter::reserve(memory, plan)?;
    let (span, align) = (plan.span(), plan.align());
    if base & (align as u64 - 1) != 0 || base.checked_add(span as u64).is_none() {
        return Err(LoadError::BaseAddress { base, align });
    }
    let bias = base.wrapping_sub(plan.segments.start());
    for segment in plan.segments() {
        writer.place(segment)?;
    }
    relocate(plan, &mut writer, resolver, bias)?;
    let init = initialisers(plan, &writer, bias)?;
    let fini = finalisers(plan, &writer, bias)?;
    writer.seal()?;
    Ok(LoadedImage::new(plan, base, bias, init, fini))
}

/// Asks for every import once and collects the missing ones.
fn check_imports(plan: &Plan<'_>, resolver: &dyn SymbolResolver) -> Result<(), LoadError> {
    let mut missing = UnresolvedSymbols::new();
    for import in plan.imports() {
        if !import.weak && resolver.resolve(&import).is_none() {
            missing.push(&import);
        }
    }
    if missing.total() == 0 { Ok(()) } else { Err(LoadError::Unresolved(missing)) }
}

/// Applies all relocations: packed ones first, as the gABI orders them.
fn relocate(
    plan: &Plan<'_>,
    writer: &mut ImageWriter<'_, '_>,
    resolver: &dyn SymbolResolver,
    bias: u64,
) -> Result<(), LoadError> {
    relr::for_each(plan.relocations.packed(), |_, target| {
        let addend = writer.read_word(target)?;
        writer.write_word(target, addend.wrapping_add(bias)).map_err(LoadError::from)
    })?;
    // Linkers sort by symbol, so remembering one address saves most questions to the resolver.
    let mut last: Option<(u32, u64)> = None;
    for action in plan.relocations.actions() {
        match action? {
            Action::Nothing => {}
            Action::Relative { target, addend } => {
                writer.write_word(target, bias.wrapping_add(addend))?;
            }
            Action::Symbol { target, symbol, addend } => {
                let value = match last {
                    Some((known, value)) if known == symbol => value,
                    _ => address_of(plan, symbol, resolver, bias)?,
                };
                last = Some((symbol, value));
                writer.write_word(target, value.wrapping_add(addend))?;
            }
        }
    }
    Ok(())
}

/// Returns the address a symbol binds to: the image first, then the resolver, then 0 if weak.
fn address_of(
    plan: &Plan<'_>,
    symbol: u32,
    resolver: &dyn SymbolResolver,
    bias: u64,
) -> Result<u64, LoadError> {
    match plan.symbols.binding(symbol) {
        Some(Binding::Image(vaddr)) => Ok(bias.wrapping_add(vaddr)),
        Some(Binding::Absolute(value)) => Ok(value),
        Some(Binding::Import(import)) => match resolver.resolve(&import) {
            Some(address) => Ok(address),
            None if import.weak => Ok(0),
            // Only a resolver that changes its mind gets here.
            None => {
                let mut missing = UnresolvedSymbols::new();
                missing.push(&import);
                Err(LoadError::Unresolved(missing))
            }
        },
        // Planning has compared every index with the table.
        None => {
            let count = plan.symbols.count();
            Err(super::PlanError::SymbolIndex { offset: 0, symbol, count }.into())
        }
    }
}

/// Collects the initialisers in calling order: `DT_INIT`, then the array forwards.
fn initialisers(
    plan: &Plan<'_>,
    writer: &ImageWriter<'_, '_>,
    bias: u64,
) -> Result<FunctionList, LoadError> {
    let Lifecycle { function, array } = plan.init;
    let mut list = FunctionList::new();
    list.extend(function.map(|vaddr| bias.wrapping_add(vaddr)));
    collect(plan, writer, bias, Tag::INIT_ARRAY, array, &mut list)?;
    Ok(list)
}

/// Collects the finalisers in calling order: the array backwards, then `DT_FINI`.
fn finalisers(
    plan: &Plan<'_>,
    writer: &ImageWriter<'_, '_>,
    bias: u64,
) -> Result<FunctionList, LoadError> {
    let Lifecycle { function, array } = plan.fini;
    let mut list = FunctionList::new();
    collect(plan, writer, bias, Tag::FINI_ARRAY, array, &mut list)?;
    list.reverse();
    list.extend(function.map(|vaddr| bias.wrapping_add(vaddr)));
    Ok(list)
}

/// Appends the relocated entries of a function array, each of which must be code of the image.
fn collect(
    plan: &Plan<'_>,
    writer: &ImageWriter<'_, '_>,
    bias: u64,
    tag: Tag,
    array: Option<TableRange>,
    list: &mut FunctionList,
) -> Result<(), LoadError> {
    let Some(TableRange { vaddr, bytes }) = array else { return Ok(()) };
    for (index, offset) in (0..bytes).step_by(WORD_BYTES as usize).enumerate() {
        let address = writer.read_word(vaddr.wrapping_add(offset))?;
        let outside = LoadError::FunctionOutsideText { tag, index, address };
        if !plan.segments.is_code(address.wrapping_sub(bias), 1) {
            return Err(outside);
        }
        // Planning has compared the number of entries with the room of the list.
        list.push(address).map_err(|_| outside)?;
    }
    Ok(())
}
