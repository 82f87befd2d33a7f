//! The compiler's own facts: predefined macros, default folders, lexing rules, and answers to `__has_builtin(x)`
//! and its kin. They are asked by preprocessing a script and reading what comes out.

use crate::command_line::options::Language;
use crate::command_line::words::split_words;
use crate::compilers::ask::Said;
pub(crate) use crate::compilers::stock_questions::STOCK;
use crate::parsing::dialect::Dialect;

/// What a compiler says of itself under one set of options.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Names and definitions as after `#define`: `(x) y` or ` y`.
    pub(crate) macros: Vec<(Vec<u8>, Vec<u8>)>,
    /// Default folders in order.
    pub(crate) folders: Vec<Vec<u8>>,
    /// Default folders that do not exist.
    pub(crate) absent_folders: Vec<Vec<u8>>,
    pub(crate) dialect: Dialect,
    /// Lists of what sanitizers leave alone, which clang reads and names as dependencies.
    pub(crate) lists: Vec<Vec<u8>>,
    /// Built-in macros that no list of macros shows.
    pub(crate) builtins: Vec<&'static str>,
    /// gcc's driver for C++, which takes `a.c` for C++: it alone adds an option for the linker.
    pub(crate) takes_c_for_cxx: bool,
    /// The header that gcc includes before all others.
    pub(crate) predef: Option<Vec<u8>>,
}

/// Built-in macros to ask for.
const BUILTINS: [&str; 27] = [
    "__FILE__",
    "__LINE__",
    "__COUNTER__",
    "__DATE__",
    "__TIME__",
    "__TIMESTAMP__",
    "__BASE_FILE__",
    "__INCLUDE_LEVEL__",
    "__FILE_NAME__",
    "_Pragma",
    "__has_include",
    "__has_include_next",
    "__has_embed",
    "__has_attribute",
    "__has_cpp_attribute",
    "__has_c_attribute",
    "__has_builtin",
    "__has_feature",
    "__has_extension",
    "__has_warning",
    "__has_declspec_attribute",
    "__has_constexpr_builtin",
    "__is_identifier",
    "__building_module",
    "__is_target_arch",
    "__is_target_os",
    "__is_target_environment",
];

/// The script that finds out everything but answers. `appeared` only makes it another question than before.
pub(crate) fn script(appeared: &[Vec<u8>]) -> Vec<u8> {
    // The definitions come out by themselves (`-dD`); each line here answers one question of form.
    let mut script = b"\npumpcc_begin\n".to_vec();
    for (at, name) in BUILTINS.iter().enumerate() {
        script
            .extend_from_slice(format!("#ifdef {name}\npumpcc_builtin {at}\n#endif\n").as_bytes());
    }
    script.extend_from_slice(
        b"#if 1 //**/ 2\npumpcc_is line_comments\n#endif\n\
        #if 0\n#elifdef __FILE__\npumpcc_is elifdef\n#endif\n\
        #ifdef __cplusplus\npumpcc_is cplusplus\n#endif\n\
        #if true\npumpcc_is has_true\n#endif\n\
        #if '\\377' > 0\npumpcc_is unsigned_char\n#endif\n\
        #if L'\\0' - 1 > 0\npumpcc_is unsigned_wide\n#endif\n\
        #define pumpcc_optional(x,...) __VA_OPT__(1)\n\
        pumpcc_is va_opt pumpcc_optional(1,2)\n\
        #define pumpcc_third(a,b,c,...) c\n\
        #define pumpcc_comma(...) pumpcc_third(0,##__VA_ARGS__,1,0,0)\n\
        #if pumpcc_comma()\npumpcc_is keeps_comma\n#endif\n\
        %:define pumpcc_digraph 1\n\
        #ifdef pumpcc_digraph\npumpcc_is digraphs\n#endif\n\
        #if 1 and 1\npumpcc_is named_operators\n#endif\n\
        #define pumpcc_\xc3\xa9 1\n\
        #ifndef pumpcc_\npumpcc_is letters\n#endif\n\
        ?\x3f=define pumpcc_trigraph 1\n\
        #ifdef pumpcc_trigraph\npumpcc_is trigraphs\n#endif\n\
        #if 1'000 == 1000 /* ' */\npumpcc_is digit_separators\n#endif\n\
        #if u'a' == 97 && U'a' == 97\npumpcc_is unicode_characters\n#endif\n\
        #if u8'a' == 97\npumpcc_is utf8_characters\n#endif\n\
        #if u8'\\0' - 1 > 0\npumpcc_is unsigned_utf8\n#endif\n\
        R\"x(\n#define pumpcc_not_raw 1\n)x\"\n\
        #ifndef pumpcc_not_raw\npumpcc_is raw_strings\n#endif\n\
        pumpcc_end\n",
    );
    let stock: Vec<Vec<u8>> = STOCK
        .iter()
        .map(|question| question.as_bytes().to_vec())
        .collect();
    script.extend_from_slice(&question_script(&stock));
    for folder in appeared {
        script.extend_from_slice(
            format!("#ident \"{:?}\"\n", String::from_utf8_lossy(folder)).as_bytes(),
        );
    }
    script
}

/// Folders named in the question, which stand in the answer where those of a command will: `-I`, `-isystem`. They
/// hold no headers and are on every machine.
const BRACKET_MARKER: &str = "/";
const SYSTEM_MARKER: &str = "/usr";

/// The words of the question but for the command's own options.
pub(crate) fn arguments(language: Language) -> [&'static str; 10] {
    let name = language.name();
    [
        "-I",
        BRACKET_MARKER,
        "-isystem",
        SYSTEM_MARKER,
        "-w",
        "-E",
        "-dD",
        "-v",
        "-x",
        name,
    ]
}

/// Reads what [`script`] brought out.
pub(crate) fn read(said: &Said, language: Language) -> Result<Facts, String> {
    let mut facts = Facts::default();
    facts.dialect.asm = language == Language::Assembler;
    let mut ended = false;
    let mut inside_predef = false;
    for line in said.output.split(|&b| b == b'\n') {
        if let Some(marker) = line.strip_prefix(b"# ") {
            let file = marker.split(|&b| b == b'"').nth(1).unwrap_or_default();
            inside_predef = file.ends_with(b"/stdc-predef.h");
            if inside_predef {
                facts.predef = Some(file.to_vec());
            } else if !is_no_file(file) {
                // A script around the compiler adds `-include`, say: such files would be missing.
                return Err(format!(
                    "it includes {} by itself",
                    String::from_utf8_lossy(file)
                ));
            }
        } else if let Some(definition) = line.strip_prefix(b"#define ") {
            if inside_predef || definition.starts_with(b"pumpcc_") {
                continue;
            }
            let len = definition
                .iter()
                .position(|&b| b == b' ' || b == b'(')
                .unwrap_or(definition.len());
            facts
                .macros
                .push((definition[..len].to_vec(), definition[len..].to_vec()));
        } else if let Some(at) = line.strip_prefix(b"pumpcc_builtin ") {
            let at: Option<usize> = std::str::from_utf8(at)
                .ok()
                .and_then(|at| at.trim().parse().ok());
            facts.builtins.extend(at.and_then(|at| BUILTINS.get(at)));
        } else if let Some(fact) = line.strip_prefix(b"pumpcc_is ") {
            let dialect = &mut facts.dialect;
            match fact.trim_ascii() {
                b"line_comments" => dialect.line_comments = true,
                b"elifdef" => dialect.elifdef = true,
                b"cplusplus" => dialect.cplusplus = true,
                b"has_true" => dialect.has_true = true,
                b"unsigned_wide" => dialect.unsigned_wide = true,
                b"va_opt 1" => dialect.va_opt = true,
                b"keeps_comma" => dialect.keeps_comma = true,
                b"digraphs" => dialect.digraphs = true,
                b"unsigned_char" => dialect.unsigned_char = true,
                b"named_operators" => dialect.named_operators = true,
                b"trigraphs" => dialect.trigraphs = true,
                b"digit_separators" => dialect.digit_separators = true,
                b"unicode_characters" => dialect.unicode_characters = true,
                b"utf8_characters" => dialect.utf8_characters = true,
                b"unsigned_utf8" => dialect.unsigned_utf8 = true,
                b"raw_strings" => dialect.raw_strings = true,
                b"letters" => dialect.letters = true,
                _ => {}
            }
        } else if line.starts_with(b"pumpcc_end") {
            ended = true;
        }
    }
    if !ended {
        let first = said
            .errors
            .split(|&b| b == b'\n')
            .find(|l| memchr::memmem::find(l, b"error").is_some())
            .unwrap_or_default();
        return Err(format!(
            "it did not preprocess its questions: {}",
            String::from_utf8_lossy(first)
        ));
    }
    // Not by `__clang__`: `-undef` takes it away.
    facts.dialect.clang = memchr::memmem::find(&said.errors, b"clang version ").is_some();
    if facts.dialect.clang {
        facts.lists = sanitizer_lists(&said.errors);
        let is_of_microsoft = |name: &[u8]| name == b"_MSC_VER" || name == b"_MSC_EXTENSIONS";
        if facts.macros.iter().any(|(name, _)| is_of_microsoft(name)) {
            return Err("it searches like Microsoft's compiler".into());
        }
    }
    let mut lines = said.errors.split(|&b| b == b'\n');
    facts.takes_c_for_cxx = lines.any(|line| {
        line.starts_with(b"COLLECT_GCC_OPTIONS=")
            && memchr::memmem::find(line, b"'-shared-libgcc'").is_some()
    });
    let mut list = None;
    for line in said.errors.split(|&b| b == b'\n') {
        if line.starts_with(b"#include <...>") {
            list = Some(List::Bracket);
        } else if line.starts_with(b"#include \"...\"") {
            list = Some(List::Quote);
        } else if line.starts_with(b"End of search list") {
            list = None;
        } else if line.starts_with(b" ")
            && let Some(list) = &list
        {
            if line.ends_with(b" (framework directory)") {
                return Err("it searches frameworks".into());
            }
            if *list == List::Quote {
                return Err(own_folder(&line[1..]));
            }
            facts.folders.push(line[1..].to_vec());
        } else if let Some(rest) = line.strip_prefix(b"ignoring nonexistent directory \"") {
            facts
                .absent_folders
                .push(rest.strip_suffix(b"\"").unwrap_or(rest).to_vec());
        }
    }
    // What a script around the compiler adds behind the command's folders is as good as a default folder.
    for marker in [BRACKET_MARKER, SYSTEM_MARKER] {
        match facts.folders.first() {
            Some(folder) if folder == marker.as_bytes() => drop(facts.folders.remove(0)),
            Some(folder) => return Err(own_folder(folder)),
            None => return Err("it does not tell where it searches".into()),
        }
    }
    Ok(facts)
}

/// The two lists of folders that `-v` prints.
#[derive(PartialEq, Eq)]
enum List {
    Quote,
    Bracket,
}

/// Folders that the command's own would come behind: which, is not known.
fn own_folder(folder: &[u8]) -> String {
    format!(
        "it searches {} by itself, before folders of the command",
        String::from_utf8_lossy(folder)
    )
}

/// Whether a line marker's name stands for the input (`<stdin>`, `<built-in>`...) or the working folder (`/folder//`).
fn is_no_file(name: &[u8]) -> bool {
    name.starts_with(b"<") || name.ends_with(b"//") || name.is_empty()
}

/// The lists in the inner command that clang shows.
fn sanitizer_lists(errors: &[u8]) -> Vec<Vec<u8>> {
    let commands = errors
        .split(|&b| b == b'\n')
        .filter(|line| memchr::memmem::find(line, b" -cc1 ").is_some());
    commands
        .flat_map(split_words)
        .filter_map(|word| {
            let names = [
                &b"-fsanitize-ignorelist="[..],
                b"-fsanitize-system-ignorelist=",
            ];
            let path = names.iter().find_map(|name| word.strip_prefix(*name))?;
            Some(path.to_vec())
        })
        .collect()
}

/// The script that asks `questions`, such as `__has_builtin(x)`.
pub(crate) fn question_script(questions: &[Vec<u8>]) -> Vec<u8> {
    let mut script = Vec::new();
    for (at, question) in questions.iter().enumerate() {
        script.extend_from_slice(format!("pumpcc_answer {at} ").as_bytes());
        script.extend_from_slice(question);
        script.push(b'\n');
    }
    script.extend_from_slice(b"pumpcc_end\n");
    script
}

/// Reads the answers to `count` questions; `None` where the compiler called the question an error.
pub(crate) fn read_answers(said: &Said, count: usize) -> Result<Vec<Option<Vec<u8>>>, String> {
    let mut answers = vec![None; count];
    let mut ended = false;
    for line in said.output.split(|&b| b == b'\n') {
        if let Some(rest) = line.strip_prefix(b"pumpcc_answer ") {
            let mut words = rest.split(|&b| b == b' ').filter(|w| !w.is_empty());
            let at: Option<usize> = words
                .next()
                .and_then(|w| std::str::from_utf8(w).ok())
                .and_then(|w| w.parse().ok());
            let answer = words
                .next()
                .filter(|w| w.iter().all(u8::is_ascii_alphanumeric) && w[0].is_ascii_digit());
            if let (Some(slot), Some(answer), None) =
                (at.and_then(|at| answers.get_mut(at)), answer, words.next())
            {
                *slot = Some(answer.to_vec());
            }
        }
        ended |= line.starts_with(b"pumpcc_end");
    }
    if ended {
        Ok(answers)
    } else {
        Err("it did not answer all questions".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuzzed_answers() {
        fuzz::Target::new("what a compiler says of itself")
            .seeds([
                &b"# 0 \"<built-in>\"\n#define __STDC__ 1\n#define __INT8_C(c) c\npumpcc_builtin 0\npumpcc_is elifdef\npumpcc_answer 0 201907L\npumpcc_end\n\0ignoring \"/no\"\n#include <...> search starts here:\n /usr\nEnd of search list.\n"[..],
            ])
            .words(["#define ", "pumpcc_builtin ", "pumpcc_is ", "pumpcc_answer ", "pumpcc_end\n", "\n", "\0", " /x (framework directory)\n", "# 1 \""])
            .memory(1 << 20, 500)
            .run(|text| {
                let mut parts = text.splitn(2, |&byte| byte == 0).map(<[u8]>::to_vec);
                let said = Said {
                    output: parts.next().unwrap_or_default(),
                    errors: parts.next().unwrap_or_default(),
                };
                for language in [Language::C, Language::Assembler] {
                    let _ = read(&said, language);
                }
                if let Ok(answers) = read_answers(&said, 3) {
                    assert_eq!(answers.len(), 3);
                }
            });
    }

    #[test]
    fn reads_macros_folders_and_rules() {
        let said = Said {
            output: b"# 0 \"<built-in>\"\n#define __STDC__ 1\n#define __INT8_C(c) c\n# 1 \"/usr/include/stdc-predef.h\" 1 3 4\n#define _STDC_PREDEF_H 1\n# 1 \"<stdin>\"\npumpcc_builtin 0\npumpcc_is elifdef\npumpcc_end\n".to_vec(),
            errors: b"ignoring nonexistent directory \"/no\"\n#include <...> search starts here:\n /\n /usr\n /a b\n /c\nEnd of search list.\n".to_vec(),
        };
        let facts = read(&said, Language::C).expect("complete");
        assert_eq!(
            facts.macros,
            [
                (b"__STDC__".to_vec(), b" 1".to_vec()),
                (b"__INT8_C".to_vec(), b"(c) c".to_vec())
            ]
        );
        assert_eq!(facts.folders, [b"/a b".to_vec(), b"/c".to_vec()]);
        assert_eq!(
            (facts.builtins, facts.absent_folders),
            (vec!["__FILE__"], vec![b"/no".to_vec()])
        );
        assert!(facts.dialect.elifdef && facts.predef.is_some());
    }

    #[test]
    fn a_compiler_that_adds_a_file_is_refused() {
        let said = |marker: &str| Said {
            output: format!("# 1 \"<stdin>\"\n# 1 \"/w//\"\n{marker}\npumpcc_end\n").into_bytes(),
            errors: b"#include <...> search starts here:\n /\n /usr\nEnd of search list.\n"
                .to_vec(),
        };
        assert!(read(&said(""), Language::C).is_ok());
        let why = read(&said("# 1 \"forced.h\" 1"), Language::C).expect_err("forced.h is read");
        assert_eq!(why, "it includes forced.h by itself");
    }

    #[test]
    fn a_compiler_that_searches_folders_of_its_own_first_is_refused() {
        let folders = |quote: &str, bracket: &str| {
            let said = Said {
                output: b"pumpcc_end\n".to_vec(),
                errors: format!(
                    "#include \"...\" search starts here:\n{quote}\
                     #include <...> search starts here:\n{bracket}End of search list.\n"
                )
                .into_bytes(),
            };
            read(&said, Language::C).map(|facts| facts.folders)
        };
        assert_eq!(
            folders("", " /\n /usr\n /own\n"),
            Ok(vec![b"/own".to_vec()])
        );
        for (quote, bracket) in [
            ("", " /own\n /\n /usr\n"),
            ("", " /\n /own\n /usr\n"),
            (" /own\n", " /\n /usr\n"),
        ] {
            let why = folders(quote, bracket).expect_err("the order is not known");
            assert!(why.starts_with("it searches /own by itself"), "{why}");
        }
        assert!(folders("", "").is_err());
    }

    #[test]
    fn an_unfinished_run_is_no_answer() {
        assert!(read(&Said::default(), Language::C).is_err());
        let said = Said {
            output: b"pumpcc_answer 0 1\npumpcc_answer 1 __has_x (\npumpcc_end\n".to_vec(),
            errors: Vec::new(),
        };
        assert_eq!(read_answers(&said, 2), Ok(vec![Some(b"1".to_vec()), None]));
    }
}
