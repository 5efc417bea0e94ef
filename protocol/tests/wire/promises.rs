//! What each parser promises of any bytes, checked on whatever it accepts.
//!
//! Apart from the tests because the fuzz targets check the same.

use std::collections::BTreeSet;

use protocol::{
    ArgsBlobView, CallConfig, ChipCallableView, GraphView, find_build_id, identity_hash,
};

/// Checks what a view promises of any bytes that were accepted.
pub(crate) fn check_callable(bytes: &[u8]) {
    let Ok(view) = ChipCallableView::parse(bytes) else { return };
    assert!(!view.orchestration().is_empty());
    assert!(!view.entry_symbol().is_empty() && view.entry_symbol().len() < 64);
    assert_eq!(view.signature().iter().count(), view.signature().len());
    let children: Vec<_> = view.children().collect();
    assert_eq!(children.len(), view.child_count());
    let ids: BTreeSet<_> = children.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids.len(), children.len());
    let mut end = view.orchestration().as_ptr_range().end;
    for (_, child) in &children {
        let range = child.blob.as_ptr_range();
        assert!(range.start >= end, "overlap");
        assert!(!child.binary.is_empty());
        assert!(child.binary.as_ptr_range().end == range.end);
        end = range.end;
    }
    assert!(end == bytes.as_ptr_range().end, "trailing bytes");
}

/// Checks what a view of arguments promises of any bytes that were accepted.
pub(crate) fn check_args(bytes: &[u8]) {
    let Ok(view) = ArgsBlobView::parse(bytes) else { return };
    assert!(view.byte_len() <= bytes.len());
    assert_eq!(view.tensors().count(), view.tensor_count());
    assert_eq!(view.scalars().count(), view.scalar_count());
    for tensor in view.tensors() {
        assert!(tensor.byte_len().is_ok());
    }
    let fits = view.tensor_count() <= 64 && view.scalar_count() <= 128;
    assert_eq!(view.to_chip_storage().is_ok(), fits);
}

/// Checks that every byte sequence has an identity.
pub(crate) fn check_image(bytes: &[u8]) {
    match find_build_id(bytes) {
        Some(id) => {
            assert!(id.len() >= 8);
            assert_eq!(identity_hash(bytes).to_le_bytes(), id[..8]);
        }
        None => assert_eq!(identity_hash(bytes), fnv(bytes)),
    }
}

/// Checks that settings that were accepted and are valid are so.
pub(crate) fn check_config(bytes: &[u8]) {
    let valid = CallConfig::parse(bytes).ok().filter(|config| config.validate().is_ok());
    if let Some(config) = valid {
        assert!(config.block_dim >= 1 && config.aicpu_thread_num >= 1);
        assert!(config.output_prefix().is_ok());
    }
}

/// Checks what a view of a graph promises of any bytes that were accepted: whoever runs it indexes by
/// what it says.
pub(crate) fn check_graph(bytes: &[u8]) {
    // An image begins at a multiple of 8.
    let mut words = vec![0_u64; bytes.len().div_ceil(8)];
    let aligned = &mut zerocopy::IntoBytes::as_mut_bytes(&mut words[..])[..bytes.len()];
    aligned.copy_from_slice(bytes);
    let Ok(view) = GraphView::parse(aligned) else { return };
    assert!(!view.tasks.is_empty());
    let (mut args, mut edges) = (0, 0);
    for (index, task) in view.tasks.iter().enumerate() {
        assert!(task.core_type().is_ok() && task.func_id < 1024);
        assert_eq!(view.args_of(index), &view.args[args..args + view.args_of(index).len()]);
        assert!(view.args_of(index).len() == usize::from(task.arg_count) && task.arg_count <= 16);
        args += view.args_of(index).len();
        edges += view.successors_of(index).len();
        let known = view.successors_of(index).iter().all(|to| (*to as usize) < view.tasks.len());
        assert!(known);
    }
    assert_eq!((args, edges), (view.args.len(), view.successors.len()));
    let roots = (0_u32..).zip(view.tasks).filter(|(_, task)| task.predecessor_count == 0);
    assert!(roots.map(|(root, _)| root).eq(view.roots.iter().copied()));
    let known = GraphView::of_known(aligned);
    assert!(known.is_ok_and(|known| known.tasks == view.tasks && known.args == view.args));
}

/// FNV-1a, written down once more and differently: over 128 bits with a mask.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    let mut hash: u128 = 14_695_981_039_346_656_037;
    for byte in bytes {
        hash ^= u128::from(*byte);
        hash = hash * 1_099_511_628_211 % (1 << 64);
    }
    u64::try_from(hash).unwrap()
}
