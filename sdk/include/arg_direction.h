// Directions of a callable's arguments, and how many arguments there may be.
// Source: spec callable §1.2.
#pragma once

#include <cstdint>

enum class ArgDirection : int32_t { SCALAR = 0, IN = 1, OUT = 2, INOUT = 3 };

// Signature slots of a kernel, and of a callable with its orchestration.
constexpr int32_t CORE_MAX_TENSOR_ARGS = 16;
constexpr int32_t CORE_MAX_SCALAR_ARGS = 32;
constexpr int32_t CHIP_MAX_TENSOR_ARGS = 64;
constexpr int32_t CHIP_MAX_SCALAR_ARGS = 128;

// Upper-case name; "UNKNOWN" for a number that names no direction.
constexpr const char *arg_direction_name(ArgDirection direction) {
    switch (direction) {
        case ArgDirection::SCALAR: return "SCALAR";
        case ArgDirection::IN: return "IN";
        case ArgDirection::OUT: return "OUT";
        case ArgDirection::INOUT: return "INOUT";
    }
    return "UNKNOWN";
}
