// Text of an expanded macro.
#ifndef LINUX_STRINGIFY_H
#define LINUX_STRINGIFY_H
#define stringify_1(x...) #x
#define stringify(x...) stringify_1(x)
#endif
