// The second path under which kernels include pipe_sync.h. Source: spec trb §8.1.
#pragma once

#include "../../pipe_sync.h"
