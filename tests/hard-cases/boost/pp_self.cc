// std: c++98 c++14 gnu++17
// flags: -I.
// Self-iteration: the main file includes itself, three levels deep.
#if !defined(BOOST_PP_IS_ITERATING)

#include <boost/preprocessor/iteration/iterate.hpp>
#include <boost/preprocessor/cat.hpp>

#define BOOST_PP_ITERATION_PARAMS_1 (3, (1, 5, "pp_self.cc"))
#include BOOST_PP_ITERATE()

#elif BOOST_PP_ITERATION_DEPTH() == 1

struct BOOST_PP_CAT(outer, BOOST_PP_ITERATION()) {};
#define BOOST_PP_ITERATION_PARAMS_2 (3, (BOOST_PP_ITERATION(), 6, "pp_self.cc"))
#include BOOST_PP_ITERATE()

#elif BOOST_PP_ITERATION_DEPTH() == 2

#define BOOST_PP_ITERATION_PARAMS_3 (3, (1, BOOST_PP_RELATIVE_ITERATION(1), "pp_self.cc"))
#include BOOST_PP_ITERATE()

#elif BOOST_PP_FRAME_ITERATION(1) * BOOST_PP_FRAME_ITERATION(2) == 15 && BOOST_PP_ITERATION() == 3

#include "steps/step3.h"

#endif
