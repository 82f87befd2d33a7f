//! Where the text of a link in a client's tree leads to. Pure: nothing is looked up.

/// What the text of a link means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LinkText<'a> {
    /// Absolute text: the client's absolute path, so below the root.
    BelowRoot(&'a [u8]),
    /// A way that stays in the root.
    Relative(&'a [u8]),
    /// The name itself, reached by climbing to `/` from any depth (`../../../usr/include` for
    /// `/usr/include`): the server's own folder of this name. System headers travel like this.
    System,
}

impl<'a> LinkText<'a> {
    /// Reads the text of the link with these components; `None` if it would lead elsewhere.
    pub(crate) fn read(text: &'a [u8], name: &[&[u8]]) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let absolute = text.starts_with(b"/");
        let mut depth = if absolute { 0 } else { name.len() - 1 };
        for component in components(text) {
            depth = match component {
                b"." => depth,
                b".." if depth > 0 => depth - 1,
                b".." => return Self::system(text, absolute, name),
                _ => depth + 1,
            };
        }
        Some(match absolute {
            true => Self::BelowRoot(text),
            false => Self::Relative(text),
        })
    }

    fn system(text: &[u8], absolute: bool, name: &[&[u8]]) -> Option<Self> {
        let path = components(text).skip_while(|&c| c == b"..");
        (!absolute && path.eq(name.iter().copied())).then_some(Self::System)
    }
}

/// Whether a text goes up from a folder that it names: that may be a link, whose parent is
/// somewhere else than it looks. Going up first is exact, since a link's own folders are no links.
pub(crate) fn climbs_behind_a_name(text: &[u8]) -> bool {
    let after = components(text).skip_while(|&c| c == b"." || c == b"..");
    after.into_iter().any(|c| c == b"..")
}

pub(crate) fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|c| !c.is_empty())
}
