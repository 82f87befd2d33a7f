//! The whole action: what to run, in which tree, and what shall come back.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;

use crate::messages::platform::Property;
use crate::messages::{Action, Command, Platform, command::EnvironmentVariable};
use crate::{BadPath, Digest, Packed, Root};

/// The platform property of an action that brings its own root folder: the input root has to be `/` of the command,
/// with nothing of the machine beside it. The name is that of other clients of the API for the same wish.
pub const PLATFORM_ROOT: (&str, &str) = ("InputRootAbsolutePath", "/");

/// A command with all that it needs.
#[derive(Clone, Debug)]
pub struct Job<'j> {
    /// Program, by its absolute path in the root, and arguments.
    pub arguments: &'j [Vec<u8>],
    /// All variables that the command sees.
    pub environment: &'j BTreeMap<Vec<u8>, Vec<u8>>,
    /// The client's own working folder: absolute, real.
    pub working_folder: &'j [u8],
    /// Files that the command may make: absolute, or from the working folder.
    pub outputs: &'j BTreeSet<Vec<u8>>,
    /// Nobody may keep the result: it depends on the time.
    pub do_not_cache: bool,
}

/// An action, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hermetic {
    /// The digest of the `Action`, its blob last. The `Command` stands before it, and in front the folders.
    pub packed: Packed,
    /// The digest of the input root.
    pub root: Digest,
    /// Where each output of the job stands in the `ActionResult`.
    pub outputs: BTreeMap<String, Vec<u8>>,
}

impl Hermetic {
    /// Makes the action of a job in this root. Its working folder and the folders of its outputs are added to the root.
    ///
    /// # Errors
    ///
    /// [`BadPath`], also for arguments and variables that are no UTF-8.
    pub fn new(job: &Job<'_>, mut root: Root) -> Result<Hermetic, BadPath> {
        root.add_folder(job.working_folder)?;
        let mut outputs = BTreeMap::new();
        for output in job.outputs {
            let absolute = if output.first() == Some(&b'/') {
                output.clone()
            } else {
                [job.working_folder, b"/", output].concat()
            };
            let folder = absolute.iter().rposition(|&byte| byte == b'/');
            root.add_folder(&absolute[..=folder.unwrap_or(0)])?;
            outputs.insert(from_folder(job.working_folder, output)?, output.clone());
        }
        let command = command(job, outputs.keys().cloned().collect())?.encode_to_vec();
        let command_digest = Digest::of(&command);
        let Packed {
            digest: root,
            mut blobs,
            folders,
        } = root.pack();
        let action = Action {
            command_digest: Some(command_digest.message()),
            input_root_digest: Some(root.message()),
            do_not_cache: job.do_not_cache,
            platform: Some(platform()),
            ..Action::default()
        };
        let action = action.encode_to_vec();
        let digest = Digest::of(&action);
        blobs.push((command_digest, command));
        blobs.push((digest, action));
        Ok(Hermetic {
            packed: Packed {
                digest,
                blobs,
                folders,
            },
            root,
            outputs,
        })
    }
}

fn platform() -> Platform {
    let (name, value) = PLATFORM_ROOT;
    Platform {
        properties: vec![Property {
            name: name.into(),
            value: value.into(),
        }],
    }
}

#[expect(
    deprecated,
    reason = "servers of the API before 2.2 look for the platform here"
)]
fn command(job: &Job<'_>, output_paths: Vec<String>) -> Result<Command, BadPath> {
    let environment = job.environment.iter().map(|(name, value)| {
        Ok(EnvironmentVariable {
            name: text(name)?,
            value: text(value)?,
        })
    });
    Ok(Command {
        arguments: job
            .arguments
            .iter()
            .map(|word| text(word))
            .collect::<Result<_, _>>()?,
        // A map's keys are sorted by bytes, as the API wants it.
        environment_variables: environment.collect::<Result<_, _>>()?,
        output_paths,
        platform: Some(platform()),
        working_directory: text(job.working_folder)?.trim_matches('/').into(),
        ..Command::default()
    })
}

fn text(bytes: &[u8]) -> Result<String, BadPath> {
    String::from_utf8(bytes.to_vec()).map_err(|error| BadPath::NotUtf8(error.into_bytes()))
}

/// The way to an output from the working folder, without needless dots. Paths of the API are relative, so for an
/// absolute one it leads up to the root.
fn from_folder(folder: &[u8], output: &[u8]) -> Result<String, BadPath> {
    let output = text(output)?;
    if !output.starts_with('/') {
        let parts = output.split('/').filter(|part| !matches!(*part, "" | "."));
        return Ok(parts.collect::<Vec<_>>().join("/"));
    }
    let folder = text(folder)?;
    let parts = |path: &str| -> Vec<String> {
        let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
        parts.map(String::from).collect()
    };
    let (folder, output) = (parts(&folder), parts(&output));
    let common = folder
        .iter()
        .zip(&output)
        .take_while(|(a, b)| a == b)
        .count();
    let up = folder[common..].iter().map(|_| "..");
    let down = output[common..].iter().map(|part| &**part);
    Ok(up.chain(down).collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Directory;

    fn words(words: &[&str]) -> Vec<Vec<u8>> {
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    fn blob<M: prost::Message + Default>(action: &Hermetic, digest: &crate::messages::Digest) -> M {
        let digest = Digest::try_from(digest).unwrap();
        let mut blobs = action.packed.blobs.iter();
        let (_, blob) = blobs.find(|(name, _)| *name == digest).unwrap();
        M::decode(&**blob).unwrap()
    }

    #[test]
    fn an_action_holds_all_of_the_job() {
        let environment = [("PATH", "/usr/bin"), ("LC_ALL", "C")];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        let job = Job {
            arguments: &words(&["/usr/bin/gcc", "-c", "a.c", "-o", "../out/a.o", "-MD"]),
            environment: &environment.into(),
            working_folder: b"/home/u/src",
            outputs: &words(&["../out/a.o", "/home/u/out/a.d", "./x//y.su"])
                .into_iter()
                .collect(),
            do_not_cache: true,
        };
        let mut root = Root::default();
        root.add_file(b"/home/u/src/a.c", Digest::of(b"int a;"), false)
            .unwrap();
        let hermetic = Hermetic::new(&job, root.clone()).unwrap();
        assert_eq!(hermetic, Hermetic::new(&job, root).unwrap());

        let action: Action = blob(&hermetic, &hermetic.packed.digest.message());
        assert!(action.do_not_cache);
        let command: Command = blob(&hermetic, &action.command_digest.unwrap());
        assert_eq!(command.working_directory, "home/u/src");
        assert_eq!(command.output_paths, ["../out/a.d", "../out/a.o", "x/y.su"]);
        let names: Vec<_> = command
            .environment_variables
            .into_iter()
            .map(|v| v.name)
            .collect();
        assert_eq!(names, ["LC_ALL", "PATH"]);
        assert_eq!(hermetic.outputs["../out/a.d"], b"/home/u/out/a.d");

        let top: Directory = blob(&hermetic, &action.input_root_digest.unwrap());
        let home: Directory = blob(&hermetic, top.directories[0].digest.as_ref().unwrap());
        let user: Directory = blob(&hermetic, home.directories[0].digest.as_ref().unwrap());
        let folders: Vec<_> = user
            .directories
            .iter()
            .map(|folder| &*folder.name)
            .collect();
        assert_eq!(folders, ["out", "src"]);
    }

    #[test]
    fn arguments_that_are_no_utf8_cannot_be_sent() {
        let job = Job {
            arguments: &[b"-DNAME=\xff".to_vec()],
            environment: &BTreeMap::new(),
            working_folder: b"/",
            outputs: &BTreeSet::new(),
            do_not_cache: false,
        };
        let refused = Hermetic::new(&job, Root::default());
        assert_eq!(refused, Err(BadPath::NotUtf8(b"-DNAME=\xff".to_vec())));
    }
}
