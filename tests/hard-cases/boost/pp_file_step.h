// Included by pp_file.cc for each step: what it includes depends on the step, its depth and its flags.
#if BOOST_PP_ITERATION_DEPTH() == 1
#if BOOST_PP_ITERATION() % 5 == 3
#include BOOST_PP_STRINGIZE(steps/BOOST_PP_CAT(step, BOOST_PP_ITERATION()).h)
#endif
#if BOOST_PP_ITERATION_FLAGS() == 7 && BOOST_PP_ITERATION() == BOOST_PP_ITERATION_FINISH()
#define BOOST_PP_ITERATION_PARAMS_2 (3, (0, BOOST_PP_ITERATION(), "pp_file_step.h"))
#include BOOST_PP_ITERATE()
#endif
#else
struct BOOST_PP_CAT(inner, BOOST_PP_FRAME_ITERATION(2)) {};
#if BOOST_PP_FRAME_ITERATION(2) + BOOST_PP_FRAME_ITERATION(1) == 8
#include "steps/eight.h"
#endif
#endif
