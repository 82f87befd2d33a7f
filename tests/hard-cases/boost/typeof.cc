// std: c++98 c++11
// Typeof by emulation: each registered file includes another one that counts.
#define BOOST_TYPEOF_EMULATION
#define BOOST_TYPEOF_LIMIT_SIZE 100
#include <boost/typeof/typeof.hpp>
#include <boost/typeof/std/map.hpp>
#include <boost/typeof/std/string.hpp>
#include <boost/typeof/std/functional.hpp>
#include BOOST_TYPEOF_INCREMENT_REGISTRATION_GROUP()
struct ours;
BOOST_TYPEOF_REGISTER_TYPE(ours)
#include BOOST_TYPEOF_INCREMENT_REGISTRATION_GROUP()
#if BOOST_TYPEOF_REGISTRATION_GROUP > 2
#include "steps/step3.h"
#endif
