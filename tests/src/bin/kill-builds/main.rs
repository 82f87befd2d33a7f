//! Small builds by actions, in each of which something is killed at a random moment: the include server, a server of
//! ours, the engine of others, ssh or what is behind it. Each build has to succeed with the objects that the compiler
//! makes here, and nothing may be left of it.
//!
//! `kill-builds [--builds N] [--seed N]`; the exit code is 0 if nothing was found.
//!
//! [`site`] is where builds run and by whom; here is the course of it.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people to read"
)]

mod site;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use end_to_end::chance::Chance;
use end_to_end::run::{LIMIT, processes_of};
use end_to_end::tree::snapshot;

use site::{Site, Victim};

/// What was asked for.
struct Wish {
    builds: u64,
    seed: u64,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(wish) = read(&words) else {
        eprintln!("usage: kill-builds [--builds N] [--seed N]");
        return ExitCode::from(2);
    };
    println!("{} builds, --seed {}", wish.builds, wish.seed);
    match run(&wish) {
        0 => {
            println!("nothing found");
            ExitCode::SUCCESS
        }
        found => {
            println!("{found} FOUND");
            ExitCode::FAILURE
        }
    }
}

fn read(words: &[String]) -> Option<Wish> {
    let mut wish = Wish {
        builds: 100,
        seed: Chance::random_seed(),
    };
    for pair in words.chunks(2) {
        let [name, number] = pair else { return None };
        let number = number.parse().ok()?;
        match &**name {
            "--builds" => wish.builds = number,
            "--seed" => wish.seed = number,
            _ => return None,
        }
    }
    Some(wish)
}

/// Returns how much was wrong.
fn run(wish: &Wish) -> usize {
    let mut chance = Chance::new(wish.seed, 0);
    let mut sites = Site::all();
    let mut wrong = Vec::new();
    let mut killed: BTreeMap<String, u32> = BTreeMap::new();
    // How long a build takes that nobody disturbs.
    let mut usual = Vec::new();
    for site in &mut sites {
        let started = Instant::now();
        wrong.extend(site.build(None));
        usual.push(started.elapsed());
    }
    for number in 0..wish.builds {
        let nth = usize::try_from(number).expect("builds are few") % sites.len();
        let site = &mut sites[nth];
        let victim = *chance.of(site.victims());
        let most = u64::try_from(usual[nth].as_millis()).unwrap_or(1000);
        let found = site.build(Some((victim, chance.pause(most))));
        for text in &found {
            println!(
                "FOUND in build {number}, {} {victim:?}: {text}",
                site.name()
            );
        }
        wrong.extend(found);
        let hit = if site.was_hit() { "killed" } else { "missed" };
        *killed
            .entry(format!("{hit}: {victim:?}, {}", site.name()))
            .or_default() += 1;
    }
    for (what, count) in &killed {
        println!("{count:8} {what}");
    }
    for site in &mut sites {
        // What the killed ones left is the next ones' to remove.
        wrong.extend(site.build(None));
        println!("{:8} actions, {}", site.actions(), site.name());
        if site.actions() == 0 {
            wrong.push(format!("{}: nothing ran as an action", site.name()));
        }
    }
    let folders: Vec<_> = sites.iter().flat_map(Site::folders).collect();
    for folder in sites.iter().flat_map(Site::to_be_empty) {
        if !soon(|| snapshot(&folder).is_empty()) {
            let left: Vec<_> = snapshot(&folder).into_keys().collect();
            wrong.push(format!("left in {}: {left:?}", folder.display()));
        }
    }
    drop(sites);
    for folder in folders {
        if !soon(|| processes_of(&folder).is_empty()) {
            wrong.push(format!("processes left: {:?}", processes_of(&folder)));
        }
    }
    wrong.iter().for_each(|text| println!("FOUND: {text}"));
    wrong.len()
}

fn soon(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + LIMIT / 2;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// For the message about a build.
pub(crate) fn describe(victim: Option<(Victim, Duration)>) -> String {
    match victim {
        Some((victim, after)) => format!("{victim:?} killed after {after:?}"),
        None => "undisturbed".to_owned(),
    }
}
