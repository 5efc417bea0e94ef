//! The objects that the system's loader has loaded, as it lists them for debuggers.
//!
//! ```text
//!  /proc/self/auxv ──▶ program headers ──▶ dynamic section ── DT_DEBUG ──▶ list of objects
//!                                                                            │ each: its dynamic section
//!                                                    name ── hash table ──▶ symbol ──▶ address
//! ```
//!
//! The layout is that of the System V ABI with the GNU hash table, which both machines share. The list is read
//! when first needed and not kept; the objects that are looked for, those of the C library, never go.

use rustix::fs::{Mode, OFlags};

/// Entries of the auxiliary vector: the program headers of the program, and how many there are.
const AT_PHDR: u64 = 3;
const AT_PHNUM: u64 = 5;

/// Kinds of program headers.
const PT_DYNAMIC: u32 = 2;
const PT_PHDR: u32 = 6;

/// Entries of a dynamic section.
const DT_NULL: u64 = 0;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_DEBUG: u64 = 21;
const DT_GNU_HASH: u64 = 0x6FFF_FEF5;

/// Kind of a symbol that is a function.
const STT_FUNC: u8 = 2;

/// Most bytes of the auxiliary vector; it has some twenty entries of 16.
const VECTOR_BYTES: usize = 1024;

/// Most objects of a process that are looked at: more than any has, so that a list without end ends.
const OBJECTS_MAX: usize = 4096;

#[repr(C)]
#[derive(Clone, Copy)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    file_bytes: u64,
    memory_bytes: u64,
    align: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct DynamicEntry {
    tag: u64,
    value: u64,
}

/// What `DT_DEBUG` names.
#[repr(C)]
struct DebugRecord {
    version: i32,
    first: *const LoadedObject,
}

/// An object in the list.
#[repr(C)]
struct LoadedObject {
    bias: u64,
    name: *const u8,
    dynamic: *const DynamicEntry,
    next: *const Self,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Symbol {
    name: u32,
    info: u8,
    other: u8,
    section: u16,
    value: u64,
    bytes: u64,
}

/// Address of a function that one of the objects exports, the first that has it.
pub(super) fn function(name: &[u8]) -> Option<*const ()> {
    let mut object = first_object()?;
    for _ in 0..OBJECTS_MAX {
        // SAFETY: an entry of the loader's list, which is not null.
        let LoadedObject { bias, dynamic, next, .. } = unsafe { object.read() };
        // SAFETY: the object is loaded.
        let tables = unsafe { Tables::of(bias, dynamic) };
        // SAFETY: as above.
        if let Some(address) = tables.and_then(|tables| unsafe { tables.function(name) }) {
            return Some(address);
        }
        if next.is_null() {
            return None;
        }
        object = next;
    }
    None
}

/// The first object in the loader's list; `None` in a program without one.
fn first_object() -> Option<*const LoadedObject> {
    let (headers, count) = program_headers()?;
    let header = |kind: u32| {
        // SAFETY: the kernel names as many headers as the program has, and they stay mapped.
        let mut all = (0..count).map(|index| unsafe { headers.add(index).read() });
        all.find(|header| header.kind == kind)
    };
    // Where the program is loaded: a program that can be anywhere says where its headers would be.
    let wanted = header(PT_PHDR)?.address;
    let bias = (headers.expose_provenance() as u64).wrapping_sub(wanted);
    let dynamic = pointer::<DynamicEntry>(bias.wrapping_add(header(PT_DYNAMIC)?.address));
    // SAFETY: the program's own dynamic section.
    let record = unsafe { entry(dynamic, DT_DEBUG) }?;
    let record = pointer::<DebugRecord>(record);
    if record.is_null() {
        return None;
    }
    // SAFETY: the loader has put the address of its record there.
    let first = unsafe { (*record).first };
    (!first.is_null()).then_some(first)
}

/// The program headers of the program, and their number.
fn program_headers() -> Option<(*const ProgramHeader, usize)> {
    let mut bytes = [0; VECTOR_BYTES];
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(c"/proc/self/auxv", flags, Mode::empty()).ok()?;
    let length = rustix::io::read(&file, &mut bytes).ok()?;
    let value = |wanted: u64| {
        let (entries, _) = bytes.get(..length)?.as_chunks::<16>();
        entries.iter().find_map(|entry| {
            let (tag, value) = entry.split_first_chunk::<8>()?;
            let value = u64::from_ne_bytes(value.try_into().ok()?);
            (u64::from_ne_bytes(*tag) == wanted).then_some(value)
        })
    };
    let headers = pointer::<ProgramHeader>(value(AT_PHDR)?);
    let count = usize::try_from(value(AT_PHNUM)?).ok()?;
    (!headers.is_null()).then_some((headers, count))
}

/// The value of an entry of a dynamic section.
///
/// # Safety
///
/// It is one, with its end.
unsafe fn entry(dynamic: *const DynamicEntry, tag: u64) -> Option<u64> {
    let mut at = dynamic;
    loop {
        // SAFETY: the end has not come yet.
        let found = unsafe { at.read() };
        match found.tag {
            DT_NULL => return None,
            found_tag if found_tag == tag => return Some(found.value),
            // SAFETY: as above.
            _ => at = unsafe { at.add(1) },
        }
    }
}

/// Where the names of an object are.
struct Tables {
    bias: u64,
    symbols: *const Symbol,
    names: *const u8,
    hash: *const u32,
}

impl Tables {
    /// Those of an object; `None` if it has no names to be found.
    ///
    /// # Safety
    ///
    /// The object is loaded, and stays so.
    unsafe fn of(bias: u64, dynamic: *const DynamicEntry) -> Option<Self> {
        if dynamic.is_null() {
            return None;
        }
        // The loader has made addresses of them, but not where the section cannot be written to.
        let address = |value: u64| if value < bias { value.wrapping_add(bias) } else { value };
        // SAFETY: (all) by the contract.
        unsafe {
            Some(Self {
                bias,
                symbols: pointer(address(entry(dynamic, DT_SYMTAB)?)),
                names: pointer(address(entry(dynamic, DT_STRTAB)?)),
                hash: pointer(address(entry(dynamic, DT_GNU_HASH)?)),
            })
        }
    }

    /// Address of an exported function.
    ///
    /// # Safety
    ///
    /// As for [`of`](Self::of).
    unsafe fn function(&self, name: &[u8]) -> Option<*const ()> {
        let hash = hash_of(name);
        // SAFETY: (all) the table's header says how large its parts are.
        unsafe {
            let [buckets, first, filter_words] =
                [0, 1, 2].map(|index| self.hash.add(index).read() as usize);
            if buckets == 0 {
                return None;
            }
            // Four words of header, and the filter in words of eight bytes.
            let bucket_table = self.hash.add(4 + 2 * filter_words);
            let chains = bucket_table.add(buckets);
            let mut index = bucket_table.add(hash as usize % buckets).read() as usize;
            if index < first {
                return None;
            }
            loop {
                let chained = chains.add(index - first).read();
                let symbol = self.symbols.add(index).read();
                if chained | 1 == hash | 1 && self.is_function(&symbol, name) {
                    return Some(pointer(self.bias.wrapping_add(symbol.value)));
                }
                // The last one of a chain is marked.
                if chained & 1 == 1 {
                    return None;
                }
                index += 1;
            }
        }
    }

    /// Whether a symbol is a function that this object defines, of that name.
    ///
    /// # Safety
    ///
    /// As for [`of`](Self::of).
    unsafe fn is_function(&self, symbol: &Symbol, name: &[u8]) -> bool {
        if symbol.section == 0 || symbol.info & 0xF != STT_FUNC {
            return false;
        }
        // SAFETY: an offset in the object's table of names.
        let own = unsafe { self.names.add(symbol.name as usize) };
        // SAFETY: names end with NUL, and no byte behind the first that differs is read.
        let byte = |index: usize| unsafe { own.add(index).read() };
        name.iter().enumerate().all(|(index, &wanted)| byte(index) == wanted)
            && byte(name.len()) == 0
    }
}

/// The hash of the GNU hash table.
fn hash_of(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, &byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)))
}

/// A pointer to what the system's loader or the kernel says is there.
fn pointer<T>(address: u64) -> *const T {
    // CAST: both targets have 64-bit addresses.
    core::ptr::with_exposed_provenance(address as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hashed_as_linkers_do() {
        // Of the description of the table: the empty name, and one that linkers are tested with.
        assert_eq!(hash_of(b""), 5381);
        assert_eq!(hash_of(b"printf"), 0x156B_2BB8);
        assert_eq!(hash_of(b"exit"), 0x7C96_7E3F);
    }

    #[test]
    fn the_program_is_the_first_object_and_knows_its_headers() {
        let (headers, count) = program_headers().expect("every process has them");
        assert!(!headers.is_null() && (1..100).contains(&count));
        assert!(first_object().is_some(), "the tests are linked dynamically");
    }

    #[test]
    fn the_function_that_is_found_is_the_process_s_own() {
        unsafe extern "C" {
            fn getpid() -> i32;
        }
        let own = getpid as *const ();
        assert_eq!(function(b"getpid"), Some(own));
    }
}
