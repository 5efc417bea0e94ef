// EXPECT: block_num
#include "intrinsic.h"

extern "C" void kernel_entry(int64_t *args) { args[0] = simpler::local_context(args)->block_num; }
