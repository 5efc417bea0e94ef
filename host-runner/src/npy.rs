//! Reads and writes NumPy `.npy` files: one C-order, little-endian array.
//!
//! ```text
//! "\x93NUMPY" major minor  header length (u16 in v1, u32 in v2 and v3)  header  elements
//! header = {'descr': '<f4', 'fortran_order': False, 'shape': (128, 128), }
//! ```
//!
//! An own parser, because the crates for this format bring an array library along, while a case
//! needs nothing but bytes in the order the device reads them. bfloat16 has no NumPy type of its
//! own: it is stored as uint16 (or as the two-byte void type that extension packages write).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use protocol::DataType;

use self::header::{Header, parse_header};

mod header;

/// The bytes that every file starts with.
const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy aligns the first element to this many bytes.
const ELEMENTS_ALIGN: usize = 64;

/// A `.npy` file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct NpyError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: NpyProblem,
}

/// What is wrong with a `.npy` file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpyProblem {
    /// The file cannot be read.
    #[error("cannot be read ({0}); check that it exists and may be read")]
    Read(#[source] io::Error),
    /// The file cannot be written.
    #[error("cannot be written ({0}); check the folder and its permissions")]
    Write(#[source] io::Error),
    /// The file does not start like one.
    #[error("is not a .npy file; write it with numpy.save")]
    NotNpy,
    /// A format version this reader does not know.
    #[error("has format version {major}, but 1, 2 and 3 are known; write it with numpy.save")]
    Version {
        /// The major version found.
        major: u8,
    },
    /// The header is cut short or not a dictionary with the three keys.
    #[error("has a damaged header (at character {at}: expected {expected}); write the file again")]
    Header {
        /// Position within the header text.
        at: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// The elements are big-endian.
    #[error(
        "holds big-endian elements ({descr}); save array.astype(array.dtype.newbyteorder('<'))"
    )]
    BigEndian {
        /// The element type as the file names it.
        descr: String,
    },
    /// The elements are in Fortran order.
    #[error("is in Fortran order; save numpy.ascontiguousarray(array)")]
    FortranOrder,
    /// The elements are Python objects or records.
    #[error("holds {descr} elements, which are no plain numbers; save an array of {wanted}")]
    NotNumbers {
        /// The element type as the file names it.
        descr: String,
        /// The element type asked for.
        wanted: String,
    },
    /// The element type is another one.
    #[error(
        "holds {descr} elements, but {wanted} is asked for; save array.astype('{storage}') or \
         correct the dtype"
    )]
    ElementType {
        /// The element type as the file names it.
        descr: String,
        /// The element type asked for.
        wanted: String,
        /// NumPy's name of the type that stores it.
        storage: &'static str,
    },
    /// The shape is another one.
    #[error("has shape {found:?}, but {wanted:?} is asked for; reshape the array or correct it")]
    Shape {
        /// The shape in the file.
        found: Vec<u64>,
        /// The shape asked for.
        wanted: Vec<u32>,
    },
    /// The elements end early, or more follows them.
    #[error("holds {have} bytes of elements, but its shape needs {need}; write the file again")]
    Length {
        /// Bytes that the shape needs.
        need: u64,
        /// Bytes in the file.
        have: u64,
    },
}

/// Reads the elements of a file that must have this type and shape.
///
/// # Errors
///
/// [`NpyError`] with the file and what to do about it.
pub fn read(path: &Path, dtype: DataType, shape: &[u32]) -> Result<Vec<u8>, NpyError> {
    fs::read(path)
        .map_err(NpyProblem::Read)
        .and_then(|bytes| decode(&bytes, dtype, shape).map(<[u8]>::to_vec))
        .map_err(|problem| NpyError { path: path.to_owned(), problem })
}

/// Writes elements to a file that NumPy can load.
///
/// # Errors
///
/// [`NpyProblem::Length`] if the bytes are not those of the shape, [`NpyProblem::Write`].
pub fn write(path: &Path, dtype: DataType, shape: &[u32], elements: &[u8]) -> Result<(), NpyError> {
    encode(dtype, shape, elements)
        .and_then(|bytes| fs::write(path, bytes).map_err(NpyProblem::Write))
        .map_err(|problem| NpyError { path: path.to_owned(), problem })
}

/// Checks a file's bytes and returns those of the elements.
fn decode<'a>(file: &'a [u8], dtype: DataType, shape: &[u32]) -> Result<&'a [u8], NpyProblem> {
    let after_magic = file.strip_prefix(MAGIC).ok_or(NpyProblem::NotNpy)?;
    let &[major, _minor, ref rest @ ..] = after_magic else { return Err(NpyProblem::NotNpy) };
    let cut = NpyProblem::Header { at: 0, expected: "the length of the header" };
    let (header_bytes, rest) = match major {
        1 => {
            let (length, rest) = rest.split_first_chunk().ok_or(cut)?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk().ok_or(cut)?;
            (usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX), rest)
        }
        _ => return Err(NpyProblem::Version { major }),
    };
    let (text, elements) = rest
        .split_at_checked(header_bytes)
        .ok_or(NpyProblem::Header { at: rest.len(), expected: "more of the header" })?;
    let header = parse_header(text)?;
    check_type(&header, dtype)?;
    if header.fortran_order {
        return Err(NpyProblem::FortranOrder);
    }
    if !header.shape.iter().copied().eq(shape.iter().map(|count| u64::from(*count))) {
        return Err(NpyProblem::Shape { found: header.shape, wanted: shape.to_vec() });
    }
    check_length(dtype, shape, elements)?;
    Ok(elements)
}

/// Makes a version 1 file.
fn encode(dtype: DataType, shape: &[u32], elements: &[u8]) -> Result<Vec<u8>, NpyProblem> {
    check_length(dtype, shape, elements)?;
    let counts: String = shape.iter().map(|count| format!("{count}, ")).collect();
    let counts = if shape.len() == 1 { counts.trim_end() } else { counts.trim_end_matches(", ") };
    let (code, _) = storage(dtype);
    let order = if dtype.element_bytes() == 1 { '|' } else { '<' };
    let text =
        format!("{{'descr': '{order}{code}', 'fortran_order': False, 'shape': ({counts}), }}");
    let before = MAGIC.len() + 2 + size_of::<u16>();
    let padded = (before + text.len() + 1).next_multiple_of(ELEMENTS_ALIGN) - before;
    let length = u16::try_from(padded).expect("five dimensions fit in 200 characters");
    let mut file = Vec::with_capacity(before + padded + elements.len());
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&[1, 0]);
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(format!("{text:<width$}\n", width = padded - 1).as_bytes());
    file.extend_from_slice(elements);
    Ok(file)
}

/// NumPy's code and name of the type in which elements of `dtype` are stored.
fn storage(dtype: DataType) -> (&'static str, &'static str) {
    match dtype {
        DataType::Float32 => ("f4", "float32"),
        DataType::Float16 => ("f2", "float16"),
        DataType::Int32 => ("i4", "int32"),
        DataType::Int16 => ("i2", "int16"),
        DataType::Int8 => ("i1", "int8"),
        DataType::Uint8 => ("u1", "uint8"),
        DataType::Int64 => ("i8", "int64"),
        DataType::Uint64 => ("u8", "uint64"),
        DataType::Uint16 | DataType::Bfloat16 => ("u2", "uint16"),
        DataType::Uint32 => ("u4", "uint32"),
    }
}

/// Checks the element type of a header.
fn check_type(header: &Header, dtype: DataType) -> Result<(), NpyProblem> {
    let (code, storage) = storage(dtype);
    let descr = header.descr.clone();
    let wanted = dtype.name().to_lowercase();
    let (order, found) = descr.split_at_checked(1).unwrap_or(("", ""));
    let is_number = ["f", "i", "u"].iter().any(|kind| found.starts_with(kind));
    let is_void16 = dtype == DataType::Bfloat16 && found == "V2";
    match order {
        "<" | "|" | "=" if found == code || is_void16 => Ok(()),
        ">" if found == code && dtype.element_bytes() == 1 => Ok(()),
        ">" if found == code => Err(NpyProblem::BigEndian { descr }),
        "<" | "|" | "=" | ">" if is_number => {
            Err(NpyProblem::ElementType { descr, wanted, storage })
        }
        _ => Err(NpyProblem::NotNumbers { descr, wanted }),
    }
}

/// Checks that the elements are as many bytes as type and shape need.
fn check_length(dtype: DataType, shape: &[u32], elements: &[u8]) -> Result<(), NpyProblem> {
    let need = shape
        .iter()
        .try_fold(dtype.element_bytes(), |bytes, count| bytes.checked_mul((*count).into()))
        .unwrap_or(u64::MAX);
    let have = elements.len() as u64;
    if need == have { Ok(()) } else { Err(NpyProblem::Length { need, have }) }
}

#[cfg(test)]
mod tests;
