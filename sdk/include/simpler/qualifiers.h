// Address-space and core qualifiers, and the question "is this a kernel build?".
//
// The device compiler gives `__gm__` (global memory) and `__aicore__` (runs on a core) a meaning;
// every other compiler sees nothing. Apart from the rest because each kernel-facing header needs
// it and none of them may need anything else. Source: spec trb §8.2.
#pragma once

#ifndef __gm__
#define __gm__
#endif

#ifndef __aicore__
#if defined(__CCE_AICORE__)
#define __aicore__ [aicore]
#else
#define __aicore__
#endif
#endif

// Kernels are compiled with one of the first two names (spec trb §7.5); orchestrations with none.
#if defined(__DAV_VEC__) || defined(__DAV_CUBE__) || defined(__CCE_AICORE__)
#define SIMPLER_KERNEL_BUILD 1
#else
#define SIMPLER_KERNEL_BUILD 0
#endif
