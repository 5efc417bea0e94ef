// Compile-time checks of record layouts.
//
// A record that separately compiled images share must have the same bytes everywhere. These two
// macros stand below each such record and repeat the numbers of the binary interface, so that an
// edit, or a compiler option that packs structs, stops the build. Source: spec trb §3.1.
#pragma once

#include <cstddef>
#include <type_traits>

// Whole record: size and alignment in bytes, and that copying its bytes copies the record.
#define SIMPLER_ASSERT_RECORD(type, size_bytes, align_bytes)                                   \
    static_assert(sizeof(type) == (size_bytes), #type ": size differs from the ABI");          \
    static_assert(alignof(type) == (align_bytes), #type ": alignment differs from the ABI");   \
    static_assert(std::is_trivially_copyable<type>::value, #type ": not trivially copyable");  \
    static_assert(std::is_standard_layout<type>::value, #type ": not standard layout")

// One field: byte offset and size in bytes.
#define SIMPLER_ASSERT_FIELD(type, field, offset_bytes, size_bytes)                            \
    static_assert(offsetof(type, field) == (offset_bytes), #type "::" #field ": wrong offset"); \
    static_assert(sizeof(type::field) == (size_bytes), #type "::" #field ": wrong size")
