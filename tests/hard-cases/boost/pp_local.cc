// std: c++98 c++11
// Local iteration: a macro per step, without a file of its own.
#include <boost/preprocessor/iteration/local.hpp>
#include <boost/preprocessor/repetition/enum_params.hpp>
#include <boost/preprocessor/arithmetic/mul.hpp>

#define BOOST_PP_LOCAL_MACRO(n) template <BOOST_PP_ENUM_PARAMS(n, class T)> struct local##n;
#define BOOST_PP_LOCAL_LIMITS (1, 50)
#include BOOST_PP_LOCAL_ITERATE()

#define BOOST_PP_LOCAL_MACRO(n) enum { value##n = BOOST_PP_MUL(n, 2) };
#define BOOST_PP_LOCAL_LIMITS (30, 10)
#include BOOST_PP_LOCAL_ITERATE()
