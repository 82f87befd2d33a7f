//! Fuzzing for the parsers of foreign bytes, on a stable toolchain and without dependencies.
//!
//! Targets stand beside the parsers, as tests in modules called `fuzzed`, so that they reach what is
//! private. In `make test` each runs a fixed number of inputs from a fixed seed. `make fuzz
//! SECONDS=N` runs each for that long from a random seed, in a build that counts which code an
//! input reaches: inputs that reach more are kept and changed further.
//!
//! A target fails if an input makes it panic, hold more memory than it says, or run on and on. The
//! input is made shorter as far as it still fails, and printed.
//!
//! Reading order: [`Target`]; [`mutation`]; [`coverage`] and [`memory`], which watch.

mod coverage;
mod memory;
mod mutation;
mod watchdog;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mutation::Mutator;

/// Counters of code are those of the process, so targets take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Inputs of a run without a time.
const FEW: u64 = 3_000;

/// A parser, and what may be expected of it.
#[derive(Debug)]
pub struct Target {
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    most_bytes: usize,
    most_bytes_per_byte: usize,
    longest: usize,
    few: u64,
}

impl Target {
    /// Inputs of up to 4 KiB; 1 MiB of memory and 64 bytes more for each byte of an input.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            seeds: Vec::new(),
            words: Vec::new(),
            most_bytes: 1 << 20,
            most_bytes_per_byte: 64,
            longest: 4 << 10,
            few: FEW,
        }
    }

    /// Inputs to begin with; longer ones are cut.
    #[must_use]
    pub fn seeds<T: Into<Vec<u8>>>(mut self, seeds: impl IntoIterator<Item = T>) -> Self {
        self.seeds.extend(seeds.into_iter().map(Into::into));
        self
    }

    /// What inputs are made of.
    #[must_use]
    pub fn words<T: Into<Vec<u8>>>(mut self, words: impl IntoIterator<Item = T>) -> Self {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    /// How much memory may be held at any time.
    #[must_use]
    pub fn memory(mut self, bytes: usize, bytes_per_byte: usize) -> Self {
        (self.most_bytes, self.most_bytes_per_byte) = (bytes, bytes_per_byte);
        self
    }

    /// The longest input.
    #[must_use]
    pub fn longest(mut self, bytes: usize) -> Self {
        self.longest = bytes;
        self
    }

    /// How many inputs make a short run.
    #[must_use]
    pub fn few(mut self, inputs: u64) -> Self {
        self.few = inputs;
        self
    }

    /// Gives `check` inputs; it panics where something is wrong.
    ///
    /// # Panics
    /// With the first input that fails.
    pub fn run(self, check: impl Fn(&[u8])) {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let time = wanted_time();
        let seed = match time {
            None => 1,
            Some(_) => random_seed(),
        };
        let started = Instant::now();
        let mut hunt = Hunt {
            mutator: Mutator::new(seed, self.words.clone(), self.longest),
            corpus: Vec::new(),
            seen: coverage::Seen::default(),
            target: &self,
            check: &check,
        };
        let watch = watchdog::Watch::start(self.name);
        for seed in [Vec::new()].iter().chain(&self.seeds) {
            let cut = &seed[..seed.len().min(self.longest)];
            hunt.give(cut.to_vec(), &watch);
        }
        let mut inputs = 0;
        let goes_on = |inputs: u64| match time {
            None => inputs < self.few,
            Some(time) => started.elapsed() < time,
        };
        while goes_on(inputs) {
            let input = hunt.mutator.change(&hunt.corpus);
            hunt.give(input, &watch);
            inputs += 1;
        }
        report(&self, inputs, &hunt, started.elapsed());
    }
}

/// A run of a target.
struct Hunt<'a, F> {
    mutator: Mutator,
    /// What is changed into new inputs.
    corpus: Vec<Vec<u8>>,
    seen: coverage::Seen,
    target: &'a Target,
    check: &'a F,
}

impl<F: Fn(&[u8])> Hunt<'_, F> {
    /// Runs an input, and keeps it if it is worth it.
    fn give(&mut self, input: Vec<u8>, watch: &watchdog::Watch) {
        watch.begin(&input);
        coverage::clear();
        if let Err(what) = self.attempt(&input) {
            let (input, what) = self.shorten(input, what);
            panic!(
                "{}: {what}\n    with the input b\"{}\"",
                self.target.name,
                input.escape_ascii()
            );
        }
        let keep = match coverage::is_counted() {
            true => self.seen.is_new(),
            // Blind: some changes add up.
            false => self.corpus.len() <= self.target.seeds.len() || self.mutator.one_in(200),
        };
        if keep {
            self.corpus.push(input);
        }
    }

    fn attempt(&self, input: &[u8]) -> Result<(), String> {
        let before = memory::begin();
        let done = catch_unwind(AssertUnwindSafe(|| (self.check)(input)));
        let most = memory::most().saturating_sub(before);
        if let Err(panic) = done {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            return Err(format!("panic: {}", text.unwrap_or("without words")));
        }
        let limit = self.target.most_bytes + self.target.most_bytes_per_byte * input.len();
        if most > limit {
            return Err(format!("{most} bytes of memory, more than {limit}"));
        }
        Ok(())
    }

    /// The shortest input found that still fails.
    fn shorten(&self, mut input: Vec<u8>, mut what: String) -> (Vec<u8>, String) {
        const ATTEMPTS: usize = 2_000;
        let mut size = input.len() / 2;
        let mut attempts = 0;
        while size > 0 && attempts < ATTEMPTS {
            let mut at = 0;
            while at < input.len() && attempts < ATTEMPTS {
                attempts += 1;
                let mut shorter = input.clone();
                shorter.drain(at..(at + size).min(input.len()));
                match self.attempt(&shorter) {
                    Err(still) => (input, what) = (shorter, still),
                    Ok(()) => at += size,
                }
            }
            size /= 2;
        }
        (input, what)
    }
}

/// `FUZZ_SECONDS`.
fn wanted_time() -> Option<Duration> {
    let seconds = std::env::var_os("FUZZ_SECONDS")?;
    let seconds = seconds.to_str().and_then(|text| text.parse().ok());
    Some(Duration::from_secs(
        seconds.expect("FUZZ_SECONDS is a number"),
    ))
}

/// `FUZZ_SEED`, or another one each time.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    let wanted = std::env::var_os("FUZZ_SEED");
    let wanted = wanted.and_then(|text| text.to_str()?.parse().ok());
    wanted.unwrap_or_else(|| RandomState::new().hash_one(std::process::id()))
}

#[expect(
    clippy::print_stdout,
    reason = "what a test found, for whoever asked for its output"
)]
fn report<F>(target: &Target, inputs: u64, hunt: &Hunt<'_, F>, took: Duration) {
    let reached = match coverage::is_counted() {
        true => format!("{} places reached", hunt.seen.places()),
        false => "coverage not counted".to_owned(),
    };
    println!(
        "fuzzed {}: {inputs} inputs in {:.1} s, {} kept, {reached}",
        target.name,
        took.as_secs_f64(),
        hunt.corpus.len()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(check: impl Fn(&[u8]) + std::panic::UnwindSafe) -> String {
        let run = || Target::new("test").seeds(["hello world"]).run(check);
        let panic = catch_unwind(run).unwrap_err();
        panic.downcast_ref::<String>().unwrap().clone()
    }

    #[test]
    fn a_panic_is_found_and_its_input_made_short() {
        let text = found(|input| assert!(!input.contains(&b'!'), "too loud"));
        assert!(text.starts_with("test: panic: too loud"), "{text}");
        assert!(text.ends_with("with the input b\"!\""), "{text}");
    }

    #[test]
    fn memory_is_found() {
        let text = found(|input| {
            if input.len() > 20 {
                drop(vec![1u8; 8 << 20]);
            }
        });
        assert!(text.contains("bytes of memory, more than"), "{text}");
    }

    #[test]
    fn a_sound_parser_passes() {
        Target::new("sound").run(|input| {
            let _ = std::str::from_utf8(input);
        });
    }
}
