//! Why it exists: a loss that reads probabilities and an output that gives logits train the wrong thing without a word. What a loss or
//! a metric takes the numbers of an output for is said here; `compile` compares it with what the output can give.

/// What a loss or a metric takes predictions for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reads {
    /// Any numbers.
    #[default]
    Numbers,
    /// Numbers of 0 or more: rates of counts.
    NotNegative,
    /// Probabilities, from 0 to 1 each.
    Probabilities,
    /// Probabilities of classes, along the last axis.
    Shares,
    /// What a sigmoid would make probabilities of.
    Logits,
    /// What a softmax along the last axis would make probabilities of.
    ClassLogits,
    /// Numbers whose sign says which of two classes it is.
    Margins,
    /// The largest number of each row, whatever its size.
    Largest,
}

impl Reads {
    /// Whether numbers are read as logits.
    pub(crate) fn logits(self) -> bool {
        matches!(self, Reads::Logits | Reads::ClassLogits)
    }

    /// Whether the classes are those of the last axis, so that one of them says nothing.
    pub(crate) fn classes(self) -> bool {
        matches!(self, Reads::Shares | Reads::ClassLogits | Reads::Largest)
    }
}
