//! Looks into the built files: what is in them, and what must not be.

use anyhow::{Context, Result, bail};
use goblin::archive::Archive;
use goblin::elf::dynamic::{
    DF_TEXTREL, DT_FINI, DT_FINI_ARRAY, DT_INIT, DT_INIT_ARRAY, DT_PREINIT_ARRAY, DT_TEXTREL,
};
use goblin::elf::header::{EM_AARCH64, EM_X86_64};
use goblin::elf::note::NT_GNU_BUILD_ID;
use goblin::elf::program_header::{PF_W, PF_X, PT_GNU_STACK, PT_LOAD, PT_TLS};
use goblin::elf::reloc::{R_AARCH64_IRELATIVE, R_X86_64_IRELATIVE};
use goblin::elf::section_header::{SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS};
use goblin::elf::{Elf, Sym, Symtab};
use goblin::strtab::Strtab;

use super::BUILD_ID_BYTES;

/// Crates of the standard library that the firmware must not have; `core` is all right.
const FORBIDDEN_CRATES: [&str; 2] = ["alloc", "std"];

/// Symbols through which Rust code reaches an allocator. C's are not here: a part of the compiler's own
/// support library that nothing calls may refer to `malloc`, and is not linked.
const ALLOCATOR_SYMBOLS: [&str; 5] =
    ["__rust_alloc", "__rust_dealloc", "__rust_realloc", "__rg_alloc", "__rdl_alloc"];

/// Most bytes of code that an image may have: what the AICPU's second cache holds besides its data.
pub(super) const TEXT_BYTES_MAX: u64 = 256 << 10;

/// What is in a shared object, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ImageFacts {
    /// The Build-ID, in hexadecimal.
    pub(super) build_id: String,
    /// Executable sections.
    pub(super) code: u64,
    /// Read-only sections.
    pub(super) constants: u64,
    /// Writable sections with contents.
    pub(super) data: u64,
    /// Writable sections without contents.
    pub(super) zeroed: u64,
}

/// Checks that no member and no symbol of a static library belongs to std or alloc.
///
/// # Errors
///
/// Not an archive of ELF files, or the offending names.
pub(super) fn archive(bytes: &[u8]) -> Result<()> {
    let archive = Archive::parse(bytes).context("not an archive")?;
    let mut found = Vec::new();
    for name in archive.members() {
        if FORBIDDEN_CRATES.iter().any(|krate| name.starts_with(&format!("{krate}-"))) {
            found.push(format!("member {name}"));
        }
        let object = archive.extract(name, bytes).context("an archive with a broken member")?;
        let elf = Elf::parse(object).with_context(|| format!("member {name} is no ELF file"))?;
        for symbol in names(&elf.syms, &elf.strtab) {
            if is_forbidden(symbol) {
                found.push(format!("{symbol} in {name}"));
            }
        }
    }
    if !found.is_empty() {
        bail!("std or an allocator is in it: {}", shortened(&found));
    }
    Ok(())
}

/// Checks a linked image: it stands alone, exports exactly `exports` (sorted), and has nothing
/// that a loader would have to run or patch in its code.
///
/// # Errors
///
/// Not an ELF file, or everything that is wrong with it.
pub(super) fn image(bytes: &[u8], exports: &[&str]) -> Result<ImageFacts> {
    let elf = Elf::parse(bytes).context("not an ELF file")?;
    let mut wrong = Vec::new();
    let undefined: Vec<_> = named(&elf.dynsyms, &elf.dynstrtab)
        .filter(|(symbol, _)| symbol.is_import())
        .map(|(_, name)| name.to_owned())
        .collect();
    if !undefined.is_empty() {
        wrong.push(format!("undefined symbols: {}", shortened(&undefined)));
    }
    if !elf.libraries.is_empty() {
        wrong.push(format!("needed libraries: {}", elf.libraries.join(", ")));
    }
    let mut exported: Vec<_> = named(&elf.dynsyms, &elf.dynstrtab)
        .filter(|(symbol, _)| !symbol.is_import())
        .map(|(_, name)| name)
        .collect();
    exported.sort_unstable();
    if exported != exports {
        wrong.push(format!("exports are {exported:?} instead of {exports:?}"));
    }
    wrong.extend(of_loading(&elf));
    let facts = facts(&elf, bytes);
    if facts.code > TEXT_BYTES_MAX {
        wrong.push(format!("{} bytes of code, more than {TEXT_BYTES_MAX}", facts.code));
    }
    if facts.build_id.len() != 2 * BUILD_ID_BYTES {
        wrong.push(format!("the Build-ID is {:?}", facts.build_id));
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    Ok(facts)
}

/// Checks that an unstripped image is the twin of the one with these facts, and has symbols.
///
/// # Errors
///
/// Not an ELF file, or everything that is wrong with it.
pub(super) fn twin(bytes: &[u8], of: &ImageFacts) -> Result<()> {
    let elf = Elf::parse(bytes).context("not an ELF file")?;
    let own = facts(&elf, bytes);
    if own != *of {
        bail!("its sections or its Build-ID differ from the stripped image's: {own:?}, not {of:?}");
    }
    if !names(&elf.syms, &elf.strtab).any(|name| name.contains("aicpu_executor")) {
        bail!("it has no symbols of the executor");
    }
    // Here, since the stripped image has no names.
    let forbidden: Vec<_> = names(&elf.syms, &elf.strtab)
        .filter(|name| is_forbidden(name))
        .map(str::to_owned)
        .collect();
    if !forbidden.is_empty() {
        bail!("std or an allocator is in it: {}", shortened(&forbidden));
    }
    Ok(())
}

/// What is in an image that a loader would have to run, to patch in code, or to provide for each thread; and
/// segments with rights that they must not have.
fn of_loading(elf: &Elf<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let has_flag = |flag| elf.dynamic.as_ref().is_some_and(|it| it.info.flags & flag != 0);
    if has_flag(DF_TEXTREL) || has_tag(elf, DT_TEXTREL) {
        wrong.push(String::from("relocations in code"));
    }
    if [DT_INIT, DT_INIT_ARRAY, DT_PREINIT_ARRAY].iter().any(|&tag| has_tag(elf, tag)) {
        wrong.push(String::from("constructors"));
    }
    if [DT_FINI, DT_FINI_ARRAY].iter().any(|&tag| has_tag(elf, tag)) {
        wrong.push(String::from("destructors"));
    }
    let calls_resolver = |kind: u32| match elf.header.e_machine {
        EM_AARCH64 => kind == R_AARCH64_IRELATIVE,
        EM_X86_64 => kind == R_X86_64_IRELATIVE,
        _ => true,
    };
    let tables = [&elf.dynrelas, &elf.dynrels, &elf.pltrelocs];
    if tables.iter().any(|table| table.iter().any(|relocation| calls_resolver(relocation.r_type))) {
        wrong.push(String::from("functions that are chosen while it is loaded"));
    }
    for segment in &elf.program_headers {
        let has = |rights: u32| segment.p_flags & rights == rights;
        match segment.p_type {
            PT_LOAD if has(PF_W | PF_X) => {
                wrong.push(String::from("a segment that is writable and executable"));
            }
            PT_GNU_STACK if has(PF_X) => wrong.push(String::from("executable stacks")),
            PT_TLS => wrong.push(String::from("memory for each thread")),
            _ => {}
        }
    }
    wrong
}

/// Adds up the sections that are in memory at run time.
fn facts(elf: &Elf<'_>, bytes: &[u8]) -> ImageFacts {
    let mut facts = ImageFacts { build_id: build_id(elf, bytes), ..ImageFacts::default() };
    for section in &elf.section_headers {
        let has = |flag: u32| section.sh_flags & u64::from(flag) != 0;
        if !has(SHF_ALLOC) {
            continue;
        }
        let sum = if has(SHF_EXECINSTR) {
            &mut facts.code
        } else if section.sh_type == SHT_NOBITS {
            &mut facts.zeroed
        } else if has(SHF_WRITE) {
            &mut facts.data
        } else {
            &mut facts.constants
        };
        *sum += section.sh_size;
    }
    facts
}

/// The Build-ID in hexadecimal; empty if there is none.
fn build_id(elf: &Elf<'_>, bytes: &[u8]) -> String {
    let mut notes = elf.iter_note_headers(bytes).into_iter().flatten().flatten();
    let note = notes.find(|note| note.n_type == NT_GNU_BUILD_ID && note.name == "GNU");
    note.map(|note| note.desc.iter().map(|byte| format!("{byte:02x}")).collect())
        .unwrap_or_default()
}

/// Whether the dynamic section has an entry with this tag.
fn has_tag(elf: &Elf<'_>, tag: u64) -> bool {
    elf.dynamic.as_ref().is_some_and(|dynamic| dynamic.dyns.iter().any(|entry| entry.d_tag == tag))
}

/// Symbols with a name, and the name.
fn named<'a>(
    symbols: &'a Symtab<'_>,
    texts: &'a Strtab<'_>,
) -> impl Iterator<Item = (Sym, &'a str)> {
    symbols
        .iter()
        .filter_map(|symbol| Some((symbol, texts.get_at(symbol.st_name)?)))
        .filter(|(_, name)| !name.is_empty())
}

/// Names of all symbols, defined or not.
fn names<'a>(symbols: &'a Symtab<'_>, texts: &'a Strtab<'_>) -> impl Iterator<Item = &'a str> {
    named(symbols, texts).map(|(_, name)| name)
}

/// The first few of many names.
fn shortened(names: &[String]) -> String {
    let first = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 5 { format!("{first} and {} more", names.len() - 5) } else { first }
}

/// Whether a symbol belongs to std or alloc, or is one of an allocator.
fn is_forbidden(symbol: &str) -> bool {
    ALLOCATOR_SYMBOLS.contains(&symbol)
        || symbol.contains("___rust_alloc")
        || FORBIDDEN_CRATES.iter().any(|krate| is_of_crate(symbol, krate))
}

/// Whether a mangled Rust name is a path that starts in `krate`.
///
/// Both manglings write an identifier with its length in front. The older one has the crate first;
/// the newer one has it behind a `C`, with a disambiguator (`s…_`) in between.
fn is_of_crate(symbol: &str, krate: &str) -> bool {
    let name = format!("{}{krate}", krate.len());
    if let Some(path) = symbol.strip_prefix("_ZN") {
        return path.starts_with(&name);
    }
    let Some(path) = symbol.strip_prefix("_R") else { return false };
    path.match_indices(&name).any(|(at, _)| {
        let before = &path[..at];
        match before.strip_suffix('_') {
            Some(before) => {
                before.trim_end_matches(|c: char| c.is_ascii_alphanumeric()).len() < before.len()
                    && before.rfind("Cs").is_some_and(|start| {
                        before[start + 2..].bytes().all(|byte| byte.is_ascii_alphanumeric())
                    })
            }
            None => before.ends_with('C'),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_symbols_of_std_and_alloc_in_both_manglings() {
        for symbol in [
            "_ZN3std2io5stdio6_print17h0123456789abcdefE",
            "_ZN5alloc7raw_vec19RawVec6growE",
            "_RNvNtCsjNTg2WWSp8e_5alloc7raw_vec12handle_error",
            "_RNvNtNtCsdBezzDwma51_3std2io5stdio6__print",
            "_RNvC3std4exit",
            "__rust_alloc",
            "_RNvCs1_7___rustc35___rust_alloc_error_handler",
        ] {
            assert!(is_forbidden(symbol), "{symbol}");
        }
    }

    #[test]
    fn lets_core_the_executor_and_look_alikes_pass() {
        for symbol in [
            "_ZN4core3fmt5write17h0123456789abcdefE",
            "_ZN14aicpu_executor12orchestrator8allocate5allocE",
            "_RNvNtCsjNTg2WWSp8e_4core9panicking5panic",
            "_RNvNtCs8v5ZHJdIZoe_14aicpu_executor5alloc4take",
            "aicpu_execute",
            "stdlib",
        ] {
            assert!(!is_forbidden(symbol), "{symbol}");
        }
    }

    #[test]
    fn refuses_what_is_no_archive_and_no_image() {
        assert!(archive(b"no archive").is_err());
        assert!(image(b"no image", &[]).is_err());
        assert!(twin(b"no image", &ImageFacts::default()).is_err());
    }
}
