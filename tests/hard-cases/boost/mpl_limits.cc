// std: c++98 c++14
// flags: -DBOOST_MPL_CFG_NO_PREPROCESSED_HEADERS -DBOOST_MPL_LIMIT_VECTOR_SIZE=50 -DBOOST_MPL_LIMIT_LIST_SIZE=40 -DBOOST_MPL_LIMIT_MAP_SIZE=30 -DBOOST_MPL_LIMIT_SET_SIZE=30 -DBOOST_MPL_LIMIT_METAFUNCTION_ARITY=8
// MPL with raised limits, given on the command line.
#include <boost/mpl/vector.hpp>
#include <boost/mpl/list.hpp>
#include <boost/mpl/set.hpp>
#include <boost/mpl/map.hpp>
#include <boost/mpl/vector_c.hpp>
#include <boost/mpl/list_c.hpp>
#include <boost/mpl/apply.hpp>
#include <boost/mpl/bind.hpp>
#include <boost/mpl/lambda.hpp>
#include <boost/mpl/fold.hpp>
#include <boost/mpl/reverse_fold.hpp>
#include <boost/mpl/iter_fold.hpp>
#include <boost/mpl/transform.hpp>
#include <boost/mpl/inherit.hpp>
#include <boost/mpl/inherit_linearly.hpp>
#include <boost/mpl/deque.hpp>
#include <boost/mpl/string.hpp>
#include <boost/mpl/switch.hpp>
#include <boost/mpl/unpack_args.hpp>
