// EXPECT: a source is for one runtime
#include "pto_orchestration_api.h"

#include "orchestration_api.h"
