// sums[r] = the rows of all tokens of request r, added up. Tokens lie in blocks, as in a paged
// cache: token t of request r is row t % 16 of block table[r][t / 16].
//
// The graph follows from what table and lengths hold. For each request:
//
//     sum_rows(block 0) ─┐
//     sum_rows(block 1) ─┼─▶ add_up ─▶ sums[r]
//     …                 ─┘
//
// A request without tokens is add_up alone; blocks that no request names stay on the host.
// Tensors: cache float32 [blocks, rows, width], table int32 [requests, slots], lengths int32
// [requests], sums float32 [requests, width].
#include "orchestration_api.h"

#define FUNC_SUM_ROWS 0
#define FUNC_ADD_UP 1

// Arguments of add_up before the partial sums; a task has 16.
#define ADD_UP_HEAD 3
#define SLOTS_MAX (16 - ADD_UP_HEAD)

// What the entry returns if something is wrong; the run then fails with that number.
#define NO_DEVICE_MEMORY 1
#define WRONG_ARGUMENTS 2
#define LENGTH_OUT_OF_RANGE 3
#define BLOCK_OUT_OF_RANGE 4

namespace {

// A task argument that is an address.
uint64_t word(const void *address) { return reinterpret_cast<uint64_t>(address); }

// The cache, of which each block is copied to the device when a request first names it.
class Blocks {
public:
    Blocks(OrchestrationRuntime *rt, const ContinuousTensor &cache)
        : rt_(rt), host_(cache.data_as<char>()),
          bytes_(uint64_t{cache.shapes[1]} * cache.shapes[2] * sizeof(float)),
          on_device_(cache.shapes[0], nullptr) {}

    bool has(int32_t block) const {
        return block >= 0 && static_cast<size_t>(block) < on_device_.size();
    }

    // Its address on the device; null if there is no memory for it.
    void *on_device(int32_t block) {
        void *&memory = on_device_[static_cast<size_t>(block)];
        if (memory == nullptr) {
            memory = device_malloc(rt_, bytes_);
            const char *host = host_ + static_cast<size_t>(block) * bytes_;
            if (memory != nullptr) copy_to_device(rt_, memory, host, bytes_);
        }
        return memory;
    }

private:
    OrchestrationRuntime *rt_;
    const char *host_;
    size_t bytes_;
    std::vector<void *> on_device_;
};

// Adds the tasks of one request; `out` is where its row of sums goes. Returns 0 or what is wrong.
int add_request(OrchestrationRuntime *rt, Blocks &blocks, const int32_t *table, int32_t tokens,
                uint32_t rows, uint32_t width, void *out) {
    std::vector<int> producers;
    uint64_t total[16] = {word(out), width, 0};
    for (int32_t done = 0; done < tokens; done += static_cast<int32_t>(rows)) {
        const int32_t block = table[producers.size()];
        if (!blocks.has(block)) return BLOCK_OUT_OF_RANGE;
        void *source = blocks.on_device(block);
        void *partial = device_malloc(rt, width * sizeof(float));
        if (source == nullptr || partial == nullptr) return NO_DEVICE_MEMORY;
        const uint64_t used = std::min<uint64_t>(rows, static_cast<uint64_t>(tokens - done));
        uint64_t args[] = {word(source), word(partial), used, width};
        total[ADD_UP_HEAD + producers.size()] = word(partial);
        producers.push_back(add_task(rt, args, 4, FUNC_SUM_ROWS, CoreType::AIV));
    }
    total[2] = producers.size();
    const int count = ADD_UP_HEAD + static_cast<int>(producers.size());
    const int add_up = add_task(rt, total, count, FUNC_ADD_UP, CoreType::AIV);
    for (int producer : producers) add_successor(rt, producer, add_up);
    return 0;
}

}  // namespace

extern "C" int build_block_sums(OrchestrationRuntime *rt, const ChipStorageTaskArgs &orch_args) {
    if (orch_args.tensor_count() != 4) return WRONG_ARGUMENTS;
    const ContinuousTensor &cache = orch_args.tensor(0);
    const ContinuousTensor &table = orch_args.tensor(1);
    const ContinuousTensor &lengths = orch_args.tensor(2);
    const ContinuousTensor &sums = orch_args.tensor(3);
    const uint32_t rows = cache.shapes[1], width = cache.shapes[2];
    const uint32_t requests = table.shapes[0], slots = table.shapes[1];
    if (slots > SLOTS_MAX || lengths.shapes[0] != requests || sums.shapes[0] != requests ||
        sums.shapes[1] != width) {
        return WRONG_ARGUMENTS;
    }
    char *dev_sums = static_cast<char *>(device_malloc(rt, sums.nbytes()));
    if (dev_sums == nullptr) return NO_DEVICE_MEMORY;
    record_tensor_pair(rt, sums.data_as<void>(), dev_sums, sums.nbytes());

    Blocks blocks(rt, cache);
    for (uint32_t r = 0; r < requests; ++r) {
        // Read here and now, on the host: this is what makes the graph depend on data.
        const int32_t tokens = lengths.data_as<const int32_t>()[r];
        if (tokens < 0 || static_cast<uint64_t>(tokens) > uint64_t{slots} * rows) {
            return LENGTH_OUT_OF_RANGE;
        }
        const int32_t *named = table.data_as<const int32_t>() + uint64_t{r} * slots;
        void *out = dev_sums + uint64_t{r} * width * sizeof(float);
        const int wrong = add_request(rt, blocks, named, tokens, rows, width, out);
        if (wrong != 0) return wrong;
    }
    return 0;
}
