//! `Reads`: what a loss or metric takes the numbers of an output to be. `compile` compares it with what the output
//! can give, because a loss of probabilities on logits, say, trains the wrong thing without any sign of it.

/// What a loss or a metric takes predictions to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reads {
    /// Any numbers.
    #[default]
    Numbers,
    /// Numbers of 0 or more, such as rates of counts.
    NotNegative,
    /// Probabilities, from 0 to 1 each.
    Probabilities,
    /// Probabilities of classes, along the last axis.
    Shares,
    /// Numbers that a sigmoid turns into probabilities.
    Logits,
    /// Numbers that a softmax along the last axis turns into probabilities.
    ClassLogits,
    /// Numbers whose sign tells which of two classes it is.
    Margins,
    /// Any numbers, of which the largest in each row decides.
    Largest,
}

impl Reads {
    /// Returns whether numbers are read as logits.
    pub(crate) fn logits(self) -> bool {
        matches!(self, Reads::Logits | Reads::ClassLogits)
    }

    /// Returns whether the last axis holds the classes, so that a single class would say nothing.
    pub(crate) fn classes(self) -> bool {
        matches!(self, Reads::Shares | Reads::ClassLogits | Reads::Largest)
    }
}
