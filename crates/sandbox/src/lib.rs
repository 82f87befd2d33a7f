//! Runs commands of strangers in a sandbox.
//!
//! A [`Sandbox`] is a helper process (this program started anew with a single thread, see
//! [`helper_main`]) that lives in kept namespaces: user, mount, network (empty), ipc, uts. It holds
//! nothing but the folders of a [`View`] and the server's scratch folders, all read-only. From it come
//! the first processes of jobs, each in a pid namespace: as many as there are jobs at a time, each for
//! one job after the other. For each [`Job`] its first process clones one into a new mount namespace, which
//! makes a root on a small tmpfs, puts the client's trees where the client has them, gives up all rights and
//! becomes the command. What it leaves running is ended, and the kernel cleans up.
//!
//! Where namespaces are forbidden, Landlock takes their place ([`Mode::Landlock`]): then there is
//! no view of one's own, and the caller has to tell the command where files really are.
//!
//! In the order in which a newcomer should read:
//!
//! - [`job`]: what can be asked for; [`client`]: the server's side; [`message`]: what goes between
//!   them.
//! - [`helper`]: the helper's life. [`namespaces`]: how it gets into its own, and what it takes
//!   along (from [`view`]).
//! - [`first_process`]: the life of a job inside. It uses [`root`], [`place`] and [`writable`] (what it sees),
//!   [`confine`] with [`system_calls`] and [`landlocked`] (what it may do), [`usage`] (how much).
//! - [`sys`]: the system calls that no library wraps, and the only unsafe code.
//!
//! It knows nothing of compilers, protocols or options.

mod children;
mod client;
mod confine;
mod first_process;
mod helper;
mod job;
mod job_process;
mod landlocked;
mod message;
mod namespaces;
mod place;
mod root;
mod sys;
mod system_calls;
mod usage;
mod view;
mod writable;

#[cfg(test)]
mod fuzzed;

pub use client::{Running, Sandbox, StartError};
pub use helper::{HELPER, helper_main};
pub use job::{Config, Ended, Job, Limits, MOST_WRITABLE, Mode, OUT, Tree, Used};
pub use sys::wait_for;
pub use view::View;
