// std: c++98 c++11 c++20
// The whole library; includes chosen by its sequences, tuples, arithmetic and comparisons.
#include <boost/preprocessor.hpp>

#define NAMES (step3)(step8)(step13)
#include BOOST_PP_STRINGIZE(steps/BOOST_PP_SEQ_ELEM(1, NAMES).h)
#define CHOSEN BOOST_PP_TUPLE_ELEM(2, 1, (steps/step3.h, steps/step18.h))
#include BOOST_PP_STRINGIZE(CHOSEN)
#if BOOST_PP_EQUAL(BOOST_PP_SEQ_SIZE(NAMES), BOOST_PP_SUB(10, 7)) && BOOST_PP_MOD(25, 7) == 4
#include BOOST_PP_STRINGIZE(steps/BOOST_PP_SEQ_CAT((st)(ep)(23)).h)
#endif
#define GROW(s, state, x) BOOST_PP_ADD(state, x)
#if BOOST_PP_SEQ_FOLD_LEFT(GROW, 0, (1)(2)(3)(4)) == 10
#include "steps/eight.h"
#endif
#define UNTIL(d, state) BOOST_PP_LESS(state, 13)
#define STEP(d, state) BOOST_PP_INC(state)
#define LAST BOOST_PP_WHILE(UNTIL, STEP, 3)
#include BOOST_PP_STRINGIZE(BOOST_PP_CAT(steps/step, LAST).h)
