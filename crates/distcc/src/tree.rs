//! The files of a protocol 3 request, read from below the include server's client root straight
//! into the request.
//!
//! Four system calls per file, two per link, none for a placeholder.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

use protocol::include::{MUST_EXIST, client_name};
use protocol::token::put_packet;
use protocol::{Header, Token, request};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::log::Reason;

/// Most bytes of one file on the wire, packed; what servers of ours accept.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Why a file that the include server named cannot be sent.
#[derive(Debug)]
pub(crate) enum TreeError {
    /// It does not stand below a client root.
    NoName(OsString),
    /// It cannot be read.
    Io { path: OsString, error: io::Error },
    /// It is longer than any header.
    TooLong { path: OsString, bytes: u64 },
    /// There are more of them than the protocol can count.
    TooMany(usize),
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName(path) => {
                let path = path.display();
                write!(
                    f,
                    "include server named '{path}', which is not below its root"
                )
            }
            Self::Io { path, error } => {
                write!(f, "cannot read '{}': {}", path.display(), Reason(error))
            }
            Self::TooLong { path, bytes } => {
                let path = path.display();
                write!(f, "'{path}' has {bytes} bytes, too many to send")
            }
            Self::TooMany(count) => write!(f, "{count} files are too many to send"),
        }
    }
}

/// Appends all `files` (paths from the include server), `NFIL` first.
///
/// # Errors
/// [`TreeError`]: what was appended is of no use.
pub(crate) fn append(out: &mut Vec<u8>, files: &[OsString]) -> Result<(), TreeError> {
    let count = u32::try_from(files.len()).map_err(|_| TreeError::TooMany(files.len()))?;
    request::put_file_count(out, count);
    for path in files {
        let name = client_name(path).ok_or_else(|| TreeError::NoName(path.clone()))?;
        if is_placeholder(path) {
            request::put_file(out, &name, b"");
        } else {
            append_one(out, path, &name)?;
        }
    }
    Ok(())
}

/// Whether the path stands for its folder, which has to exist.
pub(crate) fn is_placeholder(path: &OsStr) -> bool {
    let rest = path.as_bytes().strip_suffix(MUST_EXIST.as_bytes());
    rest.is_some_and(|rest| rest.ends_with(b"/"))
}

fn append_one(out: &mut Vec<u8>, path: &OsStr, name: &OsStr) -> Result<(), TreeError> {
    let failed = |error| TreeError::Io {
        path: path.to_owned(),
        error,
    };
    // Not by the standard library: musl's `open` adds an `fcntl` to each call.
    match rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    ) {
        Ok(file) => append_file(out, file.into(), path, name),
        // Opening a link this way fails in its own manner, which spares an `lstat` for each file.
        Err(Errno::LOOP) => {
            let text = std::fs::read_link(path).map_err(failed)?;
            request::put_link(out, name, text.as_os_str());
            Ok(())
        }
        Err(error) => Err(failed(error.into())),
    }
}

fn append_file(out: &mut Vec<u8>, file: File, path: &OsStr, name: &OsStr) -> Result<(), TreeError> {
    let failed = |error| TreeError::Io {
        path: path.to_owned(),
        error,
    };
    let size = file.metadata().map_err(failed)?.len();
    let length = u32::try_from(size)
        .ok()
        .filter(|_| size <= MAX_FILE_BYTES)
        .ok_or_else(|| TreeError::TooLong {
            path: path.to_owned(),
            bytes: size,
        })?;
    put_packet(out, Token::NAME, name.as_bytes());
    out.extend_from_slice(&Header::new(Token::FILE, length).encode());
    // Room for exactly this much, and a limit, so that the end needs no further read to be found.
    out.reserve(length as usize);
    let read = file.take(size).read_to_end(out).map_err(failed)?;
    match read as u64 == size {
        true => Ok(()),
        false => Err(failed(io::ErrorKind::UnexpectedEof.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A client root of three components is needed; temporary folders have fewer or more.
    fn appended(files: &[OsString]) -> Result<String, TreeError> {
        let mut out = Vec::new();
        append(&mut out, files)?;
        Ok(String::from_utf8(out).unwrap())
    }

    /// The path of `name` in a folder, and the name that it has on the wire.
    fn below(dir: &tempfile::TempDir, name: &str) -> (OsString, String) {
        let path = dir.path().join(name).into_os_string();
        let sent = client_name(&path).unwrap().into_string().unwrap();
        (path, sent)
    }

    fn root() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("padding/padding")).unwrap();
        dir
    }

    fn packet(token: &str, body: &str) -> String {
        format!("{token}{:08x}{body}", body.len())
    }

    #[test]
    fn files_travel_as_they_are_and_links_as_links() {
        let dir = root();
        let (file, file_name) = below(&dir, "padding/padding/x.h.lzo");
        std::fs::write(&file, "BLOCK").unwrap();
        let (link, link_name) = below(&dir, "padding/padding/l.h");
        symlink("/real/x.h", &link).unwrap();
        let (empty, empty_name) = below(&dir, "padding/padding/forcing_technique_271828");
        let expected = [
            "NFIL00000003".to_owned(),
            packet("NAME", &file_name),
            packet("FILE", "BLOCK"),
            packet("NAME", &link_name),
            packet("LINK", "/real/x.h"),
            packet("NAME", &empty_name),
            "FILE00000000".to_owned(),
        ];
        assert_eq!(appended(&[file, link, empty]).unwrap(), expected.concat());
    }

    #[test]
    fn paths_outside_of_a_root_are_refused() {
        assert!(matches!(
            appended(&["/etc/passwd".into()]),
            Err(TreeError::NoName(_))
        ));
    }

    #[test]
    fn missing_files_are_named() {
        let error = appended(&["/a/b/c/d".into()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read '/a/b/c/d': No such file or directory"
        );
    }
}
