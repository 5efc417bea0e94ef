//! Valid records as bytes, built by hand from the offsets in spec callable §1.3-1.8.

/// Start of a callable's storage.
pub(crate) const STORAGE: usize = 8596;
/// Offset of a kernel's code.
pub(crate) const CODE: usize = 128;

/// Overwrites bytes at `at` with a little-endian number.
pub(crate) fn put<const N: usize>(bytes: &mut [u8], at: usize, number: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&number);
}

/// A graph as an image: a diamond of four tasks, of which the third has no argument.
pub(crate) fn graph() -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..4].copy_from_slice(b"SRXG");
    put(&mut bytes, 4, 1u16.to_le_bytes());
    // Tasks, edges, argument words, roots.
    for (at, count) in [(8, 4), (12, 4), (16, 4), (20, 1)] {
        put(&mut bytes, at, u32::to_le_bytes(count));
    }
    put(&mut bytes, 24, 5u64.to_le_bytes());
    // First argument, first successor, predecessors; func_id, arguments, kind of core.
    let tasks = [
        ([0, 0, 0], [7, 2, 0]),
        ([2, 2, 1], [8, 1, 1]),
        ([3, 3, 1], [8, 0, 1]),
        ([3, 4, 2], [9, 1, 0]),
    ];
    for (words, [func_id, arguments, core]) in tasks {
        bytes.extend(words.iter().flat_map(|word: &u32| word.to_le_bytes()));
        bytes.extend([func_id, 0, arguments, core]);
    }
    bytes.extend((10..14).flat_map(u64::to_le_bytes));
    bytes.extend([1, 2, 3, 3, 0].iter().flat_map(|word: &u32| word.to_le_bytes()));
    let length = bytes.len() as u64;
    put(&mut bytes, 40, length.to_le_bytes());
    bytes
}

/// A kernel with the given directions and code.
pub(crate) fn kernel(signature: &[i32], code: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; CODE + code.len()];
    for (index, direction) in signature.iter().enumerate() {
        put(&mut bytes, 4 * index, direction.to_le_bytes());
    }
    put(&mut bytes, 64, i32::try_from(signature.len()).unwrap().to_le_bytes());
    put(&mut bytes, 68, u32::try_from(code.len()).unwrap().to_le_bytes());
    bytes[CODE..].copy_from_slice(code);
    bytes
}

/// What goes into a callable.
#[derive(Clone, Default)]
pub(crate) struct Parts<'a> {
    pub(crate) signature: &'a [i32],
    pub(crate) image: &'a [u8],
    pub(crate) entry: &'a str,
    pub(crate) config: &'a str,
    pub(crate) kernels: &'a [(i32, Vec<u8>)],
}

/// A callable laid out as every builder does: image, then kernels at multiples of 64.
pub(crate) fn callable(parts: &Parts<'_>) -> Vec<u8> {
    let mut bytes = vec![0; STORAGE];
    for (index, direction) in parts.signature.iter().enumerate() {
        put(&mut bytes, 4 * index, direction.to_le_bytes());
    }
    put(&mut bytes, 256, i32::try_from(parts.signature.len()).unwrap().to_le_bytes());
    put(&mut bytes, 260, u32::try_from(parts.image.len()).unwrap().to_le_bytes());
    for (at, name) in [(264, parts.entry), (8528, parts.config)] {
        bytes[at..at + name.len()].copy_from_slice(name.as_bytes());
        put(&mut bytes, at + 64, u32::try_from(name.len()).unwrap().to_le_bytes());
    }
    bytes.extend_from_slice(parts.image);
    for (index, (func_id, kernel)) in parts.kernels.iter().enumerate() {
        let offset = (bytes.len() - STORAGE).next_multiple_of(64);
        bytes.resize(STORAGE + offset, 0);
        put(&mut bytes, 332 + 4 * index, func_id.to_le_bytes());
        put(&mut bytes, 4428 + 4 * index, u32::try_from(offset).unwrap().to_le_bytes());
        bytes.extend_from_slice(kernel);
    }
    put(&mut bytes, 8524, i32::try_from(parts.kernels.len()).unwrap().to_le_bytes());
    bytes
}

/// A callable of 100 bytes of image and two kernels, whose offsets are 128 and 320.
pub(crate) fn two_kernels() -> Vec<u8> {
    callable(&Parts {
        signature: &[1, 1, 2, 0],
        image: &[0x11; 100],
        entry: "build_graph",
        config: "graph_config",
        kernels: &[(7, kernel(&[1, 2], &[0xA7; 10])), (1023, kernel(&[3], &[0xB3; 20]))],
    })
}

/// A dense tensor record.
pub(crate) fn tensor(data: u64, shape: &[u32], dtype: u8, child_memory: u8) -> Vec<u8> {
    let mut bytes = vec![0; 40];
    put(&mut bytes, 0, data.to_le_bytes());
    for (index, dim) in shape.iter().enumerate() {
        put(&mut bytes, 8 + 4 * index, dim.to_le_bytes());
    }
    put(&mut bytes, 28, u32::try_from(shape.len()).unwrap().to_le_bytes());
    bytes[32] = dtype;
    bytes[33] = child_memory;
    bytes
}

/// Arguments as they travel between processes.
pub(crate) fn args_blob(tensors: &[Vec<u8>], scalars: &[u64]) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    put(&mut bytes, 0, i32::try_from(tensors.len()).unwrap().to_le_bytes());
    put(&mut bytes, 4, i32::try_from(scalars.len()).unwrap().to_le_bytes());
    bytes.extend(tensors.iter().flatten());
    bytes.extend(scalars.iter().flat_map(|scalar| scalar.to_le_bytes()));
    bytes
}

/// One ELF note: name with its NUL, and descriptor, both padded to 4.
pub(crate) fn note(name: &[u8], kind: u32, descriptor: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 12];
    put(&mut bytes, 0, u32::try_from(name.len()).unwrap().to_le_bytes());
    put(&mut bytes, 4, u32::try_from(descriptor.len()).unwrap().to_le_bytes());
    put(&mut bytes, 8, kind.to_le_bytes());
    for part in [name, descriptor] {
        bytes.extend_from_slice(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// A 64-bit ELF image: header, a program header per segment, then the segments' bytes.
pub(crate) fn elf(segments: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0; 64 + 56 * segments.len()];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    put(&mut bytes, 32, 64u64.to_le_bytes());
    put(&mut bytes, 54, 56u16.to_le_bytes());
    put(&mut bytes, 56, u16::try_from(segments.len()).unwrap().to_le_bytes());
    for (index, (kind, content)) in segments.iter().enumerate() {
        let header = 64 + 56 * index;
        let offset = u64::try_from(bytes.len()).unwrap();
        put(&mut bytes, header, kind.to_le_bytes());
        put(&mut bytes, header + 8, offset.to_le_bytes());
        put(&mut bytes, header + 32, u64::try_from(content.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(content);
    }
    bytes
}
