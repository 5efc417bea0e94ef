//! Packs images into a ChipCallable blob (spec callable §1.7-1.8).
//!
//! ```text
//! 0       ChipCallable header
//! 8596    orchestration image                       ┐
//!         zeros up to a multiple of 64              │ storage; offsets count from 8596
//!         CoreCallable: header, zeros, code at 128  │
//!         …                                         ┘
//! ```
//!
//! The reference narrows sizes and cuts names silently; here everything that does not fit is an
//! error. Reading a blob is protocol's business, building needs allocation and so lives here.

use std::collections::HashSet;

use protocol::callable::CORE_BINARY_OFFSET;
use protocol::callable::parse::ChipCallableView;
use protocol::{
    ArgDirection, CALLABLE_ALIGN, CHIP_MAX_TENSOR_ARGS, ChipCallable, CoreCallable, CoreType,
    FuncId, SYMBOL_NAME_BYTES, WireError,
};
use zerocopy::IntoBytes as _;

use super::{Callable, KernelName};
use crate::registry::content::SharedBytes;
use crate::runtime_name::RuntimeName;

/// One kernel to pack.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KernelImage {
    /// The number by which the orchestration names it.
    pub func_id: FuncId,
    /// The type of core it is built for.
    pub core_type: CoreType,
    /// Its image: a shared object for the simulator.
    pub binary: Vec<u8>,
    /// Its name in messages.
    pub name: String,
}

/// A callable that cannot be built.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallableError {
    /// An image without bytes.
    #[error("the image of {what} is empty; build it again")]
    EmptyImage {
        /// Whose image.
        what: String,
    },
    /// A symbol name that does not fit its field.
    #[error(
        "the {what} symbol `{name}` has {} bytes; a symbol has at most {max} bytes and no NUL",
        name.len(),
        max = SYMBOL_NAME_BYTES - 1
    )]
    Symbol {
        /// Which symbol.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A callable of hbg without the name of its entry.
    #[error("a callable of hbg has no default entry; name the function that builds the graph")]
    NoEntryOfHbg,
    /// A signature that does not fit its field.
    #[error("the signature has {have} arguments, but there is room for {limit}", limit = CHIP_MAX_TENSOR_ARGS)]
    Signature {
        /// Arguments given.
        have: usize,
    },
    /// Two kernels with one number.
    #[error("func id {func_id} is given to `{first}` and to `{second}`; give each its own")]
    DuplicateFuncId {
        /// The number.
        func_id: FuncId,
        /// The kernel that has it.
        first: String,
        /// The kernel that wants it too.
        second: String,
    },
    /// Images that do not fit 32-bit sizes.
    #[error("{what} ends at byte {bytes} of the callable, beyond 32 bits; use smaller images")]
    TooLarge {
        /// What does not fit.
        what: String,
        /// Bytes up to its end.
        bytes: usize,
    },
    /// The finished blob does not parse, which no input should cause.
    #[error("the finished callable does not parse")]
    Parse(#[source] WireError),
}

/// Collects the parts of a [`Callable`].
#[derive(Clone, Debug)]
pub struct CallableBuilder {
    orchestration: Vec<u8>,
    name: Option<String>,
    entry: String,
    config: String,
    signature: Vec<ArgDirection>,
    kernels: Vec<KernelImage>,
    runtime: RuntimeName,
}

impl CallableBuilder {
    /// Starts with an orchestration image.
    pub(super) fn new(orchestration: Vec<u8>) -> Self {
        Self {
            orchestration,
            name: None,
            entry: String::new(),
            config: String::new(),
            signature: Vec::new(),
            kernels: Vec::new(),
            runtime: RuntimeName::default(),
        }
    }

    /// Sets the name in messages; without one, the entry symbol is it.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the runtime that it is for; without one, it is trb.
    #[must_use]
    pub fn runtime(mut self, runtime: RuntimeName) -> Self {
        self.runtime = runtime;
        self
    }

    /// Sets the entry symbol; empty means the default, which hbg has not (spec callable §1.9).
    #[must_use]
    pub fn entry(mut self, symbol: &str) -> Self {
        symbol.clone_into(&mut self.entry);
        self
    }

    /// Sets the configuration symbol, which hbg does not look at; empty means the default (spec
    /// callable §1.9).
    #[must_use]
    pub fn config(mut self, symbol: &str) -> Self {
        symbol.clone_into(&mut self.config);
        self
    }

    /// Sets the directions of the arguments.
    #[must_use]
    pub fn signature(mut self, signature: Vec<ArgDirection>) -> Self {
        self.signature = signature;
        self
    }

    /// Adds a kernel.
    #[must_use]
    pub fn kernel(mut self, kernel: KernelImage) -> Self {
        self.kernels.push(kernel);
        self
    }

    /// Packs the blob.
    ///
    /// # Errors
    ///
    /// [`CallableError`] with the part that does not fit.
    pub fn build(self) -> Result<Callable, CallableError> {
        self.check_images()?;
        let binary_size = narrow(self.orchestration.len(), "the orchestration")?;
        let mut header = ChipCallable { binary_size, ..ChipCallable::default() };
        header.sig_count = self.pack_signature(&mut header.signature)?;
        header.func_name_len = pack_name("entry", &self.entry, &mut header.func_name)?;
        header.config_name_len = pack_name("config", &self.config, &mut header.config_name)?;
        // CAST: distinct func ids bound the count by 1024.
        header.child_count = self.kernels.len() as i32;

        let mut storage = self.orchestration;
        for (index, kernel) in self.kernels.iter().enumerate() {
            storage.resize(storage.len().next_multiple_of(CALLABLE_ALIGN), 0);
            header.child_func_ids[index] = kernel.func_id.raw();
            header.child_offsets[index] = narrow(storage.len(), &kernel.name)?;
            pack_kernel(kernel, &mut storage)?;
        }
        let mut blob = header.as_bytes().to_vec();
        blob.append(&mut storage);

        let view = ChipCallableView::parse(&blob).map_err(CallableError::Parse)?;
        let name = self.name.unwrap_or_else(|| view.entry_symbol().to_owned());
        let kernels = self.kernels.into_iter().map(|kernel| KernelName {
            func_id: kernel.func_id,
            core_type: kernel.core_type,
            name: kernel.name,
        });
        let (kernels, blob) = (kernels.collect(), SharedBytes::of(blob));
        Ok(Callable { name, kernels, blob, runtime: self.runtime })
    }

    /// Checks that there is code, that it can be entered, and that each func id names one kernel.
    fn check_images(&self) -> Result<(), CallableError> {
        if self.runtime == RuntimeName::Hbg && self.entry.is_empty() {
            return Err(CallableError::NoEntryOfHbg);
        }
        if self.orchestration.is_empty() {
            return Err(CallableError::EmptyImage { what: "the orchestration".to_owned() });
        }
        let mut taken = HashSet::new();
        for kernel in &self.kernels {
            if kernel.binary.is_empty() {
                let what = format!("kernel `{}` (func id {})", kernel.name, kernel.func_id);
                return Err(CallableError::EmptyImage { what });
            }
            if !taken.insert(kernel.func_id) {
                let func_id = kernel.func_id;
                let first = self.kernels.iter().find(|other| other.func_id == func_id);
                return Err(CallableError::DuplicateFuncId {
                    func_id,
                    first: first.map_or_else(String::new, |first| first.name.clone()),
                    second: kernel.name.clone(),
                });
            }
        }
        Ok(())
    }

    /// Writes the signature to its field; returns its length.
    fn pack_signature(&self, field: &mut [i32]) -> Result<i32, CallableError> {
        let have = self.signature.len();
        let slots = field.get_mut(..have).ok_or(CallableError::Signature { have })?;
        for (slot, direction) in slots.iter_mut().zip(&self.signature) {
            *slot = direction.raw();
        }
        // CAST: at most the 64 slots.
        Ok(have as i32)
    }
}

/// Writes a symbol name to its NUL-padded field; returns its length.
fn pack_name(what: &'static str, name: &str, field: &mut [u8]) -> Result<u32, CallableError> {
    if name.len() >= field.len() || name.contains('\0') {
        return Err(CallableError::Symbol { what, name: name.to_owned() });
    }
    field[..name.len()].copy_from_slice(name.as_bytes());
    // CAST: below the 64 bytes of the field.
    Ok(name.len() as u32)
}

/// Appends a CoreCallable. Its signature stays empty: the runtime takes the arguments of a kernel
/// from each submit.
fn pack_kernel(kernel: &KernelImage, storage: &mut Vec<u8>) -> Result<(), CallableError> {
    let binary_size = narrow(kernel.binary.len(), &kernel.name)?;
    let header = CoreCallable { binary_size, ..CoreCallable::default() };
    let start = storage.len();
    storage.extend_from_slice(header.as_bytes());
    storage.resize(start + CORE_BINARY_OFFSET, 0);
    storage.extend_from_slice(&kernel.binary);
    narrow(storage.len(), &kernel.name)?;
    Ok(())
}

/// Narrows a size to its 32-bit field.
fn narrow(bytes: usize, what: &str) -> Result<u32, CallableError> {
    u32::try_from(bytes).map_err(|_| CallableError::TooLarge { what: what.to_owned(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(func_id: i64, binary: &[u8]) -> KernelImage {
        KernelImage {
            func_id: FuncId::new(func_id).unwrap(),
            core_type: CoreType::Aiv,
            binary: binary.to_vec(),
            name: format!("kernel {func_id}"),
        }
    }

    fn full() -> CallableBuilder {
        Callable::builder(vec![0xAA; 100])
            .name("demo")
            .entry("my_entry")
            .config("my_config")
            .signature(vec![ArgDirection::In, ArgDirection::InOut, ArgDirection::Scalar])
            .kernel(kernel(7, &[0xBB; 65]))
            .kernel(kernel(0, &[0xCC; 3]))
    }

    #[test]
    fn protocols_parser_reads_back_what_was_packed() {
        let callable = full().build().unwrap();
        let view = ChipCallableView::parse(callable.blob()).unwrap();
        let directions = [ArgDirection::In, ArgDirection::InOut, ArgDirection::Scalar];
        assert!(view.signature().iter().eq(directions));
        assert_eq!(view.orchestration(), [0xAA; 100]);
        assert_eq!((view.entry_symbol(), view.config_symbol()), ("my_entry", "my_config"));
        let children: Vec<_> = view
            .children()
            .map(|(func_id, child)| (func_id.raw(), child.binary.to_vec(), child.resolved_addr))
            .collect();
        assert_eq!(children, [(7, vec![0xBB; 65], 0), (0, vec![0xCC; 3], 0)]);
        assert_eq!(callable.name(), "demo");
        assert_eq!(callable.kernels()[1].name, "kernel 0");

        let again = Callable::from_blob(callable.blob().to_vec()).unwrap();
        assert_eq!((again.name(), again.blob()), ("my_entry", callable.blob()));
    }

    #[test]
    fn every_byte_is_where_the_specification_puts_it() {
        let callable = full().build().unwrap();
        let blob = callable.blob();
        let word = |at: usize| u32::from_le_bytes(blob[at..at + 4].try_into().unwrap());
        let words = |at: usize| [word(at), word(at + 4)];
        // Spec callable §1.8, offsets by hand: storage 8596, children at 128 and at 128+193 up.
        assert_eq!(words(0), [1, 3]);
        assert_eq!([word(256), word(260)], [3, 100]);
        assert_eq!(&blob[264..273], b"my_entry\0");
        assert_eq!(word(328), 8);
        assert_eq!(words(332), [7, 0]);
        assert_eq!(words(4428), [128, 384]);
        assert_eq!(word(8524), 2);
        assert_eq!(&blob[8528..8538], b"my_config\0");
        assert_eq!(word(8592), 9);
        assert_eq!(blob[8596..8696], [0xAA; 100]);
        assert_eq!(blob[8696..8724], [0; 28]);
        assert_eq!([word(8724 + 64), word(8724 + 68)], [0, 65]);
        assert_eq!(blob[8724 + 128..8724 + 193], [0xBB; 65]);
        assert_eq!(blob[8980 + 128..], [0xCC; 3]);
        assert_eq!(blob.len(), 8596 + 384 + 131);
    }

    #[test]
    fn names_may_be_left_out_and_then_have_their_defaults() {
        let callable = Callable::builder(vec![1]).build().unwrap();
        let view = ChipCallableView::parse(callable.blob()).unwrap();
        assert_eq!(view.entry_symbol(), "aicpu_orchestration_entry");
        assert_eq!(view.config_symbol(), "aicpu_orchestration_config");
        assert_eq!(callable.name(), "aicpu_orchestration_entry");
        assert_eq!(view.child_count(), 0);
    }

    #[test]
    fn parts_that_do_not_fit_are_named() {
        let check = |builder: CallableBuilder, text: &str| {
            let error = builder.build().unwrap_err().to_string();
            assert!(error.contains(text), "{error:?} should contain {text:?}");
        };
        let one = || Callable::builder(vec![1]);
        check(Callable::builder(Vec::new()), "image of the orchestration is empty");
        check(one().kernel(kernel(3, &[])), "kernel `kernel 3` (func id 3) is empty");
        let double = KernelImage { name: "other".into(), ..kernel(3, &[1]) };
        check(
            one().kernel(kernel(3, &[1])).kernel(double),
            "func id 3 is given to `kernel 3` and to `other`",
        );
        assert!(one().entry(&"e".repeat(63)).build().is_ok());
        check(one().entry(&"e".repeat(64)), "the entry symbol `eee");
        check(one().runtime(RuntimeName::Hbg), "hbg has no default entry");
        assert!(one().runtime(RuntimeName::Hbg).entry("graph").build().is_ok());
        check(one().config("a\0b"), "no NUL");
        assert!(one().signature(vec![ArgDirection::In; 64]).build().is_ok());
        check(one().signature(vec![ArgDirection::In; 65]), "has 65 arguments");
    }

    #[test]
    fn all_1024_func_ids_fit() {
        let mut builder = Callable::builder(vec![1]);
        for func_id in 0..1024 {
            builder = builder.kernel(kernel(func_id, &[1]));
        }
        let callable = builder.build().unwrap();
        assert_eq!(ChipCallableView::parse(callable.blob()).unwrap().child_count(), 1024);
    }

    #[test]
    fn a_foreign_blob_must_parse() {
        let error = Callable::from_blob(vec![0; 10]).unwrap_err();
        assert!(matches!(error, WireError::Truncated { .. }));
    }
}
