// The part of the interface that no published source uses.
#include "pto_orchestration_api.h"

#ifdef SIMPLER_CHIP_A5
using TaskSubmitResult = TaskOutputTensors;  // a5 has no such alias, so the name is free
#endif

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    const ContinuousTensor &raw = orch_args.tensor(0);
    if (raw.is_child_memory()) LOG_WARN("%llu bytes stay", (unsigned long long)raw.nbytes());
    LOG_DEBUG("%s, %d values", get_dtype_name(DataType::BFLOAT16), orch_args.scalar_count());
    LOG_INFO_V1("1");
    LOG_INFO_V2("2 %d", 2);
    LOG_INFO_V3("3");
    LOG_INFO_V4("4 %s", "four");
    LOG_INFO_V5("5");
    LOG_INFO_V6("6");
    LOG_INFO_V7("7");
    LOG_INFO_V8("8 %u %u", 8u, 8u);

    Tensor whole = from_tensor_arg(raw, true, 1);
    const uint32_t flat[1] = {static_cast<uint32_t>(whole.numel())};
    const uint32_t grid[2] = {2, flat[0] / 2};
    Tensor line = whole.reshape(flat, 1);
    Tensor square = line.reshape(grid, 2, true);
    Tensor turned = square.transpose(0, 1);
    Tensor again = turned.transpose(0, 1, true);
    always_assert(again.is_same_memref(whole));
    always_assert(whole.valid_reshape(flat, 1) && square.valid_transpose(0, 1));
    always_assert(std::is_same<Tensor, decltype(again)>::value);
    debug_assert(line.is_contiguous());
    const uint32_t origin[2] = {0, 0};
    LOG_INFO_V9("%s at %llu", square.dump().c_str(),
                (unsigned long long)square.compute_flat_offset(origin, 2));
    line.update_start_offset();
    square.copy(turned);

    const uint64_t wide[2] = {1, 2};
    const int32_t narrow[3] = {-1, 0, 1};
    Arg source;
    source.add_scalars(wide, 2);
    source.add_scalars_i32(narrow, 3);

    Arg args;
    args.add_no_dep(whole, line);
    args.copy_scalars_from(source, 1, 4);
    args.add_scalar(to_u64(1.5f), from_u64<int32_t>(7), true, 'c', 2.0, DataType::INT8);
    args.add_scalar(orch_args.scalars()[0], orch_args.scalar_data()[1]);
    if (args.tensor_count() != 2 || args.scalar_count() != 12) args.set_error("counted wrongly");
    if (args.explicit_dep_count() == 1) args.add_dep(args.explicit_dep(0));
    if (args.has_error) LOG_ERROR("%s", args.error_msg);
    if (args.tag(0) != TensorArgType::NO_DEP || args.tensor(0).ptr != &whole) return;

    TaskSubmitResult result = rt_submit_aiv_task(0, args);
    if (result.empty() || result.size() == 0) LOG_DEBUG("no outputs");
    PTO2TaskId id = result.task_id();
    PTO2TaskId same = PTO2TaskId::make(id.ring(), id.local());
    if (id != same || !(id == same) || id.is_invalid()) LOG_ERROR("ids differ");
    args.clear();
    if (rt_is_fatal()) rt_orchestration_done();

    ChipStorageTaskArgs built;
    built.add_tensor(orch_args.tensor_data()[0]);
    built.add_scalar(1);
    built.tensor(0).child_memory = 1;
    built.scalar(0) = 2;
    built.clear();
    if (PTO2AsyncEngine::CCU == PTO2AsyncEngine::SDMA) return;
    if (PTO2AsyncEngine::ROCE == PTO2AsyncEngine::URMA) return;
    if (PTO2CompletionType::COUNTER == PTO2CompletionType::SDMA_EVENT_RECORD) return;
}
