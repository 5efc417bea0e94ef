// On one chip: a task of many blocks on whole clusters, of which every core's part completes with a
// counter of its own. The counters are raised one after the other by tasks that run beside it.
// Arguments: counters: uint32 [16 * cores], one in each cache line; seen: uint32 [cores]; blocks.
#include "pto_orchestration_api.h"

#define FUNC_WAIT_CUBE 0
#define FUNC_WAIT_VECTOR 1
#define FUNC_RAISE 2
#define FUNC_LOOK 3

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor counters = from_tensor_arg(orch_args.tensor(0));
    Tensor seen = from_tensor_arg(orch_args.tensor(1));
    const uint32_t cores = seen.shapes[0];

    const uint32_t one[1] = {1};
    TensorCreateInfo token(one, 1, DataType::UINT32);
    MixedKernels waits;
    waits.aic_kernel_id = FUNC_WAIT_CUBE;
    waits.aiv0_kernel_id = FUNC_WAIT_VECTOR;
    waits.aiv1_kernel_id = FUNC_WAIT_VECTOR;
    Arg wait;
    wait.add_output(token);
    wait.add_no_dep(counters);
    wait.launch_spec.set_core_num(static_cast<int16_t>(orch_args.scalar(0)));
    TaskOutputTensors waited = rt_submit_task(waits, wait);

    for (uint32_t core = 0; core < cores; ++core) {
        Arg raise;
        raise.add_no_dep(counters);
        raise.add_scalar(core, core == cores - 1 ? uint64_t{5000} : uint64_t{50});
        rt_submit_aiv_task(FUNC_RAISE, raise);
    }

    Arg look;
    look.add_input(waited.get_ref(0));
    look.add_no_dep(counters);
    look.add_output(seen);
    rt_submit_aiv_task(FUNC_LOOK, look);
}
