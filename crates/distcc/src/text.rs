//! Preprocessed text on its way to a server.
//!
//! The preprocessor wrote it to a file in memory. It goes out from there: as it is by `sendfile`,
//! and packed from a mapping, so that a megabyte of text is never copied into a buffer of ours.
//! The file is sealed first: whatever else still holds it, a program that the compiler left behind
//! for instance, can neither change nor shorten it any more.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Deref;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// What is sent.
#[derive(Debug)]
pub(crate) enum Text {
    /// In a buffer.
    Bytes(Vec<u8>),
    /// In a file that does not change.
    Sealed(Sealed),
}

/// The start of a file that nobody can change.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) file: File,
    pub(crate) bytes: usize,
}

/// A new file in memory, for a child to write to.
pub(crate) fn memory_file(name: &str) -> io::Result<File> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?.into())
}

/// All of a file that a child wrote to; where we stand in it is where the child stopped.
pub(crate) fn read_from_start(file: &mut File) -> io::Result<Vec<u8>> {
    let bytes = written_bytes(file)?;
    let mut content = Vec::new();
    if bytes > 0 {
        file.seek(SeekFrom::Start(0))?;
        content.reserve_exact(bytes);
        file.take(bytes as u64).read_to_end(&mut content)?;
    }
    Ok(content)
}

/// Up to where a child wrote, but no more than there is: it may have moved on.
fn written_bytes(file: &mut File) -> io::Result<usize> {
    let bytes = file.stream_position()?.min(file.metadata()?.len());
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

impl Text {
    /// What a child wrote to a [`memory_file`], up to where it stopped.
    pub(crate) fn written_to(mut file: File) -> io::Result<Self> {
        let bytes = written_bytes(&mut file)?;
        // It cannot be sealed while somebody has a mapping to write through.
        let seals = SealFlags::WRITE | SealFlags::SHRINK;
        if bytes > 0 && fcntl_add_seals(&file, seals).is_ok() {
            // Only now it has the length that it keeps.
            let bytes = written_bytes(&mut file)?;
            return Ok(Self::Sealed(Sealed { file, bytes }));
        }
        read_from_start(&mut file).map(Self::Bytes)
    }

    /// How long it is.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Sealed(sealed) => sealed.bytes,
        }
    }

    /// Its bytes.
    pub(crate) fn read(&self) -> io::Result<Bytes<'_>> {
        match self {
            Self::Bytes(bytes) => Ok(Bytes::Buffer(bytes)),
            Self::Sealed(sealed) => Mapping::of(sealed).map(Bytes::Mapping),
        }
    }
}

/// The bytes of a text, wherever they are.
pub(crate) enum Bytes<'a> {
    Buffer(&'a [u8]),
    Mapping(Mapping),
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Buffer(bytes) => bytes,
            Self::Mapping(mapping) => mapping,
        }
    }
}

/// A sealed file as memory.
pub(crate) struct Mapping {
    start: *mut std::ffi::c_void,
    bytes: usize,
}

impl Mapping {
    fn of(sealed: &Sealed) -> io::Result<Self> {
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: a mapping at a new address changes no memory of ours.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                sealed.bytes,
                ProtFlags::READ,
                flags,
                &sealed.file,
                0,
            )?
        };
        Ok(Self {
            start,
            bytes: sealed.bytes,
        })
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: so many bytes are mapped until `self` is dropped, and by its seals the file has
        // them and does not change.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.bytes) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped by `Mapping::of`, and nothing borrows from it any more.
        let _ = unsafe { munmap(self.start, self.bytes) }; // It would be unmapped at our end.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_a_child_wrote_is_read_whole() {
        let mut file = memory_file("test").unwrap();
        assert_eq!(read_from_start(&mut file).unwrap(), b"");
        let mut other_end = file.try_clone().unwrap();
        other_end.write_all(b"int x;\n").unwrap();
        assert_eq!(read_from_start(&mut file).unwrap(), b"int x;\n");
        let text = Text::written_to(file).unwrap();
        assert!(matches!(text, Text::Sealed(_)));
        assert_eq!(&*text.read().unwrap(), b"int x;\n");
        assert_eq!(text.len(), 7);
    }

    #[test]
    fn nobody_changes_a_text_any_more() {
        let file = memory_file("test").unwrap();
        let mut other_end = file.try_clone().unwrap();
        other_end.write_all(b"int x;\n").unwrap();
        let text = Text::written_to(file).unwrap();
        assert!(other_end.write_all(b"int y;\n").is_err());
        assert!(other_end.set_len(0).is_err());
        assert_eq!(&*text.read().unwrap(), b"int x;\n");
    }

    #[test]
    fn a_text_that_cannot_be_sealed_is_copied() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let mut file = path.reopen().unwrap();
        file.write_all(b"int x;\n").unwrap();
        let text = Text::written_to(file).unwrap();
        assert!(matches!(&text, Text::Bytes(bytes) if bytes == b"int x;\n"));
        let nothing = Text::written_to(memory_file("test").unwrap()).unwrap();
        assert_eq!(&*nothing.read().unwrap(), b"");
    }

    #[test]
    fn a_child_that_lies_about_its_place_is_taken_at_its_files_word() {
        let mut file = memory_file("test").unwrap();
        file.write_all(b"int x;\n").unwrap();
        file.seek(SeekFrom::Start(1 << 40)).unwrap();
        let text = Text::written_to(file).unwrap();
        assert_eq!(&*text.read().unwrap(), b"int x;\n");
    }
}
