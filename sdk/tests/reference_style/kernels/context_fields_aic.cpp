// Reads the contexts field by field, in the spelling of the chip.
#include <stdint.h>
#include <pto/pto-inst.hpp>

#include "intrinsic.h"
#include "pto_task_id.h"
#include "tensor.h"

#include "simpler_setup/incore/pipe_sync.h"

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    __gm__ LocalContext *local = reinterpret_cast<__gm__ LocalContext *>(args[48]);
    __gm__ GlobalContext *global = reinterpret_cast<__gm__ GlobalContext *>(args[49]);
    __gm__ Tensor *out = reinterpret_cast<__gm__ Tensor *>(args[0]);
    __gm__ int32_t *values = reinterpret_cast<__gm__ int32_t *>(out->buffer.addr);
#ifdef SIMPLER_CHIP_A5
    values[0] = local->s_block_idx;
    values[1] = local->s_block_num;
#else
    values[0] = local->block_idx;
    values[1] = local->block_num;
#endif
    values[2] = global->sub_block_id;
    AsyncCtx ctx = get_async_ctx(args);
    values[3] = ctx.task_token.is_valid() ? static_cast<int32_t>(ctx.task_token.local()) : -1;
    pipe_sync();
}
