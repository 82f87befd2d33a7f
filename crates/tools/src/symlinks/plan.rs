//! What has to change in the masquerade folder. Pure.

use std::collections::BTreeSet;
use std::ffi::OsString;

/// Something in the masquerade folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Present {
    pub(super) name: OsString,
    pub(super) kind: Kind,
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A link to something that is there.
    Link,
    /// A link that leads nowhere.
    DanglingLink,
    /// Whatever else the administrator put there.
    Other,
}

/// Names to remove and then names to create.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) remove: BTreeSet<OsString>,
    pub(super) create: BTreeSet<OsString>,
}

/// Compares what is wanted with what is there. A link that is not wanted stays as long as there
/// is a program of its name: someone made it on purpose.
pub(super) fn plan(
    wanted: &BTreeSet<OsString>,
    programs: &BTreeSet<OsString>,
    present: Vec<Present>,
) -> Plan {
    let (remove, keep): (Vec<Present>, Vec<Present>) =
        present.into_iter().partition(|present| match present.kind {
            Kind::Link => !programs.contains(&present.name),
            Kind::DanglingLink => true,
            Kind::Other => false,
        });
    let names = |list: Vec<Present>| list.into_iter().map(|present| present.name);
    let keep: BTreeSet<OsString> = names(keep).collect();
    Plan {
        remove: names(remove).collect(),
        create: wanted.difference(&keep).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &str) -> BTreeSet<OsString> {
        names.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn folder_follows_the_programs() {
        let present = [
            ("gcc", Kind::Link),
            ("cc", Kind::DanglingLink),
            ("gcc-11", Kind::Link),
            ("gcc-10", Kind::DanglingLink),
            ("my-gcc", Kind::Link),
            ("clang", Kind::Other),
            ("README", Kind::Other),
        ];
        let present = present.map(|(name, kind)| Present {
            name: name.into(),
            kind,
        });
        let plan = plan(
            &set("cc gcc gcc-12 clang"),
            &set("cc gcc gcc-12 clang my-gcc ls"),
            present.into(),
        );
        let expected = Plan {
            remove: set("cc gcc-11 gcc-10"),
            create: set("cc gcc-12"),
        };
        assert_eq!(plan, expected);
    }
}
