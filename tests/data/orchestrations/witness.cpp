// Says with its output which image it is, which of its entries was called, and how often this load of
// it has run; or ends the run in a way that is asked for.
// Arguments: out; how the run ends, addresses of two flags: one to wait for, one to raise before that.
#include <time.h>

#include "cells.h"

#define FUNC_THROWS 1
#define FUNC_MISSING 17

namespace {
// A test finds the first word in the file and writes another number over the second one, so that
// several images have the same length and Build-ID.
volatile uint64_t place[2] = {0x5717'0E55'0FA1'1A5E, 0};

uint64_t runs = 0;

using Flag = std::atomic<uint32_t>;

void wait_for(const Flag *flag) {
    while (flag->load() == 0) {
        timespec pause{0, 100'000};
        nanosleep(&pause, nullptr);
    }
}

// What unloading waits for, if a run has said so.
const Flag *unloads_after = nullptr;

struct Lingerer {
    ~Lingerer() {
        if (unloads_after != nullptr) {
            wait_for(unloads_after);
        }
    }
};
Lingerer lingerer;

void bear_witness(const ChipStorageTaskArgs &orch_args, uint64_t entry) {
    ++runs;
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    fill(out, place[1] * 100'000'000 + entry * 10'000'000 + runs * 1000);
    Arg args;
    args.add_inout(out);
    switch (orch_args.scalar(0)) {
    case 1:
        rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL, "%s", "as asked for");
        break;
    case 2:
        throw std::runtime_error("as asked for");
    case 3:
        rt_submit_aiv_task(FUNC_MISSING, args);
        break;
    case 4:
        rt_submit_aiv_task(FUNC_THROWS, args);
        break;
    case 5:
    case 6:
        reinterpret_cast<Flag *>(orch_args.scalar(2))->store(1);
        wait_for(reinterpret_cast<const Flag *>(orch_args.scalar(1)));
        break;
    case 7:
        unloads_after = reinterpret_cast<const Flag *>(orch_args.scalar(1));
        break;
    }
}
}  // namespace

extern "C" {

void first_entry(const ChipStorageTaskArgs &orch_args) { bear_witness(orch_args, 1); }

void second_entry(const ChipStorageTaskArgs &orch_args) { bear_witness(orch_args, 2); }

}  // extern "C"
