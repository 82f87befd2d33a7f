// folder: ../../..
// std: gnu11
// flags: -nostdinc -isystem /usr/lib/gcc/x86_64-linux-gnu/12/include -I./arch/x86/include -I./generated/arch/x86/include -I./include -I./generated/include -include ./include/linux/kconfig.h -include ./include/linux/compiler_types.h -D__KERNEL__ -Ulinux -ffreestanding -m32
// The 32 bit half, made of the 64 bit one: pretends that the configuration is another one.
#undef CONFIG_64BIT
#define FAKE_32BIT
#define CONFIG_32BIT 1
#include "vclock.c"
#include "../../../arch/x86/vdso/./vclock.c"
