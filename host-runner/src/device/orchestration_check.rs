//! Whether a device of this machine can load an orchestration.
//!
//! Two questions, asked apart because their answers last differently. What an image is made of
//! depends on its bytes, and can be kept for the next process ([`crate::image_cache`]); which names
//! are offered depends on the libraries of this process.

use aicpu_executor::loader::{
    Export, Import, Machine, Plan, PlanLimits, SymbolResolver, SymbolVersion, plan,
};

use super::resident_symbols::ResidentSymbols;
use super::{OrchestrationError, image};
use crate::image_cache::{ImageCache, PlannedImage, PlannedImport};

/// Digest of the sources of the loader, of these checks, and of what compiles and packs; made when
/// the program was built.
const DECIDING_SOURCES: &str = env!("DECIDING_SOURCES");

/// What an entry of the image cache depends on besides bytes: version of the program as far as it
/// decides anything, machine and page size.
pub fn planner() -> String {
    let page_bytes = rustix::param::page_size();
    format!("sources {DECIDING_SOURCES}, {:?}, pages of {page_bytes} bytes", Machine::native())
}

/// Checks that the image can be loaded, and that what it imports is offered.
///
/// # Errors
///
/// [`OrchestrationError`].
pub fn check(
    image: &[u8],
    entry: &str,
    cache: Option<&ImageCache>,
) -> Result<(), OrchestrationError> {
    match cache {
        Some(cache) => {
            let planned = cache.planned(image, entry, || planned(image, entry))?;
            check_imports(planned.imports.iter().map(as_import))
        }
        None => check_imports(checked(Machine::native(), image, entry)?.0.imports()),
    }
}

/// Checks an image for a device of another process, which knows what names it offers.
///
/// # Errors
///
/// [`OrchestrationError`], but for missing names.
pub fn check_for(machine: Machine, image: &[u8], entry: &str) -> Result<(), OrchestrationError> {
    checked(machine, image, entry).map(drop)
}

/// Checks and plans the image.
///
/// # Errors
///
/// [`OrchestrationError`], but for missing names.
pub fn planned(image: &[u8], entry: &str) -> Result<PlannedImage, OrchestrationError> {
    let (plan, function) = checked(Machine::native(), image, entry)?;
    let owned = |import: Import<'_>| PlannedImport {
        name: import.name.to_vec(),
        weak: import.weak,
        version: import.version.map(|version| version.name.to_vec()),
    };
    Ok(PlannedImage {
        entry: function.vaddr,
        // CAST: usize is at most 64 bits.
        span: plan.span() as u64,
        build_id: plan.build_id().map(<[u8]>::to_vec),
        imports: plan.imports().map(owned).collect(),
    })
}

/// Plans the image, and looks its entry up.
///
/// Planning checks all that loading relies on. Only what it refuses is read a second time, so that a wrong
/// file is called what it is.
fn checked<'i>(
    machine: Machine,
    image: &'i [u8],
    entry: &str,
) -> Result<(Plan<'i>, Export), OrchestrationError> {
    image::check_tables(machine, image)?;
    let limits = PlanLimits { page_bytes: rustix::param::page_size(), ..PlanLimits::default() };
    let plan = plan(image, machine, &limits)
        .map_err(|refusal| named(machine, image, entry, OrchestrationError::Plan(refusal)))?;
    let function = plan.exported_function(entry.as_bytes()).map_err(|reason| {
        let refusal = OrchestrationError::Entry { symbol: entry.to_owned(), reason };
        named(machine, image, entry, refusal)
    })?;
    Ok((plan, function))
}

/// What is wrong with an image that was refused: what can be said of any shared object comes first.
fn named(
    machine: Machine,
    image: &[u8],
    entry: &str,
    refusal: OrchestrationError,
) -> OrchestrationError {
    image::check_for(machine, image, entry).map_or_else(OrchestrationError::from, |()| refusal)
}

/// Checks that this process offers the names that an image cannot do without.
fn check_imports<'i>(imports: impl Iterator<Item = Import<'i>>) -> Result<(), OrchestrationError> {
    let symbols = ResidentSymbols::open();
    let missing = |import: &Import<'_>| !import.weak && symbols.resolve(import).is_none();
    let names: Vec<String> = imports.filter(missing).map(|import| import.to_string()).collect();
    if names.is_empty() { Ok(()) } else { Err(OrchestrationError::Unresolved { names }) }
}

/// A kept import as the loader asks for it.
fn as_import(import: &PlannedImport) -> Import<'_> {
    Import {
        name: &import.name,
        weak: import.weak,
        version: import.version.as_deref().map(|name| SymbolVersion { name }),
    }
}

#[cfg(test)]
mod tests {
    use protocol::DEFAULT_ENTRY_SYMBOL;

    use super::*;
    use crate::device::ImageError;
    use crate::test_callables::orchestration;

    /// The caches of two processes, as far as memory goes, and the folder that they share.
    fn caches() -> (tempfile::TempDir, [ImageCache; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let open = || ImageCache::open(&folder.path().join("images")).unwrap();
        let caches = [open(), open()];
        (folder, caches)
    }

    #[test]
    fn a_kept_verdict_says_what_planning_says() {
        let image = orchestration("timespec now; clock_gettime(CLOCK_MONOTONIC, &now);");
        let (_folder, [first, second]) = caches();
        for cache in [None, Some(&first), Some(&second)] {
            assert!(check(&image, DEFAULT_ENTRY_SYMBOL, cache).is_ok());
        }
        assert_eq!((first.counters().plans, second.counters().plans), (1, 0));
        let never = || Err("planned again");
        let kept = second.planned(&image, DEFAULT_ENTRY_SYMBOL, never).unwrap();
        let found = planned(&image, DEFAULT_ENTRY_SYMBOL).unwrap();
        assert_eq!(*kept, found);
        let elf = goblin::elf::Elf::parse(&image).unwrap();
        let entry = elf
            .dynsyms
            .iter()
            .find(|each| elf.dynstrtab.get_at(each.st_name) == Some(DEFAULT_ENTRY_SYMBOL))
            .unwrap();
        assert_eq!(found.entry, entry.st_value);
        let name = |import: &PlannedImport| String::from_utf8(import.name.clone()).unwrap();
        let names: Vec<String> = found.imports.iter().map(name).collect();
        assert!(names.contains(&"clock_gettime".to_owned()) && found.span >= 4096, "{names:?}");
    }

    #[test]
    fn names_are_looked_for_in_each_process_whatever_is_kept() {
        let body = "extern void nobody_offers_this(); nobody_offers_this();";
        let image = orchestration(body);
        let (_folder, [first, second]) = caches();
        for cache in [None, Some(&first), Some(&second)] {
            let refused = check(&image, DEFAULT_ENTRY_SYMBOL, cache);
            let Err(OrchestrationError::Unresolved { names }) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!(names, ["nobody_offers_this"]);
        }
        assert_eq!((first.counters().plans, second.counters().plans), (1, 0));
    }

    #[test]
    fn refusals_are_the_same_with_and_without_a_cache() {
        let image = orchestration("");
        let (_folder, [first, second]) = caches();
        let mut changed = image.clone();
        // The file offset of the program headers.
        changed[32] = 0x41;
        for cache in [None, Some(&first), Some(&second)] {
            let refused = check(&image, "absent", cache);
            let Err(OrchestrationError::Image(ImageError::MissingSymbol { symbol })) = refused
            else {
                panic!("{refused:?}")
            };
            assert_eq!(symbol, "absent");
            assert!(check(&changed, DEFAULT_ENTRY_SYMBOL, cache).is_err());
        }
        assert_eq!((first.counters().plans, second.counters().plans), (2, 2));
    }
}
