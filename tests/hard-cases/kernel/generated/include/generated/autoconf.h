// Made by the configuration: an option is 1, a module's name ends in _MODULE, others are absent.
#define CONFIG_64BIT 1
#define CONFIG_SMP 1
#define CONFIG_TRACING 1
#define CONFIG_NR_CPUS 64
#define CONFIG_DRIVER_MODULE 1
#define CONFIG_NAME "kernel-like"
