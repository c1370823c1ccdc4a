//! `Range`: the values that an output can hold, because `compile` refuses a loss that reads probabilities where a
//! layer gives logits. Activations declare their range; layers that only move or hide values pass it on; where
//! nothing is known, the first batch is checked.

/// What is known of the values of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Range {
    /// No value is below this.
    pub least: f64,
    /// No value is above this.
    pub most: f64,
    /// Whether values add up to 1 along the last axis.
    pub shares: bool,
    /// The activation that they come from, for messages.
    pub by: &'static str,
}

impl Range {
    /// Any number.
    pub const ALL: Range = Range::between(f64::NEG_INFINITY, f64::INFINITY);
    /// From 0 to 1: probabilities.
    pub const UNIT: Range = Range::between(0.0, 1.0);
    /// From 0 to 1, adding up to 1 along the last axis: the probabilities of classes.
    pub const SHARES: Range = Range { shares: true, ..Range::UNIT };
    /// 0 or more.
    pub const NOT_NEGATIVE: Range = Range::between(0.0, f64::INFINITY);
    /// 0 or less.
    pub const NOT_POSITIVE: Range = Range::between(f64::NEG_INFINITY, 0.0);
    /// From -1 to 1.
    pub const SIGNED_UNIT: Range = Range::between(-1.0, 1.0);

    /// Creates the range from one number to another.
    pub const fn between(least: f64, most: f64) -> Range {
        Range { least, most, shares: false, by: "" }
    }

    /// Adds the name of what gives these values.
    #[must_use]
    pub const fn by(self, by: &'static str) -> Range {
        Range { by, ..self }
    }

    /// Returns whether all are probabilities.
    pub(crate) fn is_unit(&self) -> bool {
        self.least >= 0.0 && self.most <= 1.0
    }

    /// Returns the range after values have moved, so that those that add up to 1 may be others.
    pub(crate) fn moved(self) -> Range {
        Range { shares: false, ..self }
    }

    /// Returns the range of several tensors together; `None` if nothing is known of one of them.
    pub(crate) fn united(ranges: &[Option<Range>]) -> Option<Range> {
        let join = |a: Range, b: Range| Range {
            least: a.least.min(b.least),
            most: a.most.max(b.most),
            shares: a.shares && b.shares,
            by: if a.by == b.by { a.by } else { "several" },
        };
        let (first, rest) = ranges.split_first()?;
        rest.iter().try_fold((*first)?, |a, b| Some(join(a, (*b)?)))
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.least, self.most) {
            (f64::NEG_INFINITY, f64::INFINITY) => f.write_str("any numbers")?,
            (f64::NEG_INFINITY, most) => write!(f, "numbers of {most} or less")?,
            (least, f64::INFINITY) => write!(f, "numbers of {least} or more")?,
            (least, most) => write!(f, "numbers from {least} to {most}")?,
        }
        if self.by.is_empty() { Ok(()) } else { write!(f, " ({})", self.by) }
    }
}
