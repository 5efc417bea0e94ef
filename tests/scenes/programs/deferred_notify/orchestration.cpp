// Two ranks run this: each fills the other's mailbox and notifies it; a task whose completion is
// deferred until the own notification holds back the consumer.
// Arguments: in, out, result: float32; context, notifications to wait for.
#include "pto_orchestration_api.h"

#define FUNC_PRODUCE 0
#define FUNC_NOTIFY 1
#define FUNC_WAIT 2
#define FUNC_CONSUME 3

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor in = from_tensor_arg(orch_args.tensor(0));
    Tensor out = from_tensor_arg(orch_args.tensor(1));
    Tensor result = from_tensor_arg(orch_args.tensor(2));
    const uint64_t context = orch_args.scalar(0);

    // The wait first: it must not keep what it waits for from running.
    const uint32_t one[1] = {1};
    TensorCreateInfo token(one, 1, DataType::UINT32);
    Arg wait;
    wait.add_output(token);
    wait.add_scalar(context, orch_args.scalar(1));
    TaskOutputTensors waited = rt_submit_aiv_task(FUNC_WAIT, wait);

    Arg produce;
    produce.add_input(in);
    produce.add_output(out);
    produce.add_scalar(context);
    rt_submit_aiv_task(FUNC_PRODUCE, produce);

    Arg notify;
    notify.add_input(out);
    notify.add_scalar(context);
    rt_submit_aiv_task(FUNC_NOTIFY, notify);

    Arg consume;
    consume.add_input(waited.get_ref(0));
    consume.add_output(result);
    consume.add_scalar(context);
    rt_submit_aiv_task(FUNC_CONSUME, consume);
}
