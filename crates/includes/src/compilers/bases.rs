//! Bases: what a compiler says of itself under one set of options, asked once and shared by all workers.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex};

use crate::command_line::options::{Command, Invocation, Language};
use crate::compilers::ask::{self, Ask};
use crate::compilers::facts::{self, Facts};
use crate::locks::lock;
use crate::macros;
use crate::memory::names::{Id, known};
use crate::refusal::Refusal;
use crate::tree::Stamp;
use crate::worker::Worker;

/// All that the compiler's own facts depend on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BaseKey {
    compiler: OsString,
    options: Vec<OsString>,
    language: Language,
    cwd: Option<Vec<u8>>,
    variables: Vec<(OsString, OsString)>,
    /// Default folders that exist now and did not when the compiler was first asked.
    appeared: Vec<Vec<u8>>,
}

/// A compiler's facts, and the values of all names before any line is read.
pub(crate) struct Base {
    pub(crate) facts: Facts,
    ask: Ask,
    /// The programs and their settings that made the facts, with their stamps; `None`: there is none.
    rests_on: Vec<(Vec<u8>, Option<Stamp>)>,
    values: Mutex<Arc<Vec<Id>>>,
    /// Held by who asks more questions: others wait, and find the answers.
    asking: Mutex<()>,
}

impl Worker {
    /// The compiler's facts under the options of this invocation.
    pub(crate) fn base_for(
        &mut self,
        command: &Command,
        invocation: &Invocation,
        language: Language,
        appeared: &[Vec<u8>],
    ) -> Result<Arc<Base>, Refusal> {
        let key = base_key(command, invocation, language, appeared)?;
        if let Some(base) = self.bases.get(&key) {
            return Ok(Arc::clone(base));
        }
        let shared = Arc::clone(&self.shared);
        let base = shared.bases.answer(
            &key,
            self,
            // A compiler may be replaced while we live.
            |worker, base| worker.is_as_before(base),
            |worker| worker.ask_base(command, invocation, &key).map(Arc::new),
        )?;
        self.bases.insert(key, Arc::clone(&base));
        Ok(base)
    }

    /// Asks the compiler for its facts under the options of this invocation, unless somebody has or does.
    pub(crate) fn ask_ahead(
        &mut self,
        command: &Command,
        invocation: &Invocation,
    ) -> Result<(), Refusal> {
        let language = invocation.language.unwrap_or(Language::C);
        let key = base_key(command, invocation, language, &[])?;
        if !self.shared.bases.is_asked(&key) {
            self.base_for(command, invocation, language, &[])?;
        }
        Ok(())
    }

    /// Whether the compiler is still the one that was asked. Its replacement makes the worker forget from now on.
    fn is_as_before(&mut self, base: &Base) -> bool {
        base.rests_on.iter().all(
            |(path, before)| match (self.folders.rest_on(path), before) {
                (Some(now), Some(before)) => now.is_same_as(before),
                (None, None) => true,
                _ => false,
            },
        )
    }

    fn ask_base(
        &mut self,
        command: &Command,
        invocation: &Invocation,
        key: &BaseKey,
    ) -> Result<Base, Refusal> {
        let (language, appeared) = (key.language, &key.appeared);
        let mut arguments = invocation.base.clone();
        arguments.extend(facts::arguments(language).map(OsString::from));
        arguments.push("-".into());
        let env = command
            .env
            .iter()
            .filter(|(name, _)| {
                let mut left_out = ask::FOLDER_VARIABLES.iter().chain(&ask::SIDE_EFFECTS);
                !left_out.any(|v| name == v)
            })
            .cloned()
            .collect();
        let ask = Ask {
            compiler: command.argv[0].clone(),
            arguments,
            // Asked elsewhere it would say the same, so that the answer kept on disk serves all folders.
            cwd: key.cwd.clone().unwrap_or_else(|| b"/".to_vec()),
            env,
            script: facts::script(appeared),
        };
        // Before the question, so that a replacement in between is noticed.
        let mut rests_on = Vec::new();
        for program in ask::candidates(&ask) {
            let stamp = self.folders.rest_on(&program);
            let is_there = stamp.is_some();
            rests_on.push((program, stamp));
            if is_there {
                break;
            }
        }
        self.stats.questions_asked += 1;
        let said = self.shared.compiler.ask(&ask).map_err(Refusal::Compiler)?;
        for program in ask::programs(&said) {
            let stamp = self.folders.rest_on(&program);
            rests_on.push((program, stamp));
        }
        let answers = facts::read_answers(&said, facts::STOCK.len()).map_err(Refusal::Compiler)?;
        let facts = facts::read(&said, language).map_err(Refusal::Compiler)?;
        let mut values = vec![0; known::RESERVED.len()];
        let mut scratch = Vec::new();
        let mut set = |name: Id, value: Id| {
            let at = name as usize;
            if values.len() <= at {
                values.resize(at + 1, 0);
            }
            values[at] = value;
        };
        for (name, text) in &facts.macros {
            let name = self.names.id(name);
            set(
                name,
                macros::intern(text, facts.dialect, &mut self.names, &mut scratch),
            );
        }
        for (question, answer) in facts::STOCK.iter().zip(answers) {
            // An error is an answer too: it is not asked again.
            let answer = answer.map_or(known::DEF_UNKNOWN, |answer| self.names.id(&answer));
            set(self.names.id(question.as_bytes()), answer);
        }
        if facts.dialect.keeps_comma {
            set(known::KEEPS_COMMA, known::IS_ON);
        }
        for &builtin in &facts.builtins {
            let name = self.names.id(builtin.as_bytes());
            set(name, builtin_definition(builtin));
        }
        Ok(Base {
            facts,
            ask,
            rests_on,
            values: Mutex::new(Arc::new(values)),
            asking: Mutex::default(),
        })
    }

    pub(crate) fn base_values(base: &Base) -> Arc<Vec<Id>> {
        Arc::clone(&lock(&base.values))
    }

    /// Asks the compiler this question, and with it all others that were met and it did not answer yet.
    pub(crate) fn ask_questions(
        &mut self,
        base: &Base,
        question: Id,
    ) -> Result<Arc<Vec<Id>>, String> {
        let _asking = lock(&base.asking);
        let values = Self::base_values(base);
        let mut ids: Vec<Id> = lock(&self.shared.questions).clone();
        ids.push(question);
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|&id| values.get(id as usize).copied().unwrap_or(0) == 0);
        if ids.is_empty() {
            return Ok(values);
        }
        let questions: Vec<Vec<u8>> = ids
            .iter()
            .map(|&id| self.names.entry(id).bytes.to_vec())
            .collect();
        let ask = Ask {
            script: facts::question_script(&questions),
            ..base.ask.clone()
        };
        self.stats.questions_asked += 1;
        let said = self.shared.compiler.ask(&ask)?;
        let answers = facts::read_answers(&said, questions.len())?;
        let mut all = values.to_vec();
        for (&id, answer) in ids.iter().zip(answers) {
            let at = id as usize;
            if all.len() <= at {
                all.resize(at + 1, 0);
            }
            // An error is an answer too: `DEF_UNKNOWN`.
            all[at] = answer.map_or(known::DEF_UNKNOWN, |answer| self.names.id(&answer));
        }
        let mut slot = lock(&base.values);
        // Another worker may have learned more meanwhile; keep both.
        for (at, &value) in slot.iter().enumerate() {
            if all.len() <= at {
                all.resize(at + 1, 0);
            }
            if all[at] == 0 {
                all[at] = value;
            }
        }
        *slot = Arc::new(all);
        Ok(Arc::clone(&slot))
    }
}

fn base_key(
    command: &Command,
    invocation: &Invocation,
    language: Language,
    appeared: &[Vec<u8>],
) -> Result<BaseKey, Refusal> {
    let Some(compiler) = command.argv.first() else {
        return Err(Refusal::Command("no compiler".into()));
    };
    Ok(BaseKey {
        compiler: compiler.clone(),
        options: invocation.base.clone(),
        language,
        cwd: depends_on_folder(command, compiler, invocation).then(|| command.cwd.clone()),
        variables: command
            .env
            .iter()
            .filter(|(name, _)| ask::VARIABLES.iter().any(|known| name == known))
            .cloned()
            .collect(),
        appeared: appeared.to_vec(),
    })
}

/// Whether the compiler, or what it says, is another if asked in another folder.
fn depends_on_folder(command: &Command, compiler: &OsStr, invocation: &Invocation) -> bool {
    let name = compiler.as_bytes();
    let is_relative = |path: &[u8]| !path.starts_with(b"/");
    invocation.base_is_local
        || if memchr::memchr(b'/', name).is_some() {
            is_relative(name)
        } else {
            let path = command.variable("PATH").unwrap_or_default();
            path.split(|&b| b == b':').any(is_relative)
        }
}

fn builtin_definition(name: &str) -> Id {
    match name {
        "__FILE__" => known::DEF_FILE,
        "__LINE__" => known::DEF_LINE,
        "__COUNTER__" => known::DEF_COUNTER,
        "__DATE__" | "__TIME__" | "__TIMESTAMP__" => known::DEF_DATE,
        "__BASE_FILE__" => known::DEF_BASE_FILE,
        "__INCLUDE_LEVEL__" => known::DEF_LEVEL,
        "__has_include" => known::DEF_HAS_INCLUDE,
        "__has_include_next" => known::DEF_HAS_INCLUDE_NEXT,
        "__has_embed" => known::DEF_HAS_EMBED,
        "_Pragma" => known::DEF_PRAGMA,
        "__FILE_NAME__" => known::DEF_UNKNOWN,
        _ => known::DEF_QUESTION,
    }
}
