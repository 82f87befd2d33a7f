//! Answers given before: the closure of a command, as long as nothing that it rests on has changed.
//!
//! They live as long as a worker's other knowledge of the file system, and are forgotten with it. Most queries of a
//! second build end here.
//!
//! Workers look into each other's answers, too. Only its owner knows what an answer rests on, so each says up to which
//! change it has looked through all of its own: who knows of no later change may take them. Where changes are not told but
//! found by comparing, the owner alone can look, and says nothing.

use std::ffi::OsString;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, Weak};

use crate::closure::Closure;
use crate::command_line::options::Command;
use crate::locks::lock;
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
struct Known {
    /// By the hash of the command.
    known: FastMap<u64, Vec<Answer>>,
    environments: Vec<Arc<Variables>>,
    /// All of them hold when the record of changes is so long, or shorter.
    looked_up_to: Option<u64>,
}

/// Those of one worker, on cache lines of their own: others seldom look.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lockable(Mutex<Known>);

/// One worker's answers.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    own: Arc<Lockable>,
    /// As others see it.
    looked_up_to: Option<u64>,
    /// Words of memory, about.
    pub(crate) weight: usize,
}

/// The answers of all workers.
#[derive(Debug, Default)]
pub(crate) struct AllAnswers(Mutex<Vec<Weak<Lockable>>>);

/// Environments kept; a build that has more of them pays for a copy each.
const ENVIRONMENTS: usize = 16;

fn hash(command: &Command) -> u64 {
    let mut hasher = FastHasher::default();
    command.cwd.hash(&mut hasher);
    command.argv.hash(&mut hasher);
    hasher.finish()
}

fn weight_of(closure: &Closure) -> usize {
    16 * closure.files.len() + 2 * closure.absent.searches() + 64
}

impl AllAnswers {
    /// Answers of one more worker.
    pub(crate) fn join(&self) -> Answers {
        let answers = Answers::default();
        let mut all = lock(&self.0);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&answers.own));
        answers
    }

    /// The closure of this command, if another worker knows it as of the change at `position` or a later one.
    pub(crate) fn find(
        &self,
        command: &Command,
        own: &Answers,
        position: u64,
    ) -> Option<Arc<Closure>> {
        let all = lock(&self.0);
        let others = all.iter().filter_map(Weak::upgrade);
        let mut others = others.filter(|other| !Arc::ptr_eq(other, &own.own));
        others.find_map(|other| {
            let known = lock(&other.0);
            // What its owner finds spoiled is gone before it says that it has looked.
            let holds = known.looked_up_to.is_some_and(|up_to| up_to >= position);
            holds.then(|| known.find(command)).flatten()
        })
    }
}

impl Answers {
    pub(crate) fn clear(&mut self) {
        self.weight = 0;
        let mut known = lock(&self.own.0);
        let looked_up_to = known.looked_up_to;
        *known = Known {
            looked_up_to,
            ..Known::default()
        };
    }

    /// Says that all of them hold when the record of changes is so long; `None`: that cannot be told by the record alone.
    pub(crate) fn have_looked(&mut self, up_to: Option<u64>) {
        if up_to != self.looked_up_to {
            lock(&self.own.0).looked_up_to = up_to;
            self.looked_up_to = up_to;
        }
    }

    /// Forgets those that rest on one of these files, given by real paths.
    pub(crate) fn forget_those_of(&mut self, files: &[Vec<u8>]) {
        let mut own = lock(&self.own.0);
        for answers in own.known.values_mut() {
            answers.retain(|answer| {
                let mut read = answer.closure.files.iter();
                let is_free = !read.any(|file| files.iter().any(|path| **path == *file.real));
                if !is_free {
                    self.weight -= weight_of(&answer.closure);
                }
                is_free
            });
        }
        own.known.retain(|_, answers| !answers.is_empty());
    }

    /// The closure of this command, if it was asked before.
    pub(crate) fn find(&self, command: &Command) -> Option<Arc<Closure>> {
        lock(&self.own.0).find(command)
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
        self.weight += weight_of(closure);
        lock(&self.own.0).insert(command, closure);
    }
}

impl Known {
    fn find(&self, command: &Command) -> Option<Arc<Closure>> {
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

    fn insert(&mut self, command: &Command, closure: &Arc<Closure>) {
        let known = self.environments.iter().find(|env| ***env == command.env);
        let env = known.map_or_else(|| Arc::new(command.env.clone()), Arc::clone);
        if known.is_none() && self.environments.len() < ENVIRONMENTS {
            self.environments.push(Arc::clone(&env));
        }
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

    #[test]
    fn answers_of_others_hold_up_to_the_change_that_their_owner_knows_of() {
        let all = AllAnswers::default();
        let (mut one, two) = (all.join(), all.join());
        let closure = Arc::new(Closure::default());
        let asked = command("a.c", "/x");
        one.insert(&asked, &closure);
        let finds = |own: &Answers, position| all.find(&asked, own, position).is_some();
        // It has not said anything yet.
        assert!(!finds(&two, 0));
        one.have_looked(Some(5));
        assert!(finds(&two, 4) && finds(&two, 5) && !finds(&two, 6));
        // One's own are found without this.
        assert!(!finds(&one, 5));
        one.have_looked(None);
        assert!(!finds(&two, 5));
        one.have_looked(Some(6));
        assert!(finds(&two, 6));
        one.clear();
        assert!(!finds(&two, 6));
    }

    #[test]
    fn answers_go_with_their_owner() {
        let all = AllAnswers::default();
        let (mut one, two) = (all.join(), all.join());
        one.insert(&command("a.c", "/x"), &Arc::new(Closure::default()));
        one.have_looked(Some(0));
        drop(one);
        assert!(all.find(&command("a.c", "/x"), &two, 0).is_none());
    }
}
