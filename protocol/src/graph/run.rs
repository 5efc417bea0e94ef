//! What a run record says where it asks for the run of a graph, and patches of a graph's arguments.
//!
//! Such a record names no orchestration, so that its fields are free. What is here is the one place
//! that knows which field says what:
//!
//! | field of `RuntimeBody` | says |
//! |---|---|
//! | `dev_orch_so_addr`, `dev_orch_so_size` | image |
//! | `dep_pool_size` | number of the image |
//! | `gm_sm_ptr`, `task_window_size` | workspace, which begins with a `SharedMemoryHeader` as the region does |
//! | `gm_heap_ptr`, `heap_size` | patches, and how many |

use crate::addr::DeviceAddr;
use crate::layout::check_layout;
use crate::runtime::RuntimeBody;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A new value for one argument word of a graph that the device has.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct GraphPatch {
    /// Index among all argument words of the graph.
    pub word: u32,
    /// Written as zero.
    pub reserved: u32,
    /// Its new value.
    pub value: u64,
}

check_layout!(GraphPatch, size 16, align 8 { word @ 0, reserved @ 4, value @ 8 });

/// A run of a graph that is in device memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GraphRun {
    /// Where its image is; a multiple of 64.
    pub image: DeviceAddr,
    /// Bytes of the image.
    pub image_bytes: u64,
    /// Number of the image, which its header has too.
    pub number: u64,
    /// Where its workspace is; a multiple of 64.
    pub workspace: DeviceAddr,
    /// Bytes of the workspace, at least what [`WorkspaceLayout`](super::WorkspaceLayout) says.
    pub workspace_bytes: u64,
    /// Where the patches are that are to be applied before it runs; null where there are none.
    pub patches: DeviceAddr,
    /// How many.
    pub patch_count: u64,
}

impl GraphRun {
    /// Writes it into a record; other fields stay.
    pub fn write_to(&self, body: &mut RuntimeBody) {
        body.dev_orch_so_addr = self.image;
        body.dev_orch_so_size = self.image_bytes;
        body.dep_pool_size = self.number;
        body.gm_sm_ptr = self.workspace;
        body.task_window_size = self.workspace_bytes;
        body.gm_heap_ptr = self.patches;
        body.heap_size = self.patch_count;
    }

    /// Reads it from a record that asks for the run of a graph.
    pub fn read_from(body: &RuntimeBody) -> Self {
        Self {
            image: body.dev_orch_so_addr,
            image_bytes: body.dev_orch_so_size,
            number: body.dep_pool_size,
            workspace: body.gm_sm_ptr,
            workspace_bytes: body.task_window_size,
            patches: body.gm_heap_ptr,
            patch_count: body.heap_size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_gives_back_what_was_written_into_it() {
        let run = GraphRun {
            image: DeviceAddr::new(0x1000),
            image_bytes: 1,
            number: 2,
            workspace: DeviceAddr::new(0x2000),
            workspace_bytes: 3,
            patches: DeviceAddr::new(0x3000),
            patch_count: 4,
        };
        let mut body = RuntimeBody::default();
        run.write_to(&mut body);
        assert_eq!(GraphRun::read_from(&body), run);
        assert_eq!(GraphRun::read_from(&RuntimeBody::default()), GraphRun::default());
    }
}
