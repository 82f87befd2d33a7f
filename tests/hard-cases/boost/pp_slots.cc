// std: c++98 c++11
// flags: -DSTART=40
// Slots: values computed by conditions in included files, kept as digits.
#include <boost/preprocessor/slot/slot.hpp>
#include <boost/preprocessor/slot/counter.hpp>

#define BOOST_PP_VALUE START + 2
#include BOOST_PP_ASSIGN_SLOT(1)
#define BOOST_PP_VALUE BOOST_PP_SLOT(1) * 100 - 1
#include BOOST_PP_ASSIGN_SLOT(2)
#undef BOOST_PP_VALUE
#if BOOST_PP_SLOT(2) == 4199
#include "steps/step8.h"
#endif
#include BOOST_PP_UPDATE_COUNTER()
#include BOOST_PP_UPDATE_COUNTER()
#include BOOST_PP_UPDATE_COUNTER()
#define BOOST_PP_VALUE BOOST_PP_COUNTER * BOOST_PP_SLOT(1) << 3 | 0xfu
#include BOOST_PP_ASSIGN_SLOT(1)
#if BOOST_PP_SLOT(1) == 1023
#include "steps/step18.h"
#else
#include "steps/step23.h"
#endif
