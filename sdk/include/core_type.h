// The two types of cores, as tasks of a host-built graph name them. Source: spec hbg §A3.
#pragma once

#include <cstdint>

// Numbers are ABI: they are passed to the runtime.
enum class CoreType : int32_t {
    AIC = 0,  // cube core
    AIV = 1,  // vector core
};
