// std: c++98
// flags: -DBOOST_VARIANT_DO_NOT_USE_VARIADIC_TEMPLATES -DBOOST_MPL_CFG_NO_PREPROCESSED_HEADERS -DBOOST_MPL_LIMIT_LIST_SIZE=30
// Variant without variadic templates.
#include <boost/variant.hpp>
