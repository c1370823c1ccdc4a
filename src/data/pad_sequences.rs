//! Sequences of different length as one tensor: `keras.utils.pad_sequences`.

use crate::tensor::Tensor;
use crate::{Element, Error, Result};

crate::string_enum! {
    /// An end of a sequence.
    pub enum Side {
        /// Its beginning.
        Pre = "pre",
        /// Its end.
        Post = "post",
    }
}

/// The settings of [`pad_sequences`], with Keras's defaults: the length of the longest sequence, and what is added or taken away is at the
/// beginning.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct PadSequences<T> {
    maxlen: Option<usize>,
    padding: Side,
    truncating: Side,
    value: T,
}

impl<T: Element + Default> Default for PadSequences<T> {
    fn default() -> Self {
        PadSequences::new()
    }
}

impl<T: Element + Default> PadSequences<T> {
    /// Zeros, at the beginning, up to the length of the longest.
    pub fn new() -> PadSequences<T> {
        PadSequences { maxlen: None, padding: Side::Pre, truncating: Side::Pre, value: T::default() }
    }

    /// The length of all; that of the longest by default.
    pub fn maxlen(mut self, length: usize) -> Self {
        self.maxlen = Some(length);
        self
    }

    /// Where shorter sequences are filled up; at the beginning by default.
    pub fn padding(mut self, side: Side) -> Self {
        self.padding = side;
        self
    }

    /// Where longer sequences are cut; at the beginning by default.
    pub fn truncating(mut self, side: Side) -> Self {
        self.truncating = side;
        self
    }

    /// What they are filled up with; 0 by default.
    pub fn value(mut self, value: T) -> Self {
        self.value = value;
        self
    }
}

/// Sequences as `[sequences, maxlen]`, of the element type that they have.
///
/// ```
/// use gradus::data::{PadSequences, Side, pad_sequences};
///
/// let sequences = [vec![1i64], vec![2, 3], vec![4, 5, 6]];
/// let x = pad_sequences(&sequences, &PadSequences::new())?;
/// assert_eq!(x.to_vec::<i64>()?, [0, 0, 1, 0, 2, 3, 4, 5, 6]);
/// let x = pad_sequences(&sequences, &PadSequences::new().maxlen(2).padding(Side::Post).value(-1))?;
/// assert_eq!(x.to_vec::<i64>()?, [1, -1, 2, 3, 5, 6]);
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// There is no sequence and no `maxlen`, or `maxlen` is 0.
pub fn pad_sequences<T: Element + Default>(
    sequences: &[impl AsRef<[T]>],
    settings: &PadSequences<T>,
) -> Result<Tensor> {
    let PadSequences { maxlen, padding, truncating, value } = *settings;
    if maxlen == Some(0) {
        return Err(Error::argument("maxlen", "at least 1", 0));
    }
    let longest = sequences.iter().map(|s| s.as_ref().len()).max();
    let expected = "at least one, or a maxlen";
    let length = maxlen.or(longest).ok_or_else(|| Error::argument("sequences", expected, "none"))?;
    let mut all = Vec::new();
    let elements = sequences.len().checked_mul(length).filter(|&n| all.try_reserve_exact(n).is_ok());
    if elements.is_none() {
        return Err(Error::argument("maxlen", "a length that memory holds", length));
    }
    for sequence in sequences {
        let sequence = sequence.as_ref();
        let over = sequence.len().saturating_sub(length);
        let kept = match truncating {
            Side::Pre => &sequence[over..],
            Side::Post => &sequence[..sequence.len() - over],
        };
        let fill = std::iter::repeat_n(value, length - kept.len());
        match padding {
            Side::Pre => all.extend(fill.chain(kept.iter().copied())),
            Side::Post => all.extend(kept.iter().copied().chain(fill)),
        }
    }
    Tensor::from_slice(&all, [sequences.len(), length])
}
