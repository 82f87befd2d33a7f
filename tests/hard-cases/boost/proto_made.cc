// std: c++98 c++11
// flags: -DBOOST_PROTO_DONT_USE_PREPROCESSED_FILES -DBOOST_PROTO_MAX_ARITY=12 -DBOOST_MPL_LIMIT_METAFUNCTION_ARITY=12 -DBOOST_MPL_CFG_NO_PREPROCESSED_HEADERS
// Proto made by iteration, with raised limits.
#include <boost/proto/proto.hpp>
