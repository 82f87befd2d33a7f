//! Makes a program that shows a defect small, by leaving away whatever the defect does not need.

use std::sync::Arc;
use std::time::{Duration, Instant};

use includes::RealCompiler;

use crate::program::{Entry, Program};
use crate::verdict::{Verdict, judge};

/// How many smaller programs are tried; each costs a run of the compiler.
const ATTEMPTS: usize = 600;
/// Without its guards a program may keep the compiler busy for ever: no more tries after this.
const PATIENCE: Duration = Duration::from_secs(30);

/// A smaller program with trouble of its own, and that trouble.
pub(crate) fn shrink(
    program: Program,
    trouble: String,
    compilers: &Arc<RealCompiler>,
) -> (Program, String) {
    let mut shrinking = Shrinking {
        program,
        trouble,
        compilers,
        attempts: ATTEMPTS,
        began: Instant::now(),
    };
    // A second pass finds what the first made needless.
    for _ in 0..2 {
        shrinking.entries();
        shrinking.arguments();
        shrinking.lines();
    }
    (shrinking.program, shrinking.trouble)
}

struct Shrinking<'a> {
    program: Program,
    trouble: String,
    compilers: &'a Arc<RealCompiler>,
    attempts: usize,
    began: Instant,
}

impl Shrinking<'_> {
    /// Takes the smaller program if it is in trouble too.
    fn attempt(&mut self, smaller: Program) -> bool {
        if self.attempts == 0 || self.began.elapsed() > PATIENCE {
            return false;
        }
        self.attempts -= 1;
        // Another kind of trouble would lead astray.
        let kind = |trouble: &str| trouble.split(':').next().map(str::to_owned);
        match judge(&smaller, self.compilers) {
            Verdict::Trouble(trouble) if kind(&trouble) == kind(&self.trouble) => {
                self.program = smaller;
                self.trouble = trouble;
                true
            }
            _ => false,
        }
    }

    fn entries(&mut self) {
        for at in (0..self.program.entries.len()).rev() {
            let mut smaller = self.program.clone();
            let gone = smaller.entries.remove(at);
            let linked = smaller
                .entries
                .iter()
                .any(|e| matches!(e, Entry::HardLink { to, .. } if to == gone.path()));
            if !linked {
                self.attempt(smaller);
            }
        }
    }

    fn arguments(&mut self) {
        for at in (0..self.program.variables.len()).rev() {
            let mut smaller = self.program.clone();
            smaller.variables.remove(at);
            self.attempt(smaller);
        }
        // The last names the main file.
        for at in (0..self.program.arguments.len() - 1).rev() {
            let mut smaller = self.program.clone();
            smaller.arguments.remove(at);
            self.attempt(smaller);
        }
    }

    /// Leaves away runs of lines: long ones first, then single lines.
    fn lines(&mut self) {
        for entry in 0..self.program.entries.len() {
            let count = |program: &Program| match &program.entries[entry] {
                Entry::File { text, .. } => text.split_inclusive('\n').count(),
                _ => 0,
            };
            let mut run = count(&self.program).div_ceil(2);
            while run > 0 {
                let mut at = 0;
                while at < count(&self.program) {
                    let mut smaller = self.program.clone();
                    if let Entry::File { text, .. } = &mut smaller.entries[entry] {
                        let lines: Vec<&str> = text.split_inclusive('\n').collect();
                        let end = lines.len().min(at + run);
                        *text = [&lines[..at], &lines[end..]].concat().concat();
                    }
                    if !self.attempt(smaller) {
                        at += run;
                    }
                }
                run /= 2;
            }
        }
    }
}
