//! Makers that common headers define, known from the start: a set that grows in the middle of a build makes
//! summaries void. A maker that no file defines costs nothing but a search for its name, and one that is missing here is
//! found when a file defines it.

use crate::macros::makers::Kind;

/// Names and what they can make. glibc; libstdc++'s parallel algorithms; libc++; Boost; fmt.
pub(crate) const STOCK: &[(&str, Kind)] = &[
    ("__glibc_macro_warning1", Kind::Stringizer),
    ("_PSTL_PRAGMA", Kind::Stringizer),
    ("_PSTL_PRAGMA_SIMD", Kind::Any),
    ("_PSTL_PRAGMA_FORCEINLINE", Kind::Any),
    ("_PSTL_PRAGMA_MESSAGE_IMPL", Kind::Any),
    ("_PSTL_PRAGMA_MESSAGE", Kind::Any),
    ("_PSTL_PRAGMA_MESSAGE_POLICIES", Kind::Any),
    ("_LIBCPP_PUSH_MACROS", Kind::Any),
    ("_LIBCPP_POP_MACROS", Kind::Any),
    ("BOOST_PRAGMA_MESSAGE", Kind::Any),
    ("BOOST_HEADER_DEPRECATED", Kind::Any),
    ("FMT_GCC_PRAGMA", Kind::Any),
];
