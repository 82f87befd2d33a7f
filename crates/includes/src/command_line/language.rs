//! The language of a main file: by `-x`, or by its name.

/// The language of the main file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    C,
    Cxx,
    ObjectiveC,
    ObjectiveCxx,
    Assembler,
    /// Already preprocessed, or assembler without directives: nothing is included.
    Finished,
}

impl Language {
    /// The name for `-x`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Language::C | Language::Finished => "c",
            Language::Cxx => "c++",
            Language::ObjectiveC => "objective-c",
            Language::ObjectiveCxx => "objective-c++",
            Language::Assembler => "assembler-with-cpp",
        }
    }
}

fn extension(path: &[u8]) -> &[u8] {
    let (_, name) = crate::tree::split(path);
    memchr::memrchr(b'.', name).map_or(b"", |at| &name[at + 1..])
}

pub(crate) fn language_of(path: &[u8]) -> Option<Language> {
    Some(match extension(path) {
        b"c" | b"h" => Language::C,
        b"cc" | b"cp" | b"cxx" | b"cpp" | b"CPP" | b"c++" | b"C" | b"hh" | b"H" | b"hp"
        | b"hxx" | b"hpp" | b"HPP" | b"h++" | b"tcc" => Language::Cxx,
        b"m" => Language::ObjectiveC,
        b"mm" | b"M" => Language::ObjectiveCxx,
        b"S" | b"sx" => Language::Assembler,
        b"i" | b"ii" | b"mi" | b"mii" | b"s" => Language::Finished,
        _ => return None,
    })
}

pub(crate) fn language_named(name: &[u8]) -> Option<Language> {
    Some(match name {
        b"c" | b"c-header" => Language::C,
        b"c++" | b"c++-header" => Language::Cxx,
        b"objective-c" | b"objective-c-header" => Language::ObjectiveC,
        b"objective-c++" | b"objective-c++-header" => Language::ObjectiveCxx,
        b"assembler-with-cpp" => Language::Assembler,
        b"cpp-output"
        | b"c-cpp-output"
        | b"c++-cpp-output"
        | b"assembler"
        | b"objective-c-cpp-output"
        | b"objc-cpp-output"
        | b"objective-c++-cpp-output" => Language::Finished,
        _ => return None,
    })
}
