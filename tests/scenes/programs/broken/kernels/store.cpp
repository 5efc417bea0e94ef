// out[0] = value; with `is_wild`, address zero is written as well.
// Arguments: out: uint64; value, is_wild.
#include "elements.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    if (scalar_at<uint64_t>(args, 2) != 0) *reinterpret_cast<volatile uint64_t *>(uintptr_t{0}) = 1;
    *elements<uint64_t>(args, 0) = scalar_at<uint64_t>(args, 1);
}
