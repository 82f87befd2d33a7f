//! The three protocol versions. A client picks one per host; there is no negotiation.

/// What a connection speaks: the number in `DIST` and `DONE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 1: preprocessed source, uncompressed.
    Plain,
    /// 2: preprocessed source, bulk data as LZO1X blocks.
    Lzo,
    /// 3: the source tree, preprocessed by the server ("pump mode"), as LZO1X blocks.
    Pump,
}

impl Version {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Plain => 1,
            Self::Lzo => 2,
            Self::Pump => 3,
        }
    }

    /// The version for a number on the wire, or `None` for one that nobody speaks.
    ///
    /// distccd 3.4 also accepts 0 and answers it uncompressed; nothing sends that, and we
    /// refuse it.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Plain),
            2 => Some(Self::Lzo),
            3 => Some(Self::Pump),
            _ => None,
        }
    }

    /// Whether bulk data travels as LZO1X blocks.
    #[must_use]
    pub fn is_compressed(self) -> bool {
        self != Self::Plain
    }
}
