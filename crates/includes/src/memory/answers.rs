//! Answers given before: the closure of a command, as long as nothing that it rests on has changed.
//!
//! They live as long as a worker's other knowledge of the file system, and are forgotten with it. Most queries of a
//! second build end here.

use std::ffi::OsString;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::closure::Closure;
use crate::command_line::options::Command;
use crate::memory::names::{FastHasher, FastMap};

type Variables = Vec<(OsString, OsString)>;

#[derive(Debug)]
struct Answer {
    cwd: Vec<u8>,
    argv: Vec<OsString>,
    /// Shared: most commands of a build have the same environment.
    env: Arc<Variables>,
    closure: Arc<Closure>,
}

/// Closures by command.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// By the hash of the command.
    known: FastMap<u64, Vec<Answer>>,
    environments: Vec<Arc<Variables>>,
    /// Words of memory, about.
    pub(crate) weight: usize,
}

/// Environments kept; a build that has more of them pays for a copy each.
const ENVIRONMENTS: usize = 16;

fn hash(command: &Command) -> u64 {
    let mut hasher = FastHasher::default();
    command.cwd.hash(&mut hasher);
    command.argv.hash(&mut hasher);
    hasher.finish()
}

fn weight(closure: &Closure) -> usize {
    5 * closure.files.len() + 2 * closure.absent.searches() + 64
}

impl Answers {
    pub(crate) fn clear(&mut self) {
        *self = Answers::default();
    }

    /// Forgets those that rest on one of these files, given by real paths.
    pub(crate) fn forget_those_of(&mut self, files: &[Arc<[u8]>]) {
        for answers in self.known.values_mut() {
            answers.retain(|answer| {
                let mut read = answer.closure.files.iter();
                let is_free = !read.any(|file| files.contains(&file.real));
                if !is_free {
                    self.weight -= weight(&answer.closure);
                }
                is_free
            });
        }
        self.known.retain(|_, answers| !answers.is_empty());
    }

    /// The closure of this command, if it was asked before.
    pub(crate) fn find(&self, command: &Command) -> Option<Arc<Closure>> {
        self.known
            .get(&hash(command))?
            .iter()
            .find(|answer| {
                answer.cwd == command.cwd
                    && answer.argv == command.argv
                    && *answer.env == command.env
            })
            .map(|answer| Arc::clone(&answer.closure))
    }

    /// Remembers it. What the command's response files hold is no part of the command, so those are not kept.
    pub(crate) fn insert(&mut self, command: &Command, closure: &Arc<Closure>) {
        if command
            .argv
            .iter()
            .any(|argument| memchr::memchr(b'@', argument.as_encoded_bytes()).is_some())
        {
            return;
        }
        let known = self.environments.iter().find(|env| ***env == command.env);
        let env = known.map_or_else(|| Arc::new(command.env.clone()), Arc::clone);
        if known.is_none() && self.environments.len() < ENVIRONMENTS {
            self.environments.push(Arc::clone(&env));
        }
        self.weight += weight(closure);
        self.known.entry(hash(command)).or_default().push(Answer {
            cwd: command.cwd.clone(),
            argv: command.argv.clone(),
            env,
            closure: Arc::clone(closure),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(argument: &str, variable: &str) -> Command {
        Command {
            cwd: b"/p".to_vec(),
            argv: vec!["gcc".into(), argument.into()],
            env: vec![("CPATH".into(), variable.into())],
        }
    }

    #[test]
    fn an_answer_belongs_to_its_whole_command() {
        let mut answers = Answers::default();
        let closure = Arc::new(Closure::default());
        answers.insert(&command("a.c", "/x"), &closure);
        assert!(answers.find(&command("a.c", "/x")).is_some());
        assert!(answers.find(&command("b.c", "/x")).is_none());
        assert!(answers.find(&command("a.c", "/y")).is_none());
        answers.insert(&command("@list", "/x"), &closure);
        assert!(answers.find(&command("@list", "/x")).is_none());
    }
}
