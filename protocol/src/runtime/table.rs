//! The run record under the names of the layout tables, which know no separate body.

use super::{RuntimeA2a3, RuntimeA5, RuntimeBody};
use crate::chip::ChipName;
use crate::layout::{FieldLayout, StructLayout, field_size};
use core::mem::offset_of;

/// Builds a table entry from fields of [`RuntimeBody`].
macro_rules! body_fields {
    ($($field:ident as $table:literal),+ $(,)?) => {
        &[$(FieldLayout {
            name: $table,
            offset: offset_of!(RuntimeBody, $field),
            size: field_size::<RuntimeBody, _>(|body| &raw const body.$field),
        }),+]
    };
}

/// The body's fields, at their offsets in the body. Padding and our extension are not in a table.
const BODY: &[FieldLayout] = body_fields![
    worker_count as "worker_count",
    sche_cpu_num as "sche_cpu_num",
    ready_queue_shards as "ready_queue_shards",
    task_window_size as "task_window_size",
    heap_size as "heap_size",
    dep_pool_size as "dep_pool_size",
    func_id_to_addr as "func_id_to_addr_",
    orch_to_sched as "orch_to_sched",
    tensor_pairs as "tensor_pairs",
    tensor_pair_count as "tensor_pair_count",
    registered_kernel_func_ids as "registered_kernel_func_ids_",
    registered_kernel_count as "registered_kernel_count_",
    orch_built_on_host as "orch_built_on_host_",
    gm_sm_ptr as "gm_sm_ptr_",
    gm_heap_ptr as "gm_heap_ptr_",
    slot_states_ptr as "slot_states_ptr_",
    orch_args as "orch_args_storage_",
    dev_orch_so_addr as "dev_orch_so_addr_",
    dev_orch_so_size as "dev_orch_so_size_",
    active_callable_id as "active_callable_id_",
    register_new_callable_id as "register_new_callable_id_",
    device_orch_func_name as "device_orch_func_name_",
    device_orch_config_name as "device_orch_config_name_",
    host_api as "host_api",
    pending_orch_so_data as "pending_orch_so_data_",
    pending_orch_so_size as "pending_orch_so_size_",
    pending_host_dlopen_handle as "pending_host_dlopen_handle_",
    pending_host_orch_func_ptr as "pending_host_orch_func_ptr_",
];

/// Number of fields in a chip's table.
const COUNT: usize = BODY.len() + 1;

/// Puts the handshakes in front of the body's fields.
const fn flatten(workers: usize, body: usize) -> [FieldLayout; COUNT] {
    let mut fields = [FieldLayout { name: "workers", offset: 0, size: workers }; COUNT];
    let mut index = 0;
    while index < BODY.len() {
        fields[index + 1] = BODY[index].shifted(body);
        index += 1;
    }
    fields
}

/// The run record of a2a3.
pub(crate) const RUNTIME_A2A3: StructLayout = StructLayout {
    table: "Runtime",
    chip: Some(ChipName::A2a3),
    size: size_of::<RuntimeA2a3>(),
    align: align_of::<RuntimeA2a3>(),
    fields: &const {
        flatten(
            field_size::<RuntimeA2a3, _>(|value| &raw const value.workers),
            offset_of!(RuntimeA2a3, body),
        )
    },
};

/// The run record of a5.
pub(crate) const RUNTIME_A5: StructLayout = StructLayout {
    table: "Runtime",
    chip: Some(ChipName::A5),
    size: size_of::<RuntimeA5>(),
    align: align_of::<RuntimeA5>(),
    fields: &const {
        flatten(
            field_size::<RuntimeA5, _>(|value| &raw const value.workers),
            offset_of!(RuntimeA5, body),
        )
    },
};
