// Scalars of each width, and the payload's own layout.
#include <cstdint>
#include <pto/pto-inst.hpp>

#include "data_type.h"
#include "intrinsic.h"
#include "simpler/dispatch_payload.h"
#include "tensor.h"

static_assert(offsetof(PTO2DispatchPayload, args) == 8, "args follow the kernel's address");

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ Tensor *out = reinterpret_cast<__gm__ Tensor *>(args[0]);
    __gm__ double *dst = reinterpret_cast<__gm__ double *>(out->buffer.addr) + out->start_offset;
    dst[0] = from_u64<float>(static_cast<uint64_t>(args[1]));
    dst[1] = from_u64<double>(static_cast<uint64_t>(args[2]));
    dst[2] = from_u64<int32_t>(static_cast<uint64_t>(args[3]));
    dst[3] = from_u64<DataType>(static_cast<uint64_t>(args[4])) == DataType::INT8 ? 1.0 : 0.0;
}
