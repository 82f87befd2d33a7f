// The stages of an event: not guarded, since each header of events passes through here.
#include "stages/stage1.h"
#include TRACE_INCLUDE(TRACE_INCLUDE_FILE)
#include "stages/stage2.h"
#include TRACE_INCLUDE(TRACE_INCLUDE_FILE)
