// std: c++98 c++11 c++20
// flags: -I.
// File iteration: another file is included once per step, in both directions and nested.
#include <boost/preprocessor/iteration/iterate.hpp>
#include <boost/preprocessor/cat.hpp>
#include <boost/preprocessor/stringize.hpp>

#define BOOST_PP_ITERATION_PARAMS_1 (3, (1, 24, "pp_file_step.h"))
#include BOOST_PP_ITERATE()

#define BOOST_PP_ITERATION_LIMITS (9, 2)
#define BOOST_PP_FILENAME_1 "pp_file_step.h"
#include BOOST_PP_ITERATE()

#define BOOST_PP_ITERATION_PARAMS_1 (4, (1, 6, "pp_file_step.h", 7))
#include BOOST_PP_ITERATE()
