// partial[x] = the first `rows` rows of a block, added up, on a vector core.
// Arguments: addresses of the block and of partial, both float32; rows; width of a row.
#include <cstdint>
#include <pto/pto-inst.hpp>

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const __gm__ float *block = reinterpret_cast<const __gm__ float *>(args[0]);
    __gm__ float *partial = reinterpret_cast<__gm__ float *>(args[1]);
    const int64_t rows = args[2], width = args[3];
    for (int64_t x = 0; x < width; ++x) partial[x] = 0.0f;
    for (int64_t row = 0; row < rows; ++row) {
        for (int64_t x = 0; x < width; ++x) partial[x] += block[row * width + x];
    }
}
