// An orchestration with thread-local storage.
#include "pto_orchestration_api.h"

thread_local int tile_cursor = 0;

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    tile_cursor += orch_args.tensor_count();
}
