// std: c++11 c++20
// flags: -march=x86-64-v3
// Platforms and features found by macros.
#include <boost/atomic.hpp>
#include <boost/lockfree/queue.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/predef.h>
