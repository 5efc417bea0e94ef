// The situations in which the reference goes wrong; each entry is the orchestration of a test.
#include "cells.h"

#define FUNC_APPEND_BOX 4
#define FUNC_COUNT_CUBE 5
#define FUNC_COUNT_VECTOR 6

extern "C" {

PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 1};
}

// Tasks that name others whose scope closed one, two, four and eight scopes ago: as creators of a
// tensor, and by their ids.
// Arguments: in, state; turns.
void stale_producers(const ChipStorageTaskArgs &orch_args) {
    Tensor in = from_tensor_arg(orch_args.tensor(0));
    Tensor state = from_tensor_arg(orch_args.tensor(1));
    PTO2TaskId ids[8];
    for (uint64_t i = 0; i < orch_args.scalar(0); ++i) {
        PTO2_SCOPE() {
            Tensor linked = state;
            Arg args;
            args.add_input(in);
            args.add_inout(linked);
            args.add_scalar(i, uint64_t{0});
            for (uint64_t back = 1; back <= 8 && back <= i; back *= 2) {
                linked.owner_task_id = ids[(i - back) % 8];
                args.add_dep(ids[(i - back) % 8]);
            }
            ids[i % 8] = rt_submit_aiv_task(FUNC_APPEND, args).task_id();
        }
    }
}

// The largest number of blocks that a task can have, on whole clusters.
// Arguments: out; addresses of the count and of the sum of the block indices.
void largest_task(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    MixedKernels kernels;
    kernels.aic_kernel_id = FUNC_COUNT_CUBE;
    kernels.aiv0_kernel_id = FUNC_COUNT_VECTOR;
    kernels.aiv1_kernel_id = FUNC_COUNT_VECTOR;
    Arg args;
    args.add_inout(out);
    args.add_scalar(orch_args.scalar(0), orch_args.scalar(1));
    args.launch_spec.set_block_num(32767);
    rt_submit_task(kernels, args);
}

// Views of one buffer in three ranks and many strides, one change after the other.
// Arguments: state (64 cells).
void views_of_one_buffer(const ChipStorageTaskArgs &orch_args) {
    Tensor line = from_tensor_arg(orch_args.tensor(0));
    const uint32_t square[2] = {8, 8}, wide[2] = {4, 16}, cube[3] = {4, 4, 4};
    Tensor rows = line.reshape(square, 2);
    Tensor halves = line.reshape(wide, 2);
    Tensor box = line.reshape(cube, 3);
    // Made from the same address by hand, as another program would.
    Tensor other = make_tensor_external(reinterpret_cast<void *>(line.buffer.addr), wide, 2,
                                        DataType::UINT64);
    uint64_t turn = 0;
    auto change = [&](const Tensor &view) {
        Arg args;
        args.add_inout(view);
        args.add_scalar(++turn, turn % 2 == 0 ? uint64_t{0} : LINGER);
        rt_submit_aiv_task(FUNC_APPEND_BOX, args);
    };
    for (uint32_t i = 0; i < 4; ++i) {
        const uint32_t quarter[1] = {16}, at[1] = {16 * i};
        change(line.view(quarter, at));
        const uint32_t columns[2] = {8, 2}, left[2] = {0, 2 * i};
        change(rows.view(columns, left));
        const uint32_t tile[2] = {2, 8}, corner[2] = {i % 2, 4};
        change(halves.view(tile, corner));
        const uint32_t slice[3] = {4, 1, 4}, depth[3] = {0, i, 0};
        change(box.view(slice, depth));
        const uint32_t row[2] = {1, 16}, down[2] = {3 - i, 0};
        change(other.view(row, down));
        change(other.view(row, down).reshape(quarter, 1));  // drops the offset: the first 16 cells
        change(rows.transpose(0, 1));
        change(rows.view(columns, left).view(tile, corner));  // a view of a view
    }
}

// A view that reaches beyond its buffer in a dimension that its kernel does not go along: legal
// in the reference, and in sources written for it (a last tile that is not whole).
// Arguments: out (10 cells).
void ragged_view(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    const uint32_t rows[2] = {1, 10}, wide[2] = {1, 4}, last[2] = {0, 8};
    Tensor tile = out.reshape(rows, 2).view(wide, last);
    Arg args;
    args.add_inout(tile);
    args.add_scalar(uint64_t{7}, uint64_t{0});
    rt_submit_aiv_task(FUNC_FILL, args);
}

}  // extern "C"
