//! `#pragma GCC target` and `optimize`: with them gcc changes its own macros in the middle of a C file.
//!
//! Only a real compile of C does so, not `-E` and not C++ (seen with gcc 12). What the macros become is not
//! modelled: while such a pragma is in force, a condition that asks for one of them is refused.

use memchr::memmem;

use crate::memory::names::{Id, Names};

/// A pragma about options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OptionPragma {
    Target,
    Optimize,
    Push,
    Pop,
    Reset,
}

/// The pragma whose word after `GCC` is this.
pub(crate) fn option_pragma(word: &[u8]) -> Option<OptionPragma> {
    Some(match word {
        b"target" => OptionPragma::Target,
        b"optimize" => OptionPragma::Optimize,
        b"push_options" => OptionPragma::Push,
        b"pop_options" => OptionPragma::Pop,
        b"reset_options" => OptionPragma::Reset,
        _ => return None,
    })
}

/// Pseudo-names that say whether a `target` or an `optimize` pragma is in force.
pub(crate) const STATES: [&[u8]; 2] = [b"\x04options target", b"\x04options optimize"];

/// Whether this file's conditions on such macros decide nothing outside of it: gcc's own headers seal each group of
/// intrinsics in such pragmas, ask within them, and include the same headers either way.
pub(crate) fn is_indifferent(real: &[u8]) -> bool {
    memmem::find(real, b"/lib/gcc/").is_some()
}

/// How names begin that options for a target define or change.
const TARGET: &[&[u8]] = &[
    b"__3dNOW",
    b"__ABM",
    b"__ADX",
    b"__AES",
    b"__AMX",
    b"__AVX",
    b"__BIGGEST_ALIGN",
    b"__BMI",
    b"__CL",
    b"__CRC32",
    b"__ENQCMD",
    b"__F16C",
    b"__FMA",
    b"__FP_FAST_FMA",
    b"__FSGSBASE",
    b"__FXSR",
    b"__GCC_HAVE_SYNC",
    b"__GFNI",
    b"__HLE",
    b"__HRESET",
    b"__KL",
    b"__LAHF",
    b"__LWP",
    b"__LZCNT",
    b"__MMX",
    b"__MOV",
    b"__MWAITX",
    b"__PCLMUL",
    b"__PCONFIG",
    b"__PKU",
    b"__POPCNT",
    b"__PREFETCHW",
    b"__PRFCHW",
    b"__PTWRITE",
    b"__RD",
    b"__RTM",
    b"__SERIALIZE",
    b"__SGX",
    b"__SHA",
    b"__SHSTK",
    b"__SSE",
    b"__SSSE",
    b"__TBM",
    b"__TSXLDTRK",
    b"__UINTR",
    b"__VAES",
    b"__VPCLMUL",
    b"__WAITPKG",
    b"__WBNOINVD",
    b"__WIDEKL",
    b"__XOP",
    b"__XSAVE",
    b"_SOFT_FLOAT",
    b"__tune_",
    b"__k8",
    b"__znver",
    b"__bdver",
    b"__btver",
    b"__amdfam",
    b"__core",
    b"__nehalem",
    b"__nocona",
    b"__atom",
    b"__ARM_",
    b"__ALTIVEC",
    b"__VSX",
    b"_ARCH_",
];

/// Parts of names that options for optimisation define or change.
const OPTIMIZE: &[&[u8]] = &[
    b"__OPTIMIZE",
    b"__NO_INLINE__",
    b"_MATH",
    b"__NO_SIGNED_ZEROS__",
    b"_IEC_",
];

/// For each name met in a condition, the state that it depends on. Asked for each such name, so kept by number.
#[derive(Debug, Default)]
pub(crate) struct OptionMacros(Vec<Option<Option<u8>>>);

impl OptionMacros {
    /// The index in [`STATES`] for this macro.
    pub(crate) fn state_of(&mut self, name: Id, names: &mut Names) -> Option<u8> {
        match self.0.get(name as usize) {
            Some(Some(known)) => *known,
            _ => self.learn(name, names),
        }
    }

    #[cold]
    fn learn(&mut self, name: Id, names: &mut Names) -> Option<u8> {
        let at = name as usize;
        if self.0.len() <= at {
            self.0.resize((at + 1).max(self.0.len() * 2), None);
        }
        let state = state_of(&names.entry(name).bytes);
        self.0[at] = Some(state);
        state
    }
}

/// The state in [`STATES`] that this macro depends on.
fn state_of(name: &[u8]) -> Option<u8> {
    if TARGET.iter().any(|begin| name.starts_with(begin)) {
        Some(0)
    } else if name.starts_with(b"__")
        && OPTIMIZE
            .iter()
            .any(|part| memmem::find(name, part).is_some())
    {
        Some(1)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_depend_on_the_options_that_define_them() {
        assert_eq!(state_of(b"__AVX2__"), Some(0));
        assert_eq!(state_of(b"__OPTIMIZE__"), Some(1));
        assert_eq!(state_of(b"__FINITE_MATH_ONLY__"), Some(1));
        assert_eq!(state_of(b"__x86_64__"), None);
        assert_eq!(state_of(b"AVX_H"), None);
    }
}
