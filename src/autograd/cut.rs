//! `Cut`: why no gradient flows back through a tensor. If a tensor was computed from something that can learn, but
//! the way back is cut, it and everything computed from it remember the reason, so that the error of `backward` can
//! name it.

/// What lies between a tensor and something that can learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// An operation without a gradient: a comparison, `argmax`, a cast to integers.
    Op(&'static str),
    /// [`Tensor::detach`](crate::Tensor::detach).
    Detached,
    /// A parameter that was read in a pass that does not track.
    Untracked,
    /// A frozen parameter.
    Frozen,
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cut::Op(op) => write!(
                f,
                "no gradient flows back through '{op}', which stands between this tensor and the parameters: compute \
                 it from what comes before, by operations with a gradient"
            ),
            Cut::Detached => f.write_str(
                "detach() stands between this tensor and the parameters: nothing flows back through it, so leave it out",
            ),
            Cut::Untracked => f.write_str(
                "the parameters were read by a pass that tracks none, Cx::infer() or untracked(…): use Cx::train(seed, step) in a \
                 training step",
            ),
            Cut::Frozen => f.write_str("all parameters on the way are frozen: set_trainable unfreezes a layer"),
        }
    }
}
