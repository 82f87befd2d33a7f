// folder: ../..
// std: gnu11
// flags: -nostdinc -isystem /usr/lib/gcc/x86_64-linux-gnu/12/include -I./arch/x86/include -I./generated/arch/x86/include -I./include -I./generated/include -include ./include/linux/kconfig.h -include ./include/linux/compiler_types.h -D__KERNEL__ -Ulinux -ffreestanding -UCONFIG_TRACING
// flags: -nostdinc -isystem /usr/lib/gcc/x86_64-linux-gnu/12/include -I./arch/x86/include -I./generated/arch/x86/include -I./include -I./generated/include -include ./include/linux/kconfig.h -include ./include/linux/compiler_types.h -D__KERNEL__ -Ulinux -ffreestanding -DWITHOUT_TRACING
// A driver that only declares events.
#include <linux/module.h>
#ifdef WITHOUT_TRACING
#undef CONFIG_TRACING
#endif
#include <trace/events/sched.h>
#include "driver_trace.h"
