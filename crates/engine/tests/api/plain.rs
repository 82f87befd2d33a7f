//! What the engine of the tests runs actions by: commands of this machine, without any sandbox.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use action::Digest;
use engine::{
    Client, Entry, Executed, Executor, Failure, Folder, Found, Job, Output, Refusal, Slot, Stop,
};
use store::Store;
use tokio::sync::Semaphore;

/// Runs commands of this machine in a folder made of the input root; relative paths only.
pub(crate) struct Plain {
    pub(crate) store: Store,
    pub(crate) runs: AtomicUsize,
    pub(crate) stopped: AtomicUsize,
    pub(crate) slots: Arc<Semaphore>,
    /// Jobs that wait for a slot.
    pub(crate) queued: Arc<AtomicUsize>,
    /// Set where actions run that do not bring their root.
    pub(crate) surroundings: Mutex<Option<Digest>>,
}

impl Plain {
    fn make(&self, entry: &Entry, at: &Path) {
        match entry {
            Entry::File { digest, executable } => {
                self.store.place(*digest, *executable, at).unwrap()
            }
            Entry::Link(target) => std::os::unix::fs::symlink(target, at).unwrap(),
            Entry::Folder { entries, .. } => {
                std::fs::create_dir_all(at).unwrap();
                for (name, entry) in &**entries {
                    self.make(entry, &at.join(name));
                }
            }
        }
    }
}

impl Executor for Plain {
    fn accept(&self, _: Client, job: &Job) -> Result<Slot, Refusal> {
        match job.property("InputRootAbsolutePath") {
            Some("/") => Ok(Box::new(())),
            None if self.surroundings().is_some() => Ok(Box::new(())),
            other => Err(Refusal::Never(format!("no such root: {other:?}"))),
        }
    }

    fn surroundings(&self) -> Option<Digest> {
        *self.surroundings.lock().unwrap()
    }

    fn slot(&self, _: Client) -> Pin<Box<dyn Future<Output = Slot> + Send>> {
        let (slots, queued) = (Arc::clone(&self.slots), Queued::new(&self.queued));
        Box::pin(async move {
            let slot = slots.acquire_owned().await.unwrap();
            drop(queued);
            Box::new(slot) as Slot
        })
    }

    fn execute(&self, _: Client, job: &Job, stop: &Stop) -> Result<Executed, Failure> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let folder = tempfile::tempdir().unwrap();
        self.make(&job.root, folder.path());
        let cwd = folder.path().join(&job.command.working_directory);
        let words = &job.command.arguments;
        let mut command = Command::new(&words[0]);
        let mut child = command.args(&words[1..]).current_dir(&cwd).spawn().unwrap();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if stop.is_stopped() {
                child.kill().unwrap();
                child.wait().unwrap();
                self.stopped.fetch_add(1, Ordering::SeqCst);
                return Err(Failure::Stopped);
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let made = |path: &String| {
            let at = cwd.join(path);
            let output = match at.is_dir() {
                true => {
                    let kept = tempfile::tempdir().unwrap();
                    std::fs::rename(at, kept.path().join("out")).unwrap();
                    Output::Folder(Box::new(Kept(kept)))
                }
                false => Output::File {
                    content: File::open(at).ok()?,
                    executable: false,
                },
            };
            Some((path.clone(), output))
        };
        Ok(Executed {
            exit_code: status.code().unwrap(),
            stdout: b"said".to_vec(),
            stderr: Vec::new(),
            outputs: job.outputs.iter().filter_map(made).collect(),
        })
    }
}

/// A folder that a command made: `out` in here.
#[derive(Debug)]
struct Kept(tempfile::TempDir);

impl Folder for Kept {
    fn visit(
        &self,
        take: &mut dyn FnMut(&str, Found) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let top = self.0.path().join("out");
        let mut left = vec![top.clone()];
        while let Some(folder) = left.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let found = path.symlink_metadata().unwrap();
                let found = if found.is_symlink() {
                    let target = std::fs::read_link(&path).unwrap();
                    Found::Link(target.into_os_string().into_string().unwrap())
                } else if found.is_dir() {
                    left.push(path.clone());
                    Found::Folder
                } else {
                    Found::File {
                        content: File::open(&path).unwrap(),
                        executable: found.permissions().mode() & 0o111 != 0,
                    }
                };
                take(path.strip_prefix(&top).unwrap().to_str().unwrap(), found)?;
            }
        }
        Ok(())
    }
}

/// A place in the queue, until dropped.
struct Queued(Arc<AtomicUsize>);

impl Queued {
    fn new(count: &Arc<AtomicUsize>) -> Queued {
        count.fetch_add(1, Ordering::SeqCst);
        Queued(Arc::clone(count))
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
