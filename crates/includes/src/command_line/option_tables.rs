//! Options by what they can do to includes: nothing, change the compiler's own facts, or more than is modelled.
//!
//! `command::options` is a table too, of all options that compilers have. It answers another question, for any
//! compiler; here an option is listed with what it means, and one that is unknown is asked about.

/// Options whose value is the next argument, and that say nothing about includes.
pub(crate) const DROPPED_WITH_VALUE: &[&[u8]] = &[
    b"-o",
    b"-MF",
    b"-MT",
    b"-MQ",
    b"-MJ",
    b"-A",
    b"-Xassembler",
    b"-Xlinker",
    b"-dumpbase",
    b"-dumpbase-ext",
    b"-dumpdir",
    b"-aux-info",
    b"-u",
    b"-z",
    b"-T",
    b"-L",
    b"-l",
    b"-e",
    b"--serialize-diagnostics",
    b"-serialize-diagnostics",
    b"-framework",
    b"-install_name",
    b"-current_version",
    b"-compatibility_version",
];

/// Options whose value is the next argument, kept with it for the compiler's own facts.
pub(crate) const KEPT_WITH_VALUE: &[&[u8]] = &[
    b"--sysroot",
    b"-imultilib",
    b"--param",
    b"-target",
    b"-B",
    b"-mllvm",
    b"-Xclang",
    b"-G",
    b"-V",
    b"-b",
    b"-gcc-toolchain",
    b"-specs",
    b"-fplugin",
    b"-stdlib",
    b"-std",
    b"-resource-dir",
    b"-march",
    b"-mcpu",
    b"-mtune",
];

/// Of these, the ones whose value is a path: if it is relative, the facts belong to one folder.
pub(crate) const NAMES_FOLDER: &[&[u8]] = &[
    b"-isysroot",
    b"--sysroot",
    b"-B",
    b"-gcc-toolchain",
    b"-specs",
    b"-fplugin",
    b"-resource-dir",
];

/// The same with the value joined on.
pub(crate) const NAMES_FOLDER_JOINED: &[&[u8]] = &[
    b"-isysroot",
    b"--sysroot=",
    b"-B",
    b"-gcc-toolchain=",
    b"--gcc-toolchain=",
    b"--gcc-install-dir=",
    b"-specs=",
    b"--specs=",
    b"-fplugin=",
    b"-fpass-plugin=",
    b"-fprofile-use",
    b"-fprofile-instr-use",
    b"-fprofile-sample-use=",
    b"-fauto-profile=",
    b"-fprofile-list=",
    b"-fprofile-remapping-file=",
    b"-fsanitize-blacklist=",
    b"-fsanitize-ignorelist=",
    b"-resource-dir=",
];

/// Options that are refused by their prefix, and why.
pub(crate) const REFUSED: &[(&[u8], &str)] = &[
    (b"-fmodules", "modules"),
    (b"-fmodule", "modules"),
    (b"-fcxx-modules", "modules"),
    (b"-fimplicit-module", "modules"),
    (b"-include-pch", "a precompiled header"),
    (b"-ivfsoverlay", "a virtual file system"),
    (b"-traditional", "traditional preprocessing"),
    (b"-fdirectives-only", "-fdirectives-only"),
    (b"-working-directory", "-working-directory"),
    (b"-F", "frameworks"),
    (b"-iframework", "frameworks"),
    (b"-arch", "several architectures"),
    (b"-Xarch", "several architectures"),
    (b"-fms-", "Microsoft extensions"),
    (b"-imsvc", "Microsoft extensions"),
    (b"-no-integrated-cpp", "another preprocessor"),
    (b"-fopenmp-targets", "offloading"),
    (b"-foffload", "offloading"),
    (b"--cuda", "CUDA"),
    (b"-fpch", "a precompiled header"),
    (b"-fpreprocessed", "-fpreprocessed"),
    (b"-fembed-dir", "#embed"),
    (b"--embed-dir", "#embed"),
    (b"-cxx-isystem", "-cxx-isystem"),
    (b"-stdlib++-isystem", "-stdlib++-isystem"),
    (b"-isystem-after", "-isystem-after"),
    (b"-iwithsysroot", "-iwithsysroot"),
    (b"-wrapper", "-wrapper"),
    (b"-cc1", "clang's inner command"),
    (b"--driver-mode", "--driver-mode"),
    (b"-remap", "-remap"),
    (b"-fmax-include-depth", "another limit"),
    (b"-fexec-charset", "another character set"),
    (b"-fwide-exec-charset", "another character set"),
    (b"-finput-charset", "another character set"),
    (b"-fno-dollars-in-identifiers", "other names"),
    (b"-fno-extended-identifiers", "other names"),
];

/// Whether an argument begins as an option does. Most differ in the byte behind the dash: seen before it comes to a
/// comparison, that is 2 % of the instructions for a source file that is new.
pub(crate) fn begins_with(argument: &[u8], option: &[u8]) -> bool {
    argument.get(1) == option.get(1) && argument.starts_with(option)
}

/// Options that change neither macros nor the search.
pub(crate) fn is_irrelevant(argument: &[u8]) -> bool {
    const EXACT: &[&[u8]] = &[
        b"-c",
        b"-S",
        b"-E",
        b"-pipe",
        b"-v",
        b"-###",
        b"-w",
        b"-P",
        b"-C",
        b"-CC",
        b"-H",
        b"-save-temps",
        b"-time",
        b"-shared",
        b"-static",
        b"-rdynamic",
        b"-s",
    ];
    const PREFIX: &[&[u8]] = &[
        b"-A",
        b"-W",
        b"-M",
        b"-g",
        b"-l",
        b"-L",
        b"-o",
        b"-d",
        b"-fdiagnostics",
        b"-fmessage-length",
        b"-fcolor-diagnostics",
        b"-fno-color-diagnostics",
        b"-fdebug-prefix-map",
        b"-save-temps=",
        b"-Qunused",
        b"-fvisibility",
        b"-ffunction-sections",
        b"-fdata-sections",
        b"-frandom-seed",
        b"-pedantic",
        b"-fstack-usage",
        b"-ftime-",
        b"-fno-diagnostics",
    ];
    EXACT.contains(&argument) || PREFIX.iter().any(|prefix| begins_with(argument, prefix))
}
