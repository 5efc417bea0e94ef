// EXPECT: a source is for one runtime
#include "orchestration_api.h"

#include "pto_orchestration_api.h"
