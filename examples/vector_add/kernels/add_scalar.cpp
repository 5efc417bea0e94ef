// out = in + addend, element by element, on a vector core.
// Arguments: in, out: float32 tensors of one shape, two dimensions; addend: float32.
#include <cstdint>
#include <pto/pto-inst.hpp>

#include "elementwise.h"
#include "intrinsic.h"
#include "tensor.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    const float addend = from_u64<float>(static_cast<uint64_t>(args[2]));
    const __gm__ float *in = elements(args, 0);
    combine(elements(args, 1), in, in, element_count(args, 1),
            [addend](float value, float) { return value + addend; });
}
