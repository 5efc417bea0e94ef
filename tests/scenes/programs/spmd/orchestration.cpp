// Tasks of many blocks. The scalars after the first say which tasks: bits 0 to 15 blocks, bit 16
// whole clusters instead of vector cores, bit 17 common start, bits 18 to 31 group (see `meetings`).
// The lines of a task follow those of the one before.
#include "pto_orchestration_api.h"

#define FUNC_CUBE 0
#define FUNC_VECTOR 1

namespace {
enum class Sharing : uint64_t {
    IN_LINE = 0,   // each task changes the whole tensor, so they run one after the other
    DISJOINT = 1,  // each task changes a view of its own
    NO_DEP = 2,    // all use the whole tensor without any order
};

struct Task {
    explicit Task(uint64_t bits)
        : blocks(bits & 0xFFFF),
          lines_per_block((bits >> 16 & 1) != 0 ? 3 : 1),
          has_common_start((bits >> 17 & 1) != 0),
          group(bits >> 18) {}

    uint32_t lines() const { return blocks * lines_per_block; }

    void submit(Arg &args) const {
        const bool is_whole = lines_per_block == 3;
        MixedKernels kernels;
        if (is_whole) kernels.aic_kernel_id = FUNC_CUBE;
        kernels.aiv0_kernel_id = FUNC_VECTOR;
        if (is_whole) kernels.aiv1_kernel_id = FUNC_VECTOR;
        args.launch_spec.set_core_num(static_cast<int16_t>(blocks));
        args.launch_spec.set_require_sync_start(has_common_start);
        rt_submit_task(kernels, args);
    }

    uint32_t blocks;
    uint32_t lines_per_block;
    bool has_common_start;
    uint32_t group;
};

Tensor lines_of(const Tensor &out, uint32_t line, uint32_t count) {
    const uint32_t shape[1] = {count * 16};
    const uint32_t offset[1] = {line * 16};
    return out.view(shape, offset);
}
}  // namespace

extern "C" {

// Arguments: out: float32; sharing, tasks.
void marked(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    const auto sharing = static_cast<Sharing>(orch_args.scalar(0));
    uint32_t line = 0;
    for (int32_t i = 1; i < orch_args.scalar_count(); ++i) {
        const Task task(orch_args.scalar(i));
        Tensor own = lines_of(out, line, task.lines());
        Arg args;
        if (sharing == Sharing::IN_LINE) args.add_inout(out);
        if (sharing == Sharing::DISJOINT) args.add_inout(own);
        if (sharing == Sharing::NO_DEP) args.add_no_dep(out);
        const bool is_view = sharing == Sharing::DISJOINT;
        args.add_scalar(is_view ? uint64_t{0} : uint64_t{line}, uint64_t{task.lines_per_block});
        task.submit(args);
        line += task.lines();
    }
}

// The same with disjoint views. The cores of all tasks of a group meet at the group's counter.
// Arguments: out: float32, counters: uint64, one for each group; cores of each group, tasks.
void meetings(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    Tensor counters = from_tensor_arg(orch_args.tensor(1));
    const uint64_t cores = orch_args.scalar(0);
    uint32_t line = 0;
    for (int32_t i = 1; i < orch_args.scalar_count(); ++i) {
        const Task task(orch_args.scalar(i));
        Tensor own = lines_of(out, line, task.lines());
        const uint32_t one[1] = {1};
        const uint32_t offset[1] = {task.group};
        Tensor counter = counters.view(one, offset);
        Arg args;
        args.add_inout(own);
        args.add_no_dep(counter);
        args.add_scalar(uint64_t{0}, uint64_t{task.lines_per_block}, cores);
        task.submit(args);
        line += task.lines();
    }
}

}  // extern "C"
