// Forced into every unit: the configuration, and macros that ask for it within #if and within C.
#ifndef LINUX_KCONFIG_H
#define LINUX_KCONFIG_H

#include <generated/autoconf.h>

#define ARG_PLACEHOLDER_1 0,
#define take_second(ignored, value, ...) value
#define is_set(option) is_set_(option)
#define is_set_(value) is_set__(ARG_PLACEHOLDER_##value)
#define is_set__(arg1_or_junk) take_second(arg1_or_junk 1, 0)
#define or_(a, b) or__(a, b)
#define or__(a, b) or___(ARG_PLACEHOLDER_##a, b)
#define or___(arg1_or_junk, b) take_second(arg1_or_junk 1, b)

#define IS_BUILTIN(option) is_set(option)
#define IS_MODULE(option) is_set(option##_MODULE)
#define IS_ENABLED(option) or_(IS_BUILTIN(option), IS_MODULE(option))
#define IS_REACHABLE(option) or_(IS_BUILTIN(option), is_set(MODULE) && IS_MODULE(option))

#endif
