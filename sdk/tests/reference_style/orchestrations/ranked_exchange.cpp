// A demo of two chips: the communicator arrives as a tensor, entry and config have own names.
#include <stdint.h>

#include "platform_comm/comm_context.h"
#include "pto_orchestration_api.h"

#define FUNC_PRODUCER 0
#define FUNC_NOTIFY_WAIT 1

extern "C" PTO2OrchestrationConfig async_notify_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 3};
}

extern "C" void async_notify_orchestration(const ChipStorageTaskArgs &orch_args) {
    auto *comm = reinterpret_cast<CommContext *>(static_cast<uintptr_t>(orch_args.scalar(0)));
    uint32_t peer = comm->rankId == 0 ? 1 : 0;
    if (peer >= comm->rankNum) {
        rt_report_fatal(PTO2_ERROR_INVALID_ARGS, "rank %u of %u", peer, comm->rankNum);
        return;
    }
    Tensor in = from_tensor_arg(orch_args.tensor(0));
    uint32_t window_shape[1] = {static_cast<uint32_t>(comm->winSize / sizeof(float))};
    Tensor window = make_tensor_external(reinterpret_cast<void *>(comm->windowsIn[peer]),
                                         window_shape, 1, DataType::FLOAT32, true);
    Arg produce;
    produce.add_input(in);
    produce.add_inout(window);
    produce.add_scalar(orch_args.scalar(0), comm->windowsOut[peer], comm->workSpace);
    TaskOutputTensors produced = rt_submit_aiv_task(FUNC_PRODUCER, produce);

    Arg wait;
    wait.add_input(window);
    wait.add_dep(produced.task_id());
    wait.add_scalar(comm->workSpaceSize);
    rt_submit_aiv_task(FUNC_NOTIFY_WAIT, wait);
}
