// An orchestration with a static object that cannot be made.
#include "pto_orchestration_api.h"

namespace {
struct Table {
    Table() { throw std::runtime_error("no table of tiles"); }
};
Table table;
}  // namespace

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &) {}
