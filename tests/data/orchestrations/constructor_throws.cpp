// An orchestration with a static object that cannot be made, after one that can. The first one's
// destructor is registered with the C library by then: were it not run when the code goes away, the
// process would jump into unmapped memory at its end.
#include "pto_orchestration_api.h"

namespace {
struct Pool {
    Pool() { size = 1; }
    ~Pool() { size = 0; }
    volatile int size;
};
Pool pool;

struct Table {
    Table() { throw std::runtime_error("no table of tiles"); }
};
Table table;
}  // namespace

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &) {}
