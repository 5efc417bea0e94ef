// Ends with an exception as soon as it is loaded.
#include "orchestration_api.h"

namespace {
struct Table {
    Table() { throw std::runtime_error("no table of blocks"); }
};
Table table;
}  // namespace

extern "C" int never_called(OrchestrationRuntime *, const ChipStorageTaskArgs &) { return 0; }
