// folder: ..
// std: gnu11
// flags: -nostdinc -isystem /usr/lib/gcc/x86_64-linux-gnu/12/include -I./arch/x86/include -I./generated/arch/x86/include -I./include -I./generated/include -include ./include/linux/kconfig.h -include ./include/linux/compiler_types.h -D__KERNEL__ -Ulinux -ffreestanding -DGENERATING_BOUNDS
// Compiled first: what it says becomes generated/bounds.h, so it must not need that.
#include <linux/types.h>
#ifndef GENERATING_BOUNDS
#include <generated/bounds.h>
#endif
#include <asm/unaligned.h>
