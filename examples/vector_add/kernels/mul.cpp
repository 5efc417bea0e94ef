// out = left * right, element by element, on a vector core.
// Arguments: left, right, out: float32 tensors of one shape, two dimensions.
#include <cstdint>
#include <pto/pto-inst.hpp>

#include "elementwise.h"
#include "intrinsic.h"
#include "tensor.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    combine(elements(args, 2), elements(args, 0), elements(args, 1), element_count(args, 2),
            [](float left, float right) { return left * right; });
}
