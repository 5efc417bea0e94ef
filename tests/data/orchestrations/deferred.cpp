// Tasks whose kernels return before the tasks are complete.
#include "cells.h"

#define FUNC_AWAIT 4
#define FUNC_OBSERVE 5
#define FUNC_NOTIFY 6
#define FUNC_SEND 7
#define FUNC_RECEIVE 8
#define FUNC_WRONG 9
#define FUNC_AWAIT_CUBE 10

namespace {
// Counters in memory, one in each cache line.
struct Counters {
    uint64_t address;
    static constexpr uint64_t STRIDE = 64;

    uint64_t at(uint64_t index) const { return address + STRIDE * index; }
};

// Arguments of a task that waits: from each block and lane for `conditions` counters.
struct Wait {
    uint64_t address = 0;
    uint64_t stride = Counters::STRIDE;
    uint64_t expected = 1;
    uint64_t conditions = 1;
    uint64_t type = 0;
    uint64_t block_stride = 0;
    uint64_t lane_stride = 0;
};

void add_wait(Arg &args, const Tensor &state, const Wait &wait) {
    args.add_inout(state);
    args.add_scalar(wait.address, wait.stride, wait.expected, wait.conditions, wait.type,
                    wait.block_stride, wait.lane_stride);
}

void await(const Tensor &state, const Wait &wait, int16_t blocks = 1) {
    Arg args;
    add_wait(args, state, wait);
    args.launch_spec.set_block_num(blocks);
    rt_submit_aiv_task(FUNC_AWAIT, args);
}

void observe(const Tensor &out, Counters counters) {
    Arg args;
    args.add_inout(out);
    args.add_scalar(counters.address, Counters::STRIDE);
    rt_submit_aiv_task(FUNC_OBSERVE, args);
}

void notify(uint64_t counter, uint64_t value, bool set) {
    Arg args;
    args.add_scalar(counter, value, uint64_t{set}, LINGER);
    rt_submit_aiv_task(FUNC_NOTIFY, args);
}
}  // namespace

extern "C" {

PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 2};
}

// Waits for one counter, which tasks raise and then set. Arguments: out; counters.
void notified_by_tasks(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    const Counters counters{orch_args.scalar(0)};
    await(out, Wait{.address = counters.at(0), .expected = 7});
    observe(out, counters);
    for (int i = 0; i < 3; ++i) notify(counters.at(0), 1, false);
    Tensor order = fill_new(1, 0);
    for (int i = 0; i < 5; ++i) append(order, order, 1, LINGER);
    const uint32_t at[1] = {0};
    get_tensor_data<uint64_t>(order, 1, at);
    notify(counters.at(0), 7, true);
}

// One task of as many blocks as there are cells; each waits for a counter of its own. With
// `together`, all blocks start at once. Arguments: out; counters, whether together.
void blocks(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    const Counters counters{orch_args.scalar(0)};
    const uint32_t count = out.shapes[0];
    Arg args;
    add_wait(args, out, Wait{.address = counters.at(0), .block_stride = Counters::STRIDE});
    args.launch_spec.set_block_num(static_cast<int16_t>(count));
    args.launch_spec.set_require_sync_start(orch_args.scalar(1) != 0);
    rt_submit_aiv_task(FUNC_AWAIT, args);
    observe(out, counters);
    // The last first, so that the conditions come true in no order of the blocks.
    for (uint32_t i = count; i > 0; --i) notify(counters.at(i - 1), 1, false);
}

// One task on whole clusters; each lane of each block waits for a counter of its own.
// Arguments: out, three cells a block; counters.
void lanes(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    const Counters counters{orch_args.scalar(0)};
    const uint32_t count = out.shapes[0];
    MixedKernels kernels;
    kernels.aic_kernel_id = FUNC_AWAIT_CUBE;
    kernels.aiv0_kernel_id = FUNC_AWAIT;
    kernels.aiv1_kernel_id = FUNC_AWAIT;
    Arg args;
    add_wait(args, out,
             Wait{.address = counters.at(0),
                  .block_stride = 3 * Counters::STRIDE,
                  .lane_stride = Counters::STRIDE});
    args.launch_spec.set_block_num(static_cast<int16_t>(count / 3));
    rt_submit_task(kernels, args);
    observe(out, counters);
    for (uint32_t i = count; i > 0; --i) notify(counters.at(i - 1), 1, false);
}

// A task, as the scalars say, and a consumer.
// Arguments: out; counters, stride, expected value, conditions, type, blocks.
void waits(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    const Counters counters{orch_args.scalar(0)};
    await(out,
          Wait{.address = orch_args.scalar(0),
               .stride = orch_args.scalar(1),
               .expected = orch_args.scalar(2),
               .conditions = orch_args.scalar(3),
               .type = orch_args.scalar(4)},
          static_cast<int16_t>(orch_args.scalar(5)));
    if (counters.address != 0) observe(out, counters);
}

// Reads what a deferred task has written. Arguments: out; counters, expected value.
void reads(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    const Counters counters{orch_args.scalar(0)};
    await(out, Wait{.address = counters.at(0), .expected = orch_args.scalar(1)});
    const uint32_t at[1] = {0};
    const uint64_t before = get_tensor_data<uint64_t>(out, 1, at);
    fill(out, before + 1);
}

// A kernel that leaves what it should not. Arguments: out; error code, count.
void wrong(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    fill(out, 666);
    Arg args;
    args.add_inout(out);
    args.add_scalar(orch_args.scalar(0), orch_args.scalar(1));
    rt_submit_aiv_task(FUNC_WRONG, args);
}

// Rounds of an exchange with a peer: send the state, wait for the peer's, take it in.
// Arguments: state; rounds, own counter, own mailbox, peer's counter, peer's mailbox.
void exchange(const ChipStorageTaskArgs &orch_args) {
    Tensor state = from_tensor_arg(orch_args.tensor(0));
    for (uint64_t round = 0; round < orch_args.scalar(0); ++round) {
        PTO2_SCOPE() {
            Arg send;
            send.add_inout(state);
            send.add_scalar(orch_args.scalar(4), orch_args.scalar(3), round);
            rt_submit_aiv_task(FUNC_SEND, send);
            await(state, Wait{.address = orch_args.scalar(1), .expected = round + 1});
            Arg receive;
            receive.add_inout(state);
            receive.add_scalar(orch_args.scalar(2), round);
            rt_submit_aiv_task(FUNC_RECEIVE, receive);
        }
    }
}

}  // extern "C"
