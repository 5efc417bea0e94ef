// Everything an orchestration of hbg (host_build_graph) uses; the one header it includes.
//
// Such an orchestration is a function that runs in the host's process, once for each run. It
// allocates device memory, copies inputs there, adds tasks and the edges between them, and says
// which memory is an output; the tasks run after it has returned. It may read what its tensors
// hold, so the graph may depend on that:
//
//     extern "C" int build_graph(OrchestrationRuntime *rt, const ChipStorageTaskArgs &orch_args) {
//         const ContinuousTensor &in = orch_args.tensor(0);   // host memory
//         const ContinuousTensor &out = orch_args.tensor(1);
//         void *dev_in = device_malloc(rt, in.nbytes());
//         void *dev_out = device_malloc(rt, out.nbytes());
//         if (dev_in == nullptr || dev_out == nullptr) return -1;
//         copy_to_device(rt, dev_in, in.data_as<void>(), in.nbytes());
//         record_tensor_pair(rt, out.data_as<void>(), dev_out, out.nbytes());
//         uint64_t args[] = {reinterpret_cast<uint64_t>(dev_in),
//                            reinterpret_cast<uint64_t>(dev_out), to_u64(1.0f)};
//         add_task(rt, args, 3, 0, CoreType::AIV);
//         return 0;                                            // anything else fails the run
//     }
//
// The entry has any name; the callable says which. An exception that leaves it fails the run. A
// kernel finds the words of its task in its argument list, as they are: no Tensor records.
//
// Nothing is linked in. Kernels do not include this header, and orchestrations of trb, which run on
// the device, include pto_orchestration_api.h instead. Source: spec hbg §A4.
#pragma once

#ifdef SIMPLER_ORCHESTRATION_OF_TRB
#error "a source is for one runtime: it includes orchestration_api.h (hbg) or pto_orchestration_api.h (trb)"
#endif
#define SIMPLER_ORCHESTRATION_OF_HBG

// Orchestrations rely on these coming with the header.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "arg_direction.h"
#include "core_type.h"
#include "data_type.h"
#include "simpler/graph.h"
#include "simpler/graph_ops.h"
#include "simpler/limits.h"
#include "simpler/scalar_bits.h"
#include "task_args.h"
#include "tensor_arg.h"
#include "tensor_info.h"
