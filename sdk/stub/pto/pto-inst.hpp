// Stands in for the instruction headers of the chip, for kernels in plain C++.
//
// If the real headers are in the include path after this folder, they are used and nothing below
// exists. Defines what plain kernels may rely on: the macro by which they recognise the CPU, empty
// qualifiers, and a namespace to open. Source: spec trb §8.2.
#pragma once

#if __has_include_next(<pto/pto-inst.hpp>)
#include_next <pto/pto-inst.hpp>
#else

#define SIMPLER_PTO_STUB 1

#ifndef PTO_CPUSTUB_HPP
#define PTO_CPUSTUB_HPP
#endif
#ifndef __gm__
#define __gm__
#endif
#ifndef __aicore__
#define __aicore__
#endif

namespace pto {}

#endif
