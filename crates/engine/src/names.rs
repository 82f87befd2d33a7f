//! Resource names of blobs: `[INSTANCE/]blobs/HASH/SIZE` and `[INSTANCE/]uploads/UUID/blobs/HASH/SIZE[/ANYTHING]`, with
//! `compressed-blobs/zstd` for `blobs` where the bytes on the wire are packed, and perhaps `sha256` before the hash.

use action::{Digest, messages};

/// A blob, and how it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) digest: Digest,
    pub(crate) zstd: bool,
}

/// What is read. Nothing for a name that is none.
pub(crate) fn read(name: &str) -> Option<Named> {
    let parts: Vec<&str> = name.split('/').collect();
    let at = parts.iter().position(|part| is_kind(part))?;
    let (named, rest) = blob(&parts[at..])?;
    rest.is_empty().then_some(named)
}

/// What is written; behind the size may stand what only the client understands.
pub(crate) fn written(name: &str) -> Option<Named> {
    let parts: Vec<&str> = name.split('/').collect();
    let at = parts.iter().position(|part| *part == "uploads")?;
    blob(parts.get(at + 2..)?).map(|(named, _)| named)
}

fn is_kind(part: &str) -> bool {
    matches!(part, "blobs" | "compressed-blobs")
}

fn blob<'p>(parts: &'p [&'p str]) -> Option<(Named, &'p [&'p str])> {
    let (zstd, mut rest) = match parts {
        ["blobs", rest @ ..] => (false, rest),
        ["compressed-blobs", "zstd", rest @ ..] => (true, rest),
        _ => return None,
    };
    if let ["sha256", others @ ..] = rest {
        rest = others;
    }
    let [hash, size, rest @ ..] = rest else {
        return None;
    };
    let message = messages::Digest {
        hash: (*hash).into(),
        size_bytes: size.parse().ok()?,
    };
    let digest = Digest::try_from(&message).ok()?;
    Some((Named { digest, zstd }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_forms() {
        let digest = Digest::of(b"x");
        let blob = format!("{}/1", digest.hex());
        let plain = Some(Named {
            digest,
            zstd: false,
        });
        let packed = Some(Named { digest, zstd: true });
        for (name, expected) in [
            (format!("blobs/{blob}"), plain),
            (format!("main/blobs/{blob}"), plain),
            (format!("a/b/c/compressed-blobs/zstd/{blob}"), packed),
            (format!("blobs/sha256/{blob}"), plain),
            (format!("blobs/blake3/{blob}"), None),
            (format!("blobs/{blob}/more"), None),
            (format!("compressed-blobs/brotli/{blob}"), None),
            (format!("blobs/{}/-1", digest.hex()), None),
            ("blobs".into(), None),
            (String::new(), None),
        ] {
            assert_eq!(read(&name), expected, "{name}");
        }
        for (name, expected) in [
            (format!("uploads/u-u/blobs/{blob}"), plain),
            (format!("i/n/uploads/u-u/blobs/{blob}/main.o"), plain),
            (
                format!("uploads/u-u/compressed-blobs/zstd/sha256/{blob}"),
                packed,
            ),
            (format!("blobs/{blob}"), None),
            ("uploads".into(), None),
            ("uploads/u".into(), None),
        ] {
            assert_eq!(written(&name), expected, "{name}");
        }
    }
}
