//! Loads an orchestration shared object from a byte slice into memory and hands out its functions.
//!
//! It exists apart because its input is hostile until proven otherwise, and because nothing in it
//! needs to know what an orchestration is. A load has two phases:
//!
//! ```text
//!  image bytes ── plan() ──▶ Plan ── commit() ──▶ LoadedImage ── run_init() ──▶ callable code
//!                  pure        ▲        places and patches one CodeMemory through checked slices;
//!                              │        W^X at every moment; released again on any failure
//!                 limits, machine       names found through a SymbolResolver
//! ```
//!
//! [`plan()`] reads, checks every offset, index, string, hash word, relocation target and pointer,
//! and touches nothing: no unsafe code, no allocation, no panic for any input. [`commit()`] can
//! therefore fail only for reasons outside the image: memory, or names nobody offers.
//!
//! What is accepted: ELF64 little endian `ET_DYN` for x86-64 and AArch64; RELA, RELR and PLT
//! relocations; GNU and System V hash tables; `DT_INIT`/`DT_FINI` and their arrays; RELRO.
//! All relocations are bound before the first call. What is refused, and why, is listed at
//! [`PlanError`].
//!
//! # How names bind
//!
//! - A name that the image defines binds to the image itself. Nobody else's definition replaces
//!   it, and it replaces nobody else's: there is no interposition in either direction, and two
//!   images never see each other's names.
//! - Every other name goes to the [`SymbolResolver`], with the version that the image was linked
//!   against ([`Import::version`]). Strong names that it does not offer fail the load, all in one
//!   error; weak ones become 0.
//!
//! # What ordinary C++ orchestrations import
//!
//! Measured on shared objects of g++ 12, the resolver has to offer, besides the orchestration API:
//!
//! | names | strong? | wanted by |
//! |---|---|---|
//! | `__gmon_start__`, `_ITM_deregisterTMCloneTable`, `_ITM_registerTMCloneTable` | weak | start files of every shared object; 0 is right |
//! | `__cxa_finalize` | weak | start files; must be offered if `__cxa_atexit` is, or destructors registered there outlive the image |
//! | `__cxa_atexit` | strong | each static object with a destructor |
//! | `memcpy`, `memmove`, `memset`, `memcmp`, `strlen` | strong | the compiler itself, at any time |
//! | `_Znwm`, `_ZdlPv`, `_ZdlPvm`, `_Znam`, `_ZdaPv` | strong | `operator new`/`delete` |
//! | `__gxx_personality_v0`, `_Unwind_Resume` | strong | each function with clean-ups |
//! | `__cxa_allocate_exception`, `__cxa_throw`, `__cxa_begin_catch`, `__cxa_end_catch`, `__cxa_rethrow`, `__cxa_free_exception` | strong | `throw` and `catch` |
//! | `_ZTVN10__cxxabiv1…_type_infoE` (`__class`, `__si_class`, `__vmi_class`), `__cxa_pure_virtual` | strong | tables of classes with virtual functions |
//! | `_ZTISt9exception`, `_ZNSt13runtime_errorC1EPKc`, `_ZSt20__throw_length_errorPKc`, … | strong | what is used of libstdc++ |
//! | `__cxa_guard_acquire`, `__cxa_guard_release`, `__cxa_guard_abort` | strong | local statics |
//! | `__stack_chk_fail` | strong | `-fstack-protector` |
#![deny(unsafe_code)]

mod code_memory;
mod commit;
mod dynamic;
mod eh_frame;
mod elf;
mod error;
mod facts;
mod gnu_hash;
mod header;
mod import;
mod label;
mod load_error;
#[expect(unsafe_code, reason = "calls the constructors and destructors of a loaded image")]
mod loaded_image;
mod machine;
mod name;
mod needed;
mod note;
mod page_layout;
mod placed_image;
mod plan;
mod property;
mod relocation;
mod relr;
mod section;
mod segment;
mod string_table;
mod symbol;
mod symbolise;
mod sysv_hash;
mod unwind_records;
mod version;

pub use code_memory::{
    CodeMemory, MemoryError, MemoryOperation, Protection, StagingStep, copy_segments,
    copy_segments_fresh,
};
pub use commit::{SymbolResolver, commit};
pub use eh_frame::EhFrame;
pub use elf::Tag;
pub use error::PlanError;
pub use facts::{ExportedSymbol, RelocationCounts};
pub use import::Import;
pub use label::{BuildId, ImageLabel};
pub use load_error::{LoadError, UnresolvedSymbols};
pub use loaded_image::{LoadedEhFrame, LoadedImage};
pub use machine::Machine;
pub use name::SymbolName;
pub use needed::{DEFAULT_NEEDED, NeededIter, NeededPolicy};
pub use page_layout::{PageLayout, PageRun};
pub use plan::{Plan, PlanLimits, plan};
pub use segment::Segment;
pub use symbol::{Export, ExportError, ImportIter, SymbolKind};
pub use symbolise::{CodePlace, FunctionSymbol};
pub use version::SymbolVersion;
