// Everything an orchestration source uses; the one header it includes.
//
// An orchestration is a function that submits tasks:
//
//     extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
//         Tensor in = from_tensor_arg(orch_args.tensor(0));
//         Tensor out = from_tensor_arg(orch_args.tensor(1));
//         Arg args;
//         args.add_input(in);
//         args.add_output(out);
//         rt_submit_aiv_task(0, args);
//     }
//
// Link sdk/src/orchestration_support.cpp into the same shared object. Source: spec trb §1.
#pragma once

#ifdef SIMPLER_ORCHESTRATION_OF_HBG
#error "a source is for one runtime: it includes pto_orchestration_api.h (trb) or orchestration_api.h (hbg)"
#endif
#define SIMPLER_ORCHESTRATION_OF_TRB

// Orchestrations rely on these coming with the header.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "arg_direction.h"
#include "data_type.h"
#include "pto_completion_ingress.h"
#include "pto_runtime_status.h"
#include "pto_task_id.h"
#include "simpler/arg.h"
#include "simpler/assertion.h"
#include "simpler/kernels.h"
#include "simpler/limits.h"
#include "simpler/log.h"
#include "simpler/make_tensor.h"
#include "simpler/runtime_ops.h"
#include "simpler/scalar_bits.h"
#include "simpler/scope.h"
#include "simpler/submit.h"
#include "simpler/task_outputs.h"
#include "simpler/tensor_create_info.h"
#include "simpler/tensor_data.h"
#include "task_args.h"
#include "tensor.h"
#include "tensor_arg.h"
