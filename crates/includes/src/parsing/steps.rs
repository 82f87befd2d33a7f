//! What a parsed file is made of: steps with jump targets, the lines and notes they name, and why a step is refused.

use crate::macros::calls::Call;
use crate::macros::makers::Kind as MakerKind;
use crate::macros::option_pragmas::OptionPragma;
use crate::memory::names::Id;
use crate::parsing::tokens::Token;

/// How an include is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    Include,
    Next,
    Import,
}

/// One step of a file. A jump target is the index of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Define {
        name: Id,
        definition: Id,
    },
    Undefine {
        name: Id,
    },
    /// `#if`: index of the line; `next` is the `#elif`, `#else` or `#endif` that follows its group.
    If {
        line: u32,
        next: u32,
    },
    Ifdef {
        name: Id,
        next: u32,
        negated: bool,
    },
    /// `#elif`; `end` is the `#endif`.
    Elif {
        line: u32,
        next: u32,
        end: u32,
    },
    Elifdef {
        name: Id,
        next: u32,
        end: u32,
        negated: bool,
    },
    Else {
        end: u32,
    },
    Endif,
    /// An include whose header is written out: with its quotes or brackets.
    Include {
        header: Id,
        form: Form,
    },
    /// An include whose header comes from macros.
    Computed {
        line: u32,
        form: Form,
    },
    Once,
    Push {
        name: Id,
    },
    Pop {
        name: Id,
    },
    /// A pragma that changes options, and macros with them.
    Options(OptionPragma),
    /// gcc takes the rest of the file for one of a system folder, or for none. In the main file a marker
    /// (`# 1 "file" 3`) is obeyed, and the pragma is not.
    System {
        on: bool,
        marker: bool,
    },
    /// A line marker of a rare form, which may say the same.
    Marker,
    /// Something noted about the text here.
    Note {
        note: u32,
    },
    /// A call in text that may make pragmas: its index.
    Call {
        call: u32,
    },
    /// Reaching this ends in a refusal.
    Bad {
        why: u32,
    },
}

/// Why reaching a step is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bad {
    /// The compiler reports an error here.
    Error(String),
    /// Valid, but not modelled.
    Unmodelled(String),
}

/// What is worth knowing about a stretch of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// `__DATE__`, `__TIME__` or `__TIMESTAMP__` is written here, or in a macro defined here.
    Time,
    /// An assembler `.include` or `.incbin` of this file, if its name is plain to see.
    Assembler(Option<Vec<u8>>),
}

/// A line of tokens and where it stands.
#[derive(Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) tokens: Vec<Token>,
    /// Its number in the file, from 1; 0 if it takes several lines of the file.
    pub(crate) number: u32,
}

/// A file as steps.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) steps: Vec<Step>,
    pub(crate) lines: Vec<Line>,
    pub(crate) notes: Vec<Note>,
    pub(crate) bads: Vec<Bad>,
    pub(crate) calls: Vec<Call>,
    /// Macros it defines that may make pragmas.
    pub(crate) makers: Vec<(Id, MakerKind)>,
    /// The macro that, once defined, makes the whole file empty.
    pub(crate) guard: Option<Id>,
    /// It can mark itself to be read once only.
    pub(crate) may_be_once: bool,
    /// Steps before which a raw string hides what looks like a directive (clang sees it in skipped groups).
    pub(crate) hidden: Vec<u32>,
    /// Not all of its words can be found by their bytes.
    pub(crate) hides_words: bool,
    /// A `#line` changes its line numbers.
    pub(crate) renumbered: bool,
    /// It asks the compiler these questions.
    pub(crate) questions: Vec<Id>,
    /// The whole file must be refused.
    pub(crate) broken: Option<Bad>,
}

/// How much of a file's meaning is left after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Likeness {
    /// It does something else.
    Other,
    /// It does the same, and says `__LINE__` for some directives where it said another number.
    Shifted,
    /// It does the same: text, comments or layout changed.
    Same,
}

impl Parsed {
    /// How alike the effects of two files are that have the same path.
    pub(crate) fn likeness(&self, other: &Parsed) -> Likeness {
        // Every part is named here: one that evaluation looks at must not be forgotten.
        let Parsed {
            steps,
            lines,
            notes,
            bads,
            calls,
            makers,
            guard,
            may_be_once,
            hidden,
            hides_words,
            renumbered,
            questions,
            broken,
        } = self;
        let is_alike = *steps == other.steps
            && lines.len() == other.lines.len()
            && lines
                .iter()
                .zip(&other.lines)
                .all(|(a, b)| a.tokens == b.tokens && (a.number == 0) == (b.number == 0))
            && *notes == other.notes
            && *bads == other.bads
            && *calls == other.calls
            && *makers == other.makers
            && *guard == other.guard
            && *may_be_once == other.may_be_once
            && *hidden == other.hidden
            && *hides_words == other.hides_words
            && *renumbered == other.renumbered
            && *questions == other.questions
            && *broken == other.broken;
        if !is_alike {
            Likeness::Other
        } else if *lines == other.lines {
            Likeness::Same
        } else {
            Likeness::Shifted
        }
    }
}
