// std: c++98 c++11 c++14 c++17 c++20
// MPL as it comes: most of it from its preprocessed headers.
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
