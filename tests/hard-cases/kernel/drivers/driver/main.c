// folder: ../..
// std: gnu89 gnu11
// flags: -nostdinc -isystem /usr/lib/gcc/x86_64-linux-gnu/12/include -I./arch/x86/include -I./generated/arch/x86/include -I./include -I./generated/include -include ./include/linux/kconfig.h -include ./include/linux/compiler_types.h -D__KERNEL__ -Ulinux -ffreestanding -DMODULE
// flags: -nostdinc -isystem /usr/lib/gcc/x86_64-linux-gnu/12/include -I./arch/x86/include -I./generated/arch/x86/include -I./include -I./generated/include -include ./include/linux/kconfig.h -include ./include/linux/compiler_types.h -D__KERNEL__ -Ulinux -ffreestanding
// A driver with events of its own, and of others.
#include <linux/module.h>
#define CREATE_TRACE_POINTS
#include <trace/events/sched.h>
#include "driver_trace.h"

MODULE_LICENSE("none");
