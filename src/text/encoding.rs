//! What a text becomes: ids with what they stand for; and how several are brought to one length.

use crate::tensor::Tensor;
use crate::{Error, Result};

/// The tokens of a text, each list as long as the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Encoding {
    /// The number of each token.
    pub ids: Vec<i64>,
    /// Which text each token belongs to, as the tokenizer's template numbers them.
    pub type_ids: Vec<i64>,
    /// False for padding.
    pub mask: Vec<bool>,
    /// True for tokens that the template or padding has added.
    pub special: Vec<bool>,
}

impl Encoding {
    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(super) fn push(&mut self, id: u32, type_id: u32, special: bool) {
        self.ids.push(i64::from(id));
        self.type_ids.push(i64::from(type_id));
        self.mask.push(true);
        self.special.push(special);
    }

    /// Padded to a length.
    pub(super) fn pad(&mut self, length: usize, padding: &Padding) {
        let missing = length.saturating_sub(self.len());
        let at = if padding.left { 0 } else { self.len() };
        fn fill<T: Clone>(list: &mut Vec<T>, at: usize, missing: usize, value: T) {
            list.splice(at..at, std::iter::repeat_n(value, missing));
        }
        fill(&mut self.ids, at, missing, padding.id);
        fill(&mut self.type_ids, at, missing, padding.type_id);
        fill(&mut self.mask, at, missing, false);
        fill(&mut self.special, at, missing, true);
    }
}

/// Texts of one length, as tensors.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Padded {
    /// int64 `[texts, length]`.
    pub ids: Tensor,
    /// bool `[texts, length]`: false for padding.
    pub mask: Tensor,
    /// int64 `[texts, length]`.
    pub type_ids: Tensor,
}

impl Padded {
    pub(super) fn of(encodings: &[Encoding]) -> Result<Padded> {
        let length = encodings.first().map_or(0, Encoding::len);
        let shape = [encodings.len(), length];
        let ids: Vec<i64> = encodings.iter().flat_map(|e| e.ids.iter().copied()).collect();
        let type_ids: Vec<i64> = encodings.iter().flat_map(|e| e.type_ids.iter().copied()).collect();
        let mask: Vec<bool> = encodings.iter().flat_map(|e| e.mask.iter().copied()).collect();
        Ok(Padded {
            ids: Tensor::from_slice(&ids, shape)?,
            mask: Tensor::from_slice(&mask, shape)?,
            type_ids: Tensor::from_slice(&type_ids, shape)?,
        })
    }
}

/// How shorter texts are filled up. The ids of a file's padding are those of `tokenizer.json`.
#[derive(Clone, Debug)]
#[must_use]
pub struct Padding {
    pub(super) id: i64,
    pub(super) token: String,
    pub(super) type_id: i64,
    pub(super) length: Option<usize>,
    pub(super) multiple_of: Option<usize>,
    pub(super) left: bool,
}

impl Padding {
    /// With this token, on the right, to the length of the longest text.
    pub fn new(id: i64) -> Padding {
        Padding { id, token: String::new(), type_id: 0, length: None, multiple_of: None, left: false }
    }

    /// To this length, rather than to that of the longest text.
    pub fn length(mut self, length: usize) -> Padding {
        self.length = Some(length);
        self
    }

    /// To the next multiple of this number.
    pub fn multiple_of(mut self, n: usize) -> Padding {
        self.multiple_of = Some(n);
        self
    }

    /// On the left, as decoders want it that go on writing.
    pub fn left(mut self) -> Padding {
        self.left = true;
        self
    }

    /// The length for texts of which the longest has so many tokens.
    pub(super) fn target(&self, longest: usize) -> usize {
        let length = self.length.unwrap_or(longest);
        match self.multiple_of {
            Some(n) if n > 0 => length.div_ceil(n).saturating_mul(n),
            _ => length,
        }
    }
}

/// Where longer texts are cut off.
#[derive(Clone, Debug)]
#[must_use]
pub struct Truncation {
    pub(super) max_length: usize,
    pub(super) left: bool,
    pub(super) strategy: Strategy,
}

/// Which of two texts is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    LongestFirst,
    OnlyFirst,
    OnlySecond,
}

impl Truncation {
    /// Keeps so many tokens, special ones among them, of the beginning.
    pub fn new(max_length: usize) -> Truncation {
        Truncation { max_length, left: false, strategy: Strategy::LongestFirst }
    }

    /// Cuts the beginning off rather than the end.
    pub fn left(mut self) -> Truncation {
        self.left = true;
        self
    }

    /// Cuts one text, or two, to `room` tokens together.
    pub(super) fn cut(&self, first: &mut Vec<u32>, second: Option<&mut Vec<u32>>, room: usize) -> Result<()> {
        let keep = |list: &mut Vec<u32>, n: usize| match self.left {
            true => drop(list.drain(..list.len().saturating_sub(n))),
            false => list.truncate(n),
        };
        let Some(second) = second else {
            if self.strategy == Strategy::OnlySecond && first.len() > room {
                return Err(Error::argument(
                    "truncation",
                    "a second text, which alone is cut (OnlySecond)",
                    "one text",
                ));
            }
            keep(first, room);
            return Ok(());
        };
        let (a, b) = (first.len(), second.len());
        if a + b <= room {
            return Ok(());
        }
        match self.strategy {
            Strategy::LongestFirst => {
                // The shorter one is cut only if both are longer than half.
                let short = a.min(b);
                let long = if short > room { short } else { short.max(room - short) };
                let (mut x, mut y) =
                    if short + long > room { (room / 2, room / 2 + room % 2) } else { (short, long) };
                if a > b {
                    std::mem::swap(&mut x, &mut y);
                }
                keep(first, x);
                keep(second, y);
            }
            one => {
                let (cut, other) = if one == Strategy::OnlyFirst { (first, b) } else { (second, a) };
                let left = room.checked_sub(other).filter(|left| *left > 0);
                let expected = "a longer max_length: the text that is not cut leaves no room for the other";
                keep(cut, left.ok_or_else(|| Error::argument("truncation", expected, self.max_length))?);
            }
        }
        Ok(())
    }
}
