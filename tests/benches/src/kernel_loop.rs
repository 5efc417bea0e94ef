//! The floor of tasks: the same kernel called in a plain loop on one thread, without a runtime.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use libloading::Library;
use protocol::{BufferHandle, DataType, LOCAL_CONTEXT_ARG, LocalContext, Tensor};
use zerocopy::FromZeros as _;

use crate::rounds::Subject;

/// A kernel's entry.
type Entry = unsafe extern "C" fn(*const i64);

/// Words of a kernel's argument list.
const WORDS: usize = 50;

/// Calls of the kernel `combine`, each with its own cell of four tensors; or of `mark`, each as
/// another block.
pub(crate) struct KernelLoop {
    entry: Entry,
    kind: Kind,
    calls: u64,
    /// The cells of each tensor.
    cells: Vec<Vec<u64>>,
    _library: Library,
}

/// Which kernel it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Combine,
    Mark,
}

/// What is added to each cell.
const CONSTANT: u64 = 5;

impl KernelLoop {
    /// Opens the image of the kernel, to be called this often in an operation.
    ///
    /// # Errors
    ///
    /// The image cannot be opened.
    pub(crate) fn new(kind: Kind, image: &[u8], calls: u64) -> Result<Self> {
        let file = tempfile::NamedTempFile::new().context("no file for a kernel")?;
        std::fs::write(file.path(), image).context("cannot write a kernel")?;
        // SAFETY: the image is a kernel of this package, whose constructors do nothing.
        let library = unsafe { Library::new(file.path()) }.context("cannot open a kernel")?;
        // SAFETY: the entry of a kernel has this type.
        let entry = *unsafe { library.get::<Entry>(b"kernel_entry") }.context("no entry")?;
        let tensors = if kind == Kind::Combine { 4 } else { 1 };
        let cells = vec![vec![1; usize::try_from(calls)?]; tensors];
        Ok(Self { entry, kind, calls, cells, _library: library })
    }
}

impl Subject for KernelLoop {
    fn operate(&mut self) -> Result<Duration> {
        let mut tensors: Vec<Tensor> = self.cells.iter_mut().map(|cells| tensor(cells)).collect();
        let mut context = LocalContext::new_zeroed();
        let mut words = [0_i64; WORDS];
        let start = Instant::now();
        for call in 0..self.calls {
            for (word, tensor) in words.iter_mut().zip(&mut tensors) {
                if self.kind == Kind::Combine {
                    tensor.start_offset = call;
                }
                // CAST: an address as the bits of a word.
                *word = (&raw const *tensor).expose_provenance() as i64;
            }
            // CAST: a small number.
            words[tensors.len()] = CONSTANT as i64;
            // CAST: fewer calls than 2^31.
            context.block_idx = call as i32;
            // CAST: an address as the bits of a word.
            words[LOCAL_CONTEXT_ARG] = (&raw const context).expose_provenance() as i64;
            // SAFETY: the kernel reads these words, and the cells of the records that they name.
            unsafe { (self.entry)(words.as_ptr()) };
        }
        Ok(start.elapsed())
    }

    fn verify(&mut self) -> Result<()> {
        let right = match self.kind {
            Kind::Combine => self.cells[2..].iter().flatten().all(|&cell| cell == 2 + CONSTANT),
            Kind::Mark => self.cells[0].iter().zip(CONSTANT..).all(|(&cell, own)| cell == own),
        };
        ensure!(right, "a kernel in a plain loop computes something else");
        Ok(())
    }
}

/// The record of a whole tensor.
fn tensor(cells: &mut [u64]) -> Tensor {
    // CAST: fewer cells than 2^32.
    let shapes = [cells.len() as u32, 0, 0, 0, 0];
    let addr = cells.as_mut_ptr().expose_provenance() as u64;
    let buffer = BufferHandle { addr, size: size_of_val(cells) as u64 };
    Tensor { buffer, ndims: 1, dtype: DataType::Uint64 as u8, shapes, ..Tensor::default() }
}
