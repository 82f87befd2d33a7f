//! The decoder: one walk through a block's instructions, for its content or only for its length.
//!
//! Most literals and matches are short, so they are moved as blocks of 16 bytes, of which what is too much is
//! overwritten next. An object file is unpacked with half of the instructions that a walk for its length and `lzokay` take.

use super::LzoError;

/// What is moved at once.
const WIDTH: usize = 16;

/// What becomes of the content.
pub(super) trait Out {
    /// Appends the first `count` bytes of `block`, which has so many.
    fn literals(&mut self, block: &[u8], count: usize) -> Result<(), LzoError>;

    /// Appends `len` bytes, which stand `distance` before the end; at most so many were appended.
    fn repeat(&mut self, distance: usize, len: u64) -> Result<(), LzoError>;

    /// How many bytes were appended.
    fn bytes(&self) -> u64;
}

/// The content is counted.
#[derive(Default)]
pub(super) struct Counted(u64);

impl Out for Counted {
    fn literals(&mut self, _: &[u8], count: usize) -> Result<(), LzoError> {
        self.0 += count as u64;
        Ok(())
    }

    fn repeat(&mut self, _: usize, len: u64) -> Result<(), LzoError> {
        self.0 += len;
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.0
    }
}

/// The content is kept, if it is not too long.
pub(super) struct Kept {
    /// The content, and room behind it.
    data: Vec<u8>,
    end: usize,
    max: usize,
}

impl Kept {
    /// Up to `max` bytes, from a block of so many.
    pub(super) fn new(block_bytes: usize, max: usize) -> Self {
        let likely = block_bytes.saturating_mul(3).min(max);
        Self {
            data: vec![0; likely.saturating_add(WIDTH)],
            end: 0,
            max,
        }
    }

    pub(super) fn content(mut self) -> Vec<u8> {
        self.data.truncate(self.end);
        self.data
    }

    /// Makes room for so many bytes and a block.
    #[inline]
    fn reserve(&mut self, bytes: u64) -> Result<(), LzoError> {
        let due = self.end as u64 + bytes;
        if due + WIDTH as u64 <= self.data.len() as u64 && due <= self.max as u64 {
            return Ok(());
        }
        self.grow(due)
    }

    #[cold]
    fn grow(&mut self, due: u64) -> Result<(), LzoError> {
        match usize::try_from(due) {
            Ok(due) if due <= self.max => {
                let likely = due.saturating_mul(2).min(self.max);
                self.data.resize(likely.max(due) + WIDTH, 0);
                Ok(())
            }
            // How long it is in all is the caller's to find out.
            _ => Err(LzoError::TooLong {
                len: due,
                max: self.max,
            }),
        }
    }

    /// Moves a block to the end. There is room for it.
    #[inline]
    fn put(&mut self, block: [u8; WIDTH], at: usize) {
        self.data[at..at + WIDTH].copy_from_slice(&block);
    }
}

impl Out for Kept {
    #[inline]
    fn literals(&mut self, block: &[u8], count: usize) -> Result<(), LzoError> {
        self.reserve(count as u64)?;
        match block.first_chunk::<WIDTH>() {
            Some(chunk) if count <= WIDTH => self.put(*chunk, self.end),
            _ => self.data[self.end..self.end + count].copy_from_slice(&block[..count]),
        }
        self.end += count;
        Ok(())
    }

    #[inline]
    fn repeat(&mut self, distance: usize, len: u64) -> Result<(), LzoError> {
        self.reserve(len)?;
        let len = len as usize;
        let (mut to, end) = (self.end, self.end + len);
        if distance >= WIDTH {
            while to < end {
                let from = to - distance;
                let chunk = self.data[from..from + WIDTH].try_into();
                self.put(chunk.expect("the slice has so many bytes"), to);
                to += WIDTH;
            }
        } else if distance == 1 {
            let byte = self.data[to - 1];
            self.data[to..end].fill(byte);
        } else {
            while to < end {
                self.data[to] = self.data[to - distance];
                to += 1;
            }
        }
        self.end = end;
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.end as u64
    }
}

/// A block's instructions.
struct Walk<'a, O> {
    rest: &'a [u8],
    out: &'a mut O,
}

impl<O: Out> Walk<'_, O> {
    #[inline]
    fn byte(&mut self) -> Result<u64, LzoError> {
        let (&first, rest) = self.rest.split_first().ok_or(LzoError::Truncated)?;
        self.rest = rest;
        Ok(u64::from(first))
    }

    /// The two bytes behind a long match: 14 bits of distance, two bits of literals.
    #[inline]
    fn distance_and_literals(&mut self) -> Result<(u64, u64), LzoError> {
        let word = self.byte()? | self.byte()? << 8;
        Ok((word >> 2, word & 3))
    }

    /// A length whose field was 0: `base`, 255 for each zero byte, and the first other byte.
    fn extended(&mut self, base: u64) -> Result<u64, LzoError> {
        let mut len = base;
        loop {
            match self.byte()? {
                0 => len += 255,
                last => return Ok(len + last),
            }
        }
    }

    #[inline]
    fn literals(&mut self, count: u64) -> Result<(), LzoError> {
        let count = usize::try_from(count).map_err(|_| LzoError::Truncated)?;
        let rest = self.rest.get(count..).ok_or(LzoError::Truncated)?;
        self.out.literals(self.rest, count)?;
        self.rest = rest;
        Ok(())
    }

    #[inline]
    fn repeat(&mut self, distance: u64, len: u64) -> Result<(), LzoError> {
        if distance > self.out.bytes() {
            return Err(LzoError::LookBehind);
        }
        // No instruction has a distance of more than 16 bits.
        self.out.repeat(distance as usize, len)
    }
}

/// Walks a whole block.
///
/// # Errors
/// Any [`LzoError`]; `TooLong` only from `out`.
pub(super) fn walk(block: &[u8], out: &mut impl Out) -> Result<(), LzoError> {
    let mut walk = Walk { rest: block, out };
    // How the instruction before ended: 0-3 literals behind a match, 4 a run of literals.
    let mut state = 0;
    if let Some(&first) = block.first()
        && first > 17
    {
        let count = walk.byte()? - 17;
        walk.literals(count)?;
        state = count.min(4);
    }
    loop {
        let code = walk.byte()?;
        let (distance, len, literals) = match code {
            0..=15 if state == 0 => {
                let count = match code {
                    0 => 3 + walk.extended(15)?,
                    _ => 3 + code,
                };
                walk.literals(count)?;
                state = 4;
                continue;
            }
            0..=15 => {
                let near = walk.byte()? << 2 | (code >> 2 & 3);
                match state {
                    4 => (near + 2049, 3, code & 3),
                    _ => (near + 1, 2, code & 3),
                }
            }
            16..=31 => {
                let len = match code & 7 {
                    0 => 2 + walk.extended(7)?,
                    l => 2 + l,
                };
                let (d, literals) = walk.distance_and_literals()?;
                let distance = 0x4000 + ((code & 8) << 11) + d;
                if distance == 0x4000 {
                    return match (len, walk.rest.len()) {
                        (3, 0) => Ok(()),
                        (3, _) => Err(LzoError::TrailingBytes),
                        _ => Err(LzoError::BadEnd),
                    };
                }
                (distance, len, literals)
            }
            32..=63 => {
                let len = match code & 31 {
                    0 => 2 + walk.extended(31)?,
                    l => 2 + l,
                };
                let (d, literals) = walk.distance_and_literals()?;
                (d + 1, len, literals)
            }
            _ => {
                let len = match code {
                    64..=127 => 3 + (code >> 5 & 1),
                    _ => 5 + (code >> 5 & 3),
                };
                let distance = (walk.byte()? << 3 | (code >> 2 & 7)) + 1;
                (distance, len, code & 3)
            }
        };
        walk.repeat(distance, len)?;
        if literals > 0 {
            walk.literals(literals)?;
        }
        state = literals;
    }
}
