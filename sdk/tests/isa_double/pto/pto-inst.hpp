// A stand-in for the real instruction headers in the compile checks: as much of their shape as the
// SDK's own headers touch. Not for users; its text is not taken from the real ones.
#pragma once

#define PTO_CPUSTUB_HPP

enum pipe_double { PIPE_S, PIPE_MTE3, PIPE_FIX };
enum event_double { EVENT_ID0, EVENT_ID7 };

inline void set_flag(pipe_double, pipe_double, event_double) {}
inline void wait_flag(pipe_double, pipe_double, event_double) {}

namespace pto {}
