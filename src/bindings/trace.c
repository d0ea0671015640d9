// SPDX-License-Identifier: GPL-2.0
/* What the kernel makes of trace.h. */
#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "trace.h"
