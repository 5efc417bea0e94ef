// Independent chains over k of cube and vector tasks, with tables of task numbers.
#include "orchestration_api.h"

constexpr int kGrid = 4;
constexpr int kTile = 64;
constexpr int kFuncGemm = 0;
constexpr int kFuncAdd = 1;

namespace {
struct Tiles {
    char *base;
    size_t bytes;
    uint64_t at(int batch, int row, int column) const {
        const int index = (batch * kGrid + row) * kGrid + column;
        return reinterpret_cast<uint64_t>(base + static_cast<size_t>(index) * bytes);
    }
};
}  // namespace

extern "C" int build_gemm_chains(OrchestrationRuntime *runtime, const ChipStorageTaskArgs &orch_args) {
    const size_t tile_bytes = kTile * kTile * sizeof(float);
    const int batches = static_cast<int>(orch_args.tensor(0).shapes[0]);
    Tiles tiles[4];
    for (int i = 0; i < 3; i++) {
        const auto &tensor = orch_args.tensor(i);
        tiles[i] = {static_cast<char *>(device_malloc(runtime, tensor.nbytes())), tile_bytes};
        if (tiles[i].base == nullptr) return -1;
        if (copy_to_device(runtime, tiles[i].base, tensor.data_as<void>(), tensor.nbytes()) != 0) {
            return -2;
        }
    }
    tiles[3] = {static_cast<char *>(device_malloc(runtime, orch_args.tensor(2).nbytes())), tile_bytes};
    record_tensor_pair(runtime, orch_args.tensor(2).data_as<void>(), tiles[2].base,
                       orch_args.tensor(2).nbytes());

    int last_add[kGrid][kGrid];
    for (int batch = 0; batch < batches; batch++) {
        for (int m = 0; m < kGrid; m++) {
            for (int n = 0; n < kGrid; n++) {
                last_add[m][n] = -1;
                for (int k = 0; k < kGrid; k++) {
                    uint64_t gemm_args[] = {tiles[0].at(batch, m, k), tiles[1].at(batch, k, n),
                                            tiles[3].at(batch, m, n), kTile};
                    int gemm = add_task(runtime, gemm_args, 4, kFuncGemm, CoreType::AIC);
                    uint64_t add_args[] = {tiles[2].at(batch, m, n), tiles[3].at(batch, m, n), kTile};
                    int add = add_task(runtime, add_args, 3, kFuncAdd, CoreType::AIV);
                    add_successor(runtime, gemm, add);
                    // The product's memory is used again by the next step.
                    if (last_add[m][n] >= 0) add_successor(runtime, last_add[m][n], gemm);
                    last_add[m][n] = add;
                }
            }
        }
    }
    return 0;
}
