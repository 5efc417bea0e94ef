# Building orchestrations and kernels from CMake.
#
#     include(/path/to/sdk/cmake/simpler-sdk.cmake)
#     simpler_add_orchestration(my_tasks orchestration.cpp)
#     simpler_add_graph(my_graph graph.cpp)
#     simpler_add_kernel(my_add AIV kernels/add.cpp)
#
# An orchestration is for trb, a graph for hbg; kernels are for both. Each makes one shared object with the options of sdk/README.md. Set PTO_ISA_ROOT (a CMake variable
# or an environment variable) to compile kernels against the real instruction headers; otherwise the
# stub is used. Set SIMPLER_CHIP to a5 for callables of that chip; the default is a2a3. Needs CMake 3.16, and GCC or Clang.

get_filename_component(SIMPLER_SDK_DIR "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)

if(NOT DEFINED PTO_ISA_ROOT AND DEFINED ENV{PTO_ISA_ROOT})
    set(PTO_ISA_ROOT "$ENV{PTO_ISA_ROOT}")
endif()

if(NOT DEFINED SIMPLER_CHIP)
    set(SIMPLER_CHIP a2a3)
endif()
if(SIMPLER_CHIP STREQUAL "a5")
    set(SIMPLER_CHIP_DEFINITIONS SIMPLER_CHIP_A5)
elseif(SIMPLER_CHIP STREQUAL "a2a3")
    set(SIMPLER_CHIP_DEFINITIONS)
else()
    message(FATAL_ERROR "SIMPLER_CHIP is '${SIMPLER_CHIP}', not a2a3 or a5")
endif()

# simpler_add_orchestration(<target> <source>...)
function(simpler_add_orchestration target)
    simpler_add_graph(${target} ${ARGN} "${SIMPLER_SDK_DIR}/src/orchestration_support.cpp")
endfunction()

# simpler_add_graph(<target> <source>...)
function(simpler_add_graph target)
    add_library(${target} MODULE ${ARGN})
    target_include_directories(${target} PRIVATE "${SIMPLER_SDK_DIR}/include")
    target_compile_features(${target} PRIVATE cxx_std_17)
    target_compile_definitions(${target} PRIVATE ${SIMPLER_CHIP_DEFINITIONS})
    # NDEBUG is taken back: debug_assert is on in orchestrations.
    target_compile_options(${target} PRIVATE -O3 -g -UNDEBUG
        $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)
    target_link_options(${target} PRIVATE -Wl,--build-id=sha1)
    set_target_properties(${target} PROPERTIES PREFIX "" POSITION_INDEPENDENT_CODE ON)
endfunction()

# simpler_add_kernel(<target> AIC|AIV <source>...)
function(simpler_add_kernel target core)
    if(core STREQUAL "AIC")
        set(core_macro __DAV_CUBE__)
    elseif(core STREQUAL "AIV")
        set(core_macro __DAV_VEC__)
    else()
        message(FATAL_ERROR "simpler_add_kernel(${target}): core type is '${core}', not AIC or AIV")
    endif()
    add_library(${target} MODULE ${ARGN})
    target_include_directories(${target} PRIVATE "${SIMPLER_SDK_DIR}/include")
    if(PTO_ISA_ROOT)
        target_include_directories(${target} PRIVATE
            "${PTO_ISA_ROOT}/include" "${PTO_ISA_ROOT}/include/pto")
    else()
        target_include_directories(${target} PRIVATE "${SIMPLER_SDK_DIR}/stub")
    endif()
    target_compile_features(${target} PRIVATE cxx_std_20)
    target_compile_definitions(${target} PRIVATE
        __CPU_SIM PTO_CPU_MAX_THREADS=1 NDEBUG ${core_macro} ${SIMPLER_CHIP_DEFINITIONS})
    target_compile_options(${target} PRIVATE -O2)
    set_target_properties(${target} PROPERTIES PREFIX "" POSITION_INDEPENDENT_CODE ON)
endfunction()
