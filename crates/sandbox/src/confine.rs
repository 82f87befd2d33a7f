//! What a job may do and use: system calls, resource limits, privileges.
//!
//! The filter of system calls has two layers. The large one is set once, by the helper for all
//! its children, and the kernel keeps its verdicts in a bitmap, so its length costs nothing. The
//! small one takes from each job what the helper needs to make it.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, sock_filter};

use crate::job::{Config, Mode};
use crate::system_calls::{ALLOWED, OLD, TAKEN, TAKEN_CLONE_FLAGS, TAKEN_OUTSIDE};

/// The filters, ready to be set.
#[derive(Debug)]
pub(crate) struct Filters {
    helper: BpfProgram,
    job: BpfProgram,
}

impl Filters {
    /// Builds them for this machine.
    pub(crate) fn build(mode: Mode) -> Result<Self, String> {
        let arch = TargetArch::try_from(std::env::consts::ARCH)
            .map_err(|_| "no filter of system calls for this kind of machine".to_owned())?;
        let text = |error: seccompiler::BackendError| error.to_string();
        let allowed = ALLOWED.iter().chain(OLD);
        let rules = allowed.map(|&call| (call, Vec::new())).collect();
        let unknown = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
        let filter =
            SeccompFilter::new(rules, unknown, SeccompAction::Allow, arch).map_err(text)?;
        Ok(Self {
            helper: filter.try_into().map_err(text)?,
            job: taken(mode)?,
        })
    }

    /// Confines the helper, and gives up all privileges that programs could bring.
    pub(crate) fn confine_helper(&self) -> Result<(), String> {
        // Sets no_new_privs, too.
        seccompiler::apply_filter(&self.helper).map_err(|error| error.to_string())
    }

    /// Confines a job, as the last step before its program.
    pub(crate) fn confine_job(&self) -> Result<(), String> {
        seccompiler::apply_filter(&self.job).map_err(|error| error.to_string())
    }
}

/// What a job may not have: written by hand, because libraries make eight times as many
/// instructions of it, and each job has to load it. The layer below has checked that it is this
/// machine's kind of system call.
fn taken(mode: Mode) -> Result<BpfProgram, String> {
    // Source: linux/bpf_common.h, linux/seccomp.h, and `struct seccomp_data`.
    const LOAD: u16 = 0x20;
    const IF_EQUAL: u16 = 0x15;
    const IF_ANY_BIT: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const AND: u16 = 0x54;
    const ARGUMENT: u32 = 8;
    const NUMBER: u32 = 0;
    const FIRST_ARGUMENT: u32 = if cfg!(target_endian = "little") {
        16
    } else {
        20
    };
    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0000;
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let number = |call: libc::c_long| u32::try_from(call).map_err(|error| error.to_string());
    let flags = TAKEN_CLONE_FLAGS.iter().fold(0, |all, flag| all | flag);
    let outside: &[_] = match mode {
        Mode::Namespaces => &[],
        Mode::Landlock => TAKEN_OUTSIDE,
    };
    let shared_alone = (libc::MAP_SHARED | libc::MAP_ANONYMOUS).cast_unsigned();
    let with_arguments = [
        // Shared memory without a file: it stays where no process has it, and no limit counts it.
        step(IF_EQUAL, 0, 5, number(libc::SYS_mmap)?),
        step(LOAD, 0, 0, FIRST_ARGUMENT + 3 * ARGUMENT),
        step(AND, 0, 0, shared_alone),
        step(IF_EQUAL, 0, 1, shared_alone),
        step(RETURN, 0, 0, ERRNO | libc::ENOMEM.cast_unsigned()),
        step(RETURN, 0, 0, ALLOW),
        // To hear of others' use of what all jobs see, or to hold it up.
        step(IF_EQUAL, 0, 5, number(libc::SYS_fcntl)?),
        step(LOAD, 0, 0, FIRST_ARGUMENT + ARGUMENT),
        step(IF_EQUAL, 2, 0, libc::F_NOTIFY.cast_unsigned()),
        step(IF_EQUAL, 1, 0, libc::F_SETLEASE.cast_unsigned()),
        step(RETURN, 0, 0, ALLOW),
        step(RETURN, 0, 0, ERRNO | libc::EINVAL.cast_unsigned()),
        // Its own limits only: there are other processes of the user.
        step(IF_EQUAL, 0, 4, number(libc::SYS_prlimit64)?),
        step(LOAD, 0, 0, FIRST_ARGUMENT),
        step(IF_EQUAL, 0, 1, 0),
        step(RETURN, 0, 0, ALLOW),
        step(RETURN, 0, 0, ERRNO | libc::EPERM.cast_unsigned()),
    ];
    let calls: Vec<_> = TAKEN.iter().chain(outside).collect();
    let mut program = vec![step(LOAD, 0, 0, NUMBER)];
    for (index, &call) in calls.iter().enumerate() {
        // To the last step: over the other calls, and what follows them.
        let rest = calls.len() - index + with_arguments.len() + 3;
        let rest = u8::try_from(rest).map_err(|error| error.to_string())?;
        program.push(step(IF_EQUAL, rest, 0, number(*call)?));
    }
    program.extend_from_slice(&with_arguments);
    program.extend([
        step(IF_EQUAL, 0, 2, number(libc::SYS_clone)?),
        step(LOAD, 0, 0, FIRST_ARGUMENT),
        step(IF_ANY_BIT, 1, 0, flags.cast_unsigned()),
        step(RETURN, 0, 0, ALLOW),
        step(RETURN, 0, 0, ERRNO | libc::EPERM.cast_unsigned()),
    ]);
    Ok(program)
}

/// Sets the limits that the kernel keeps by itself, for the helper and what it starts.
pub(crate) fn limit(config: &Config) -> io::Result<()> {
    const OPEN_FILES: u64 = 4096;
    let limits = &config.limits;
    if config.mode == Mode::Landlock {
        // All processes of the user are counted: the threads of the server, and all jobs.
        limit_processes(limits.processes.saturating_mul(8).saturating_add(2048))?;
    }
    for (resource, most) in [
        (Resource::Data, limits.memory_bytes),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Nofile, OPEN_FILES),
        (Resource::Core, 0),
        (Resource::Msgqueue, 0),
        (Resource::Memlock, 0),
    ] {
        let now = rustix::process::getrlimit(resource);
        let most = now.maximum.map_or(most, |maximum| maximum.min(most));
        let both = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        rustix::process::setrlimit(resource, both)?;
    }
    Ok(())
}

/// Limits the processes of this user in this user namespace.
pub(crate) fn limit_processes(most: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(Resource::Nproc);
    let most = Some(now.maximum.map_or(most, |maximum| maximum.min(most)));
    let both = Rlimit {
        current: most,
        maximum: most,
    };
    Ok(rustix::process::setrlimit(Resource::Nproc, both)?)
}

/// Keeps what runs in the job away from its first process, and lets none outlive the helper.
pub(crate) fn protect_first_process() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(rustix::process::set_parent_process_death_signal(Some(
        Signal::KILL,
    ))?)
}
