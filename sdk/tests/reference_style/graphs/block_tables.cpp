// A graph that follows from the contents of a block table and of lengths, with standard containers.
#include "orchestration_api.h"

#include <map>
#include <memory>
#include <unordered_map>

enum Func : int { QK = 0, SOFTMAX = 1, PV = 2, UPDATE = 3 };

namespace {

class Builder {
public:
    explicit Builder(OrchestrationRuntime *rt) : rt_(rt) {}

    uint64_t memory(size_t bytes) {
        void *address = device_malloc(rt_, bytes);
        if (address == nullptr) throw std::runtime_error("no device memory");
        return reinterpret_cast<uint64_t>(address);
    }

    uint64_t copied(const void *host, size_t bytes) {
        const uint64_t address = memory(bytes);
        if (copy_to_device(rt_, reinterpret_cast<void *>(address), host, bytes) != 0) {
            throw std::runtime_error("copy failed");
        }
        return address;
    }

    int task(Func func, CoreType core, std::vector<uint64_t> args, std::initializer_list<int> after) {
        const int id = add_task(rt_, args.data(), static_cast<int>(args.size()), func, core);
        if (id < 0) throw std::out_of_range("add_task refused task " + std::to_string(count_));
        for (int before : after) {
            if (before >= 0) add_successor(rt_, before, id);
        }
        ++count_;
        return id;
    }

private:
    OrchestrationRuntime *rt_;
    int count_ = 0;
};

}  // namespace

extern "C" int build_block_tables(OrchestrationRuntime *runtime, const ChipStorageTaskArgs &orch_args) try {
    Builder builder(runtime);
    const ContinuousTensor &query = orch_args.tensor(0), &keys = orch_args.tensor(1),
                           &values = orch_args.tensor(2), &table = orch_args.tensor(3),
                           &lengths = orch_args.tensor(4), &out = orch_args.tensor(5);
    const uint32_t requests = query.shapes[0], width = query.shapes[1];
    const uint32_t block_rows = keys.shapes[1], slots = table.shapes[1];
    const size_t block_bytes = size_t{block_rows} * width * get_element_size(keys.dtype);
    const uint64_t scale = to_u64(from_u64<float>(orch_args.scalar(0)));

    const uint64_t dev_query = builder.copied(query.data_as<void>(), query.nbytes());
    const uint64_t dev_out = builder.memory(out.nbytes());
    record_tensor_pair(runtime, out.data_as<void>(), reinterpret_cast<void *>(dev_out), out.nbytes());

    std::unordered_map<int32_t, std::pair<uint64_t, uint64_t>> blocks;
    std::map<uint32_t, int> last;
    for (uint32_t r = 0; r < requests; ++r) {
        const auto length = static_cast<uint32_t>(lengths.data_as<int32_t>()[r]);
        const uint32_t count = (length + block_rows - 1) / block_rows;
        int update = -1;
        for (uint32_t b = 0; b < std::min(count, slots); ++b) {
            const int32_t block = table.data_as<int32_t>()[r * slots + b];
            auto &[key, value] = blocks[block];
            if (key == 0) {
                key = builder.copied(keys.data_as<char>() + block * block_bytes, block_bytes);
                value = builder.copied(values.data_as<char>() + block * block_bytes, block_bytes);
            }
            const uint64_t rows = std::min(block_rows, length - b * block_rows);
            const uint64_t q = dev_query + uint64_t{r} * width * get_element_size(query.dtype);
            const uint64_t scores = builder.memory(rows * sizeof(float));
            const uint64_t partial = builder.memory(width * sizeof(float));
            const int qk = builder.task(QK, CoreType::AIC, {q, key, scores, rows, scale}, {});
            const int sm = builder.task(SOFTMAX, CoreType::AIV, {scores, rows}, {qk});
            const int pv = builder.task(PV, CoreType::AIC, {scores, value, partial, rows}, {sm});
            const uint64_t row = dev_out + uint64_t{r} * width * sizeof(float);
            update = builder.task(UPDATE, CoreType::AIV, {partial, row, b == 0}, {pv, update});
        }
        last[r] = update;
    }
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "block tables: %s\n", error.what());
    return -1;
}
