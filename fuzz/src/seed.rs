//! Valid inputs of each target: what the fuzzer starts from.

use crate::protocol_tests::sample::{args_blob, elf, graph, note, tensor, two_kernels};
use crate::support::specimens::specimens;

/// Returns the seeds of a target; `None` if there is no such target.
pub fn seeds(target: &str) -> Option<Vec<Vec<u8>>> {
    Some(match target {
        "plan" => specimens().iter().map(|(_, specimen)| specimen.bytes.clone()).collect(),
        // Every image, with a patch that changes nothing.
        "plan_patches" => (0..4).map(|image| [&[image][..], &[0, 4], &[0; 10]].concat()).collect(),
        "callable_blob" => vec![two_kernels()],
        "args_blob" => {
            let tensors = [tensor(0x1000, &[2, 3, 4], 0, 0), tensor(0x2000, &[7], 1, 1)];
            vec![args_blob(&tensors, &[1, 2, u64::MAX]), args_blob(&[], &[])]
        }
        "call_config" => vec![[vec![1, 0, 0, 0, 2, 0, 0, 0], vec![0; 1036]].concat()],
        "build_id" => {
            let notes = [note(b"GNU\0", 1, &[0; 16]), note(b"GNU\0", 3, &[0xA5; 20])].concat();
            vec![elf(&[(1, vec![1; 16]), (4, notes)])]
        }
        "graph_image" => vec![graph()],
        "image_cache" => crate::kept::entries(),
        _ => return None,
    })
}
