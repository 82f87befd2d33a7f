// std: c++98 c++17
// flags: -I.
// Recursion by BOOST_PP_INCLUDE_SELF, ended by a counter.
#ifndef STARTED
#define STARTED
#include <boost/preprocessor/iteration/self.hpp>
#include <boost/preprocessor/slot/counter.hpp>
#define BOOST_PP_INDIRECT_SELF "pp_include_self.cc"
#include BOOST_PP_INCLUDE_SELF()
#elif BOOST_PP_COUNTER < 30
#include BOOST_PP_UPDATE_COUNTER()
#include BOOST_PP_INCLUDE_SELF()
#elif BOOST_PP_COUNTER == 30
#include "steps/step13.h"
#endif
