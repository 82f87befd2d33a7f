//! Makes new inputs of old ones.

/// A source of changes; the same seed makes the same ones.
#[derive(Debug)]
pub(crate) struct Mutator {
    state: u64,
    words: Vec<Vec<u8>>,
    longest: usize,
}

/// Numbers that parsers stumble over.
const NUMBERS: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    u64::MAX / 2,
    u64::MAX,
];

impl Mutator {
    pub(crate) fn new(seed: u64, words: Vec<Vec<u8>>, longest: usize) -> Self {
        Self {
            state: seed,
            words,
            longest,
        }
    }

    /// By splitmix64: fast, and good enough to choose with.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is at least 1.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize // The remainder fits where `end` did.
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// A new input made of one of the corpus, often of one that came late.
    pub(crate) fn change(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let late = corpus.len().saturating_sub(16);
        let from = if self.one_in(3) { late } else { 0 };
        let chosen = from + self.below(corpus.len() - from);
        let mut input = corpus.get(chosen).cloned().unwrap_or_default();
        for _ in 0..=self.below(5) {
            self.change_once(&mut input, corpus);
        }
        input.truncate(self.longest);
        input
    }

    fn change_once(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        match self.below(11) {
            0 => self.with_byte(input, |byte, random| *byte ^= 1 << (random % 8)),
            1 => self.with_byte(input, |byte, random| *byte = random.to_le_bytes()[0]),
            2 => self.with_byte(input, |byte, random| {
                *byte = byte.wrapping_add((random % 9).to_le_bytes()[0].wrapping_sub(4));
            }),
            3 => {
                let (at, end) = self.range(input);
                input.drain(at..end);
            }
            4 => {
                let (at, end) = self.range(input);
                let piece = input[at..end].to_vec();
                self.insert(input, &piece);
            }
            5 => {
                let length = 1 + self.below(8);
                let bytes: Vec<u8> = (0..length).map(|_| self.next().to_le_bytes()[0]).collect();
                self.insert(input, &bytes);
            }
            6 | 7 if !self.words.is_empty() => {
                let word = self.below(self.words.len());
                let word = self.words[word].clone();
                if self.one_in(2) {
                    self.insert(input, &word);
                } else {
                    self.overwrite(input, &word);
                }
            }
            8 => {
                let number = NUMBERS[self.below(NUMBERS.len())];
                let bytes = match self.below(4) {
                    0 => format!("{:08x}", number & 0xffff_ffff).into_bytes(),
                    1 => number.to_string().into_bytes(),
                    2 => number.to_le_bytes().to_vec(),
                    _ => number.to_le_bytes()[..2].to_vec(),
                };
                self.overwrite(input, &bytes);
            }
            9 => {
                // Hexadecimal lengths that are nearly right.
                let digits = input.windows(8).enumerate();
                let is_number = |word: &[u8]| word.iter().all(u8::is_ascii_hexdigit);
                let places: Vec<usize> = digits
                    .filter(|(_, word)| is_number(word))
                    .map(|(at, _)| at)
                    .collect();
                if !places.is_empty() {
                    let at = places[self.below(places.len())];
                    let digit = b"0123456789abcdef"[self.below(16)];
                    let digit_at = at + 4 + self.below(4);
                    input[digit_at] = digit;
                }
            }
            _ => {
                let other = self.below(corpus.len());
                let Some(other) = corpus.get(other) else {
                    return;
                };
                let (at, end) = self.range(other);
                let piece = other[at..end].to_vec();
                let cut = self.below(input.len() + 1);
                input.truncate(cut);
                input.extend(piece);
            }
        }
    }

    fn with_byte(&mut self, input: &mut [u8], change: impl FnOnce(&mut u8, u64)) {
        let (at, random) = (self.below(input.len()), self.next());
        if let Some(byte) = input.get_mut(at) {
            change(byte, random);
        }
    }

    /// A part of it: mostly a short one.
    fn range(&mut self, input: &[u8]) -> (usize, usize) {
        let at = self.below(input.len() + 1);
        let most = if self.one_in(4) { input.len() } else { 16 };
        let length = self.below(most + 1);
        (at, (at + length).min(input.len()))
    }

    fn insert(&mut self, input: &mut Vec<u8>, bytes: &[u8]) {
        let at = self.below(input.len() + 1);
        input.splice(at..at, bytes.iter().copied());
    }

    fn overwrite(&mut self, input: &mut Vec<u8>, bytes: &[u8]) {
        let at = self.below(input.len() + 1);
        let end = (at + bytes.len()).min(input.len());
        input.splice(at..end, bytes.iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_the_same_for_a_seed_and_never_too_long() {
        let corpus = [b"DIST00000001ARGC00000002".to_vec(), Vec::new()];
        let inputs = |seed| -> Vec<Vec<u8>> {
            let mut mutator = Mutator::new(seed, vec![b"word".to_vec()], 40);
            (0..1000).map(|_| mutator.change(&corpus)).collect()
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(8));
        assert!(inputs(7).iter().all(|input| input.len() <= 40));
        assert!(inputs(7).iter().any(|input| input.ends_with(b"word")));
    }
}
