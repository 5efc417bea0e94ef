// Every name of the interface, with a result that can be seen where there is one.
// Arguments: out (64 cells), floats (2 x 3 float32); 7, 0xfffffffe, 3.
#include "pto_orchestration_api.h"

#define FUNC_SHOW 0
#define FUNC_SHOW_CUBE 1

#ifdef SIMPLER_CHIP_A5
using TaskSubmitResult = TaskOutputTensors;  // a5 has no such alias, so the name is free
#endif

namespace {
// Cells are written by the orchestration from the front, by tasks behind that.
struct Notes {
    Tensor out;
    uint32_t next = 0;

    void operator()(uint64_t value) {
        set_tensor_data(out, 1, &next, value);
        ++next;
    }

    // A task's own cells: as many as its scalars, and one more.
    Tensor room(uint32_t count) {
        Tensor cells = out.view(&count, &next);
        next += count;
        return cells;
    }
};

void of_arguments(const ChipStorageTaskArgs &orch_args, Notes &note) {
    const ContinuousTensor &floats = orch_args.tensor(1);
    note(floats.nbytes());                          // 24
    note(floats.is_child_memory() ? 1 : 0);         // 0
    note(floats.shapes[0] * 10 + floats.shapes[1]);  // 23
    note(floats.dtype == DataType::FLOAT32 && floats.data_as<float>() != nullptr ? 1 : 0);
    note(static_cast<uint64_t>(orch_args.tensor_count() * 10 + orch_args.scalar_count()));  // 23
    note(orch_args.scalar(0) + orch_args.scalars()[2] + orch_args.scalar_data()[2]);        // 13
    note(static_cast<uint64_t>(from_u64<int32_t>(orch_args.scalar(1)) + 10));               // 8
    note(orch_args.tensor_data()[0].shapes[0]);                                             // 64
    ChipStorageTaskArgs built{};
    built.add_tensor(floats);
    built.add_scalar(5);
    note(static_cast<uint64_t>(built.tensor_count() + built.scalar_count()));  // 2
    built.clear();
    note(static_cast<uint64_t>(built.tensor_count() + built.scalar_count()));  // 0
}

void of_tensors(const ChipStorageTaskArgs &orch_args, Notes &note) {
    Tensor floats = from_tensor_arg(orch_args.tensor(1));
    note(floats.numel() * 100 + floats.buffer.size);  // 624
    const uint32_t six[1] = {6}, turned[2] = {3, 2}, one_row[2] = {1, 3}, second[2] = {1, 0};
    Tensor line = floats.reshape(six, 1);
    note(line.ndims * 10 + line.shapes[0]);  // 16
    Tensor flipped = floats.transpose(0, 1);
    note(flipped.shapes[0] * 10 + flipped.shapes[1]);  // 32
    Tensor row = floats.view(one_row, second, true);
    note(row.start_offset * 10 + (row.manual_dep ? 1 : 0));  // 31
    note((floats.valid_reshape(turned, 2) ? 1 : 0) + (floats.valid_reshape(one_row, 2) ? 2 : 0));
    note((floats.valid_transpose(0, 1) ? 1 : 0) + (floats.valid_transpose(0, 2) ? 2 : 0));  // 1
    note(row.is_same_memref(floats) && row.is_contiguous() ? 1 : 0);
    note(row.compute_flat_offset(second, 1));  // 2
    const uint32_t first[2] = {0, 0};
    note(to_u64(get_tensor_data<float>(row, 2, first)));  // the bits of the fourth element
    set_tensor_data<float>(row, 2, first, -2.0f);
    note(get_tensor_data(row, 2, first));
    row.update_start_offset();
    note(row.start_offset);  // 3
    line.copy(flipped);
    note(line.ndims + line.get_raw_shapes()[0]);  // 5
    Tensor by_hand = make_tensor_external(orch_args.tensor(1).data_as<void>(), six, 1);
    note(by_hand.dtype == DataType::FLOAT32 && !by_hand.owner_task_id.is_valid() ? 1 : 0);
    note(by_hand.dump().find("FLOAT32") != std::string::npos ? 1 : 0);
    uint64_t widths = 0;
    for (uint8_t i = 0; i < static_cast<uint8_t>(DataType::DATA_TYPE_NUM); ++i) {
        widths = widths * 10 + get_element_size(static_cast<DataType>(i));
    }
    note(widths);  // 42421128824, of FLOAT32 to UINT32
    note(strcmp(get_dtype_name(DataType::BFLOAT16), "BFLOAT16") == 0 ? 1 : 0);
}

void of_tasks(Notes &note) {
    const uint64_t wide[2] = {~uint64_t{0}, 12};
    const int32_t narrow[3] = {-1, 0, 5};
    Arg source;
    source.add_scalars(wide, 2);
    source.add_scalars_i32(narrow, 3);

    Arg args;
    Tensor cells = note.room(9);
    args.add_no_dep(cells);
    args.add_scalar(8);
    args.copy_scalars_from(source, 0, 3);
    args.add_scalar(1.5f, int8_t{-1}, true, DataType::INT8, 2.0);
    // tensors, scalars, the tag, that the tensor is this one, and no error
    const bool right = args.tensor_count() == 1 && args.scalar_count() == 9 &&
                       args.tag(0) == TensorArgType::NO_DEP && args.tensor(0).ptr == &cells &&
                       args.scalar(1) == wide[0] && !args.has_error;
    note(right ? 1 : 0);
    TaskSubmitResult shown = rt_submit_aiv_task(FUNC_SHOW, args);
    note((shown.empty() ? 1 : 0) + shown.size());  // 1
    const PTO2TaskId id = shown.task_id();
    const PTO2TaskId same = PTO2TaskId::make(id.ring(), id.local());
    note(id == same && !(id != same) && id.is_valid() && !id.is_invalid() ? 1 : 0);
    note(PTO2TaskId::invalid().is_invalid() ? 1 : 0);

    Arg later;
    Tensor more = note.room(2);
    later.add_dep(id);
    later.add_inout(more);
    later.add_scalar(1, 77);
    note(later.explicit_dep_count() + (later.explicit_dep(0) == id ? 1 : 0) +
         (later.explicit_deps_data()[0] == id ? 1 : 0));  // 3
    later.launch_spec.set_core_num(1);
    later.launch_spec.set_block_num(1);
    later.launch_spec.set_require_sync_start(true);
    note(static_cast<uint64_t>(later.launch_spec.block_num() + later.launch_spec.core_num()) +
         (later.launch_spec.require_sync_start() ? 10 : 0));  // 12
    rt_submit_aic_task(FUNC_SHOW_CUBE, later);
    later.reset();
    note(static_cast<uint64_t>(later.tensor_count() + later.scalar_count()) +
         later.explicit_dep_count() + (later.launch_spec.require_sync_start() ? 1 : 0));  // 1
    MixedKernels kernels;
    kernels.aiv0_kernel_id = FUNC_SHOW;
    Tensor last = note.room(2);
    later.add_output(last);
    later.add_scalar(1, 78);
    rt_submit_task(kernels, later);
    later.clear();
    later.set_error("first");
    later.set_error("second");
    note(later.has_error && strcmp(later.error_msg, "first") == 0 ? 1 : 0);
}

void of_scopes(Notes &note) {
    const uint32_t four[1] = {4};
    TensorCreateInfo info(four, 1, DataType::UINT64), list[2] = {info, info};
    info.set_initial_value<uint64_t>(31);
    note(info.buffer_size_bytes());  // 32
    const uint32_t last[1] = {3};
    PTO2_SCOPE() {
        TaskOutputTensors room = alloc_tensors(info);
        note(get_tensor_data(room.get_ref(0), 1, last));  // 31
        note(room.get_ref(0).buffer.size);                // 1024
        PTO2_SCOPE(PTO2ScopeMode::MANUAL) {
            TaskOutputTensors two = alloc_tensors(list, 2);
            note(two.size());  // 2
        }
    }
    {
        PTO2_SCOPE_GUARD();
        Arg args;
        args.add_output(info, list[0], list[1]);
        note(alloc_tensors(args).size());  // 3
    }
    {
        PTO2ScopeGuard guard(PTO2ScopeMode::MANUAL);
        note(alloc_tensors(info, info).size());  // 2
    }
    rt_scope_begin(PTO2ScopeMode::MANUAL);
    rt_scope_end();
    rt_scope_begin();
    rt_scope_end();
    note(rt_is_fatal() ? 1 : 0);  // 0
    always_assert(!rt_is_fatal());
    debug_assert(!rt_is_fatal());
}

void of_logs() {
    LOG_ERROR("%s of the interface", "error");
    LOG_WARN("%s of the interface", "warning");
    LOG_DEBUG("%d", 1);
    LOG_INFO_V0("0"); LOG_INFO_V1("1"); LOG_INFO_V2("2"); LOG_INFO_V3("3"); LOG_INFO_V4("4");
    LOG_INFO_V5("5"); LOG_INFO_V6("6"); LOG_INFO_V7("7"); LOG_INFO_V8("8"); LOG_INFO_V9("%.1f", 9.0);
}
}  // namespace

extern "C" {

PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 5};
}

void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Notes note{from_tensor_arg(orch_args.tensor(0), false, 0)};
    of_arguments(orch_args, note);
    of_tensors(orch_args, note);
    of_tasks(note);
    of_scopes(note);
    of_logs();
    rt_orchestration_done();  // the executor's call; a second one changes nothing
}

// The interface after a fatal report, in a run of its own.
void reports_fatal(const ChipStorageTaskArgs &orch_args) {
    Notes note{from_tensor_arg(orch_args.tensor(0))};
    rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL, "%d of %s", 3, "many");
    of_scopes(note);
}

}  // extern "C"
