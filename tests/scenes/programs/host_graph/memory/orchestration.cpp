// What becomes of memory: outputs without number, tensors that are on the device already, memory that
// is given back while the graph is built.
#include "host_graph/build.h"

#define FUNC_PUT 0
#define FUNC_APPEND 1

namespace {

void *pointer(uint64_t address) { return reinterpret_cast<void *>(address); }

// out[i] = first + i, a task of its own.
int put(OrchestrationRuntime *rt, uint64_t out, uint64_t first, uint64_t count) {
    return task(rt, FUNC_PUT, CoreType::AIV, out, first, count);
}

// state[i] = 3 * state[i] + in[i].
int append(OrchestrationRuntime *rt, uint64_t in, uint64_t state, uint64_t count) {
    return task(rt, FUNC_APPEND, CoreType::AIV, in, state, count);
}
}  // namespace

extern "C" {

// Every tensor is an output: tensor k gets 1000 k, 1000 k + 1, … Arguments: up to 64: uint64.
int many_tensors(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const GraphMemory memory{rt};
    for (int k = 0; k < args.tensor_count(); ++k) {
        const ContinuousTensor &tensor = args.tensor(k);
        put(rt, memory.output(tensor), 1000 * static_cast<uint64_t>(k),
            tensor.nbytes() / sizeof(uint64_t));
    }
    return 0;
}

// An output in pieces of `piece` cells, each with memory of its own and recorded by itself, the last
// one first. Every third piece is not recorded: the caller's memory stays as it is there. Piece p has
// 100 p, 100 p + 1, … The second tensor gets the memory of the first piece once more.
// Arguments: pieces, again: uint64; cells of a piece.
int pieces(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const GraphMemory memory{rt};
    const uint64_t piece = args.scalar(0), bytes = piece * sizeof(uint64_t);
    const uint64_t count = args.tensor(0).nbytes() / bytes;
    for (uint64_t p = count; p-- > 0;) {
        const uint64_t own = memory.scratch(bytes);
        put(rt, own, 100 * p, piece);
        void *host = args.tensor(0).data_as<uint64_t>() + p * piece;
        if (p % 3 != 2) record_tensor_pair(rt, host, pointer(own), bytes);
        if (p == 0) memory.give_back(args.tensor(1), own);
    }
    // Nothing is nothing, wherever it is.
    record_tensor_pair(rt, args.tensor(0).data_as<void>(), pointer(memory.scratch(8)), 0);
    return 0;
}

// A state on the device that outlives the run: it is used where it is, part of it is written before
// the tasks run, and the caller gets a copy.
// Arguments: state: uint64, on the device; in: uint64; seen: uint64.
int accumulate(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const ContinuousTensor &state = args.tensor(0);
    if (!state.is_child_memory() || args.tensor(1).is_child_memory()) return -1;
    const GraphMemory memory{rt};
    const uint64_t count = state.nbytes() / sizeof(uint64_t);
    const uint64_t in = memory.input(args.tensor(1));
    // The last cell of the state counts runs backwards from the first cell of the input.
    const uint64_t last = *args.tensor(1).data_as<uint64_t>() - 1;
    if (copy_to_device(rt, pointer(state.data + (count - 1) * 8), &last, 8) != 0) return -2;
    const int first_time = append(rt, in, state.data, count);
    const int second_time = append(rt, in, state.data, count);
    add_successor(rt, first_time, second_time);
    memory.give_back(args.tensor(2), state.data);
    return 0;
}

// Memory that is given back and taken again while the graph is built; no two pieces that are in use
// at the same time share a byte. Arguments: out: uint64 [pieces * 16].
int given_back(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const GraphMemory memory{rt};
    const uint64_t count = args.tensor(0).nbytes() / sizeof(uint64_t), piece = 16;
    void *empty = device_malloc(rt, 0), *other = device_malloc(rt, 0);
    if (empty == nullptr || other == nullptr || empty == other) return -1;
    device_free(rt, empty);
    device_free(rt, nullptr);
    for (uint64_t first = 0; first < count; first += piece) {
        const uint64_t large = memory.scratch(1 << 20);
        const uint64_t small = memory.scratch(piece * sizeof(uint64_t));
        const uint64_t unused = memory.scratch(100 + first);
        device_free(rt, pointer(large));
        device_free(rt, pointer(unused));
        put(rt, small, 7 * first, piece);
        record_tensor_pair(rt, args.tensor(0).data_as<uint64_t>() + first, pointer(small),
                           piece * sizeof(uint64_t));
    }
    return 0;
}

}  // extern "C"
