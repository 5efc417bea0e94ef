// Log and fatal-error macros of orchestrations.
//
// Macros, because they pass the caller's function name and forward a variable argument list, which
// no inline function can. The runtime formats and filters. Source: spec trb §1.4.
#pragma once

#include "simpler/runtime_ops.h"

// Without a bound runtime there is nobody to tell, for example in a config function.
#define SIMPLER_LOG(op, ...)                                                      \
    do {                                                                          \
        if (PTO2Runtime *simpler_log_rt_ = framework_current_runtime()) {         \
            simpler_log_rt_->ops->op(__FUNCTION__, __VA_ARGS__);                  \
        }                                                                         \
    } while (0)

#define LOG_ERROR(...) SIMPLER_LOG(log_error, __VA_ARGS__)
#define LOG_WARN(...) SIMPLER_LOG(log_warn, __VA_ARGS__)
#define LOG_DEBUG(...) SIMPLER_LOG(log_debug, __VA_ARGS__)

// V0 is the most verbose, V9 is always shown; the default threshold is 5.
#define LOG_INFO_V0(...) SIMPLER_LOG(log_info_v, 0, __VA_ARGS__)
#define LOG_INFO_V1(...) SIMPLER_LOG(log_info_v, 1, __VA_ARGS__)
#define LOG_INFO_V2(...) SIMPLER_LOG(log_info_v, 2, __VA_ARGS__)
#define LOG_INFO_V3(...) SIMPLER_LOG(log_info_v, 3, __VA_ARGS__)
#define LOG_INFO_V4(...) SIMPLER_LOG(log_info_v, 4, __VA_ARGS__)
#define LOG_INFO_V5(...) SIMPLER_LOG(log_info_v, 5, __VA_ARGS__)
#define LOG_INFO_V6(...) SIMPLER_LOG(log_info_v, 6, __VA_ARGS__)
#define LOG_INFO_V7(...) SIMPLER_LOG(log_info_v, 7, __VA_ARGS__)
#define LOG_INFO_V8(...) SIMPLER_LOG(log_info_v, 8, __VA_ARGS__)
#define LOG_INFO_V9(...) SIMPLER_LOG(log_info_v, 9, __VA_ARGS__)

// rt_report_fatal(code, fmt, ...): ends the run with status -code. The entry keeps running, but
// every later submit, scope, allocation and element access does nothing.
#define rt_report_fatal(code, ...)                                                        \
    do {                                                                                  \
        if (PTO2Runtime *simpler_fatal_rt_ = framework_current_runtime()) {               \
            simpler_fatal_rt_->ops->report_fatal(simpler_fatal_rt_, (code), __FUNCTION__, \
                                                 __VA_ARGS__);                            \
        }                                                                                 \
    } while (0)
