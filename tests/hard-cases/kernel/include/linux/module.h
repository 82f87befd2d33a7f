// What every driver includes.
#ifndef LINUX_MODULE_H
#define LINUX_MODULE_H
#include <linux/types.h>
#include <asm/bitops.h>
#include <asm/barrier.h>
#include <asm/unaligned.h>
#include <generated/bounds.h>
#if IS_ENABLED(CONFIG_SMP) && CONFIG_NR_CPUS > 1
#include <linux/smp.h>
#endif
#if IS_MODULE(CONFIG_DRIVER)
#include <linux/loading.h>
#endif
#if IS_REACHABLE(CONFIG_DRIVER)
#include <linux/reached.h>
#endif
#if IS_ENABLED(CONFIG_ABSENT) || IS_BUILTIN(CONFIG_DRIVER)
#include <linux/never.h>
#endif
#define MODULE_LICENSE(text) static const char license[] = text
#endif
