// EXPECT: differs from the ABI
#pragma pack(push, 4)
#include "pto_orchestration_api.h"
#pragma pack(pop)
