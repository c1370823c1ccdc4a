//! `EinsumDense`: a dense layer over any axes, `activation(einsum(equation, x, kernel) + bias)`.

use super::checks::fits;
use crate::config::Dyn;
use crate::nn::activation::{Activation, Linear};
use crate::nn::constraint::Constraint;
use crate::nn::initializer::{GlorotUniform, Initializer, Zeros, between_units};
use crate::nn::lists::OneOrMany;
use crate::nn::regularizer::Regularizer;
use crate::nn::{Build, Cx, Init, InputSpecs, Layer, Node, Param, Range, range_of, single};
use crate::shape::is_unknown;
use crate::tensor::{Few, Tensor};
use crate::{Error, MAX_RANK, Result, Shape};

crate::settings! {
    /// `einsum(equation, x, kernel)`: the equation says which axes of the input the kernel replaces by which
    /// others. For example, `"abc,cd->abd"` is a [`Dense`](super::Dense) over the last of three axes. `...` stands
    /// for axes that are kept, in front (`"...c,cd->...d"`) or at the end (`"ab...,bc->ac..."`).
    ///
    /// The kernel has the axes that the equation says, Glorot uniform over all inputs and outputs of a unit; the
    /// bias has those of `bias_axes`, zeros; no bias and no activation by default (Keras's defaults). A mask is an
    /// error: Keras would drop it with a warning.
    pub layer EinsumDense {
        /// Creates the layer with this equation, and the output's shape without the batch and the axes that `...`
        /// stands for. `None` is the size of the input's axis with the same letter.
        new(equation: into String, output_shape: into OneOrMany<Option<usize>>);

        /// Activation. Default: none.
        activation: into Dyn<dyn Activation> = Linear,
        /// The output's axes along which there is a bias, as their letters. Default: no bias.
        bias_axes: some into String,
        /// Initializer of the kernel. Default: `GlorotUniform`.
        pub(super) kernel_initializer: into Dyn<dyn Initializer> = GlorotUniform,
        /// Initializer of the bias. Default: `Zeros`.
        pub(super) bias_initializer: into Dyn<dyn Initializer> = Zeros,
        /// Regularizer of the kernel. Default: none.
        pub(super) kernel_regularizer: some into Dyn<dyn Regularizer>,
        /// Regularizer of the bias. Default: none.
        pub(super) bias_regularizer: some into Dyn<dyn Regularizer>,
        /// Regularizer of the output; its penalty is divided by the batch size. Default: none.
        pub(super) activity_regularizer: some into Dyn<dyn Regularizer>,
        /// Constraint on the kernel. Default: none.
        pub(super) kernel_constraint: some into Dyn<dyn Constraint>,
        /// Constraint on the bias. Default: none.
        pub(super) bias_constraint: some into Dyn<dyn Constraint>,
    }
}

/// What an equation says about the parameters.
struct Plan {
    kernel: Vec<usize>,
    /// How many inputs and outputs a unit has.
    units: [usize; 2],
    bias: Option<Vec<usize>>,
    /// If the kernel just replaces the last axes of the input by its own last ones, how many it replaces.
    replaces: Option<usize>,
}

impl EinsumDense {
    fn plan(&self, input: Shape) -> Result<Plan> {
        let wrong = || {
            let expected =
                "[X],[Y]->[Z], ...[X],[Y]->...[Z] or [X]...,[Y]->[Z]..., where X, Y and Z are letters";
            Error::argument("equation", expected, format!("'{}'", self.equation))
        };
        let (left, out) = self.equation.split_once("->").ok_or_else(wrong)?;
        let (x, kernel) = left.split_once(',').ok_or_else(wrong)?;
        let (front, back) = (x.starts_with("..."), x.ends_with("..."));
        let bare = |s: &str| -> Result<Vec<char>> {
            let s = if front { s.strip_prefix("...") } else { Some(s) };
            let s = s.and_then(|s| if back { s.strip_suffix("...") } else { Some(s) }).ok_or_else(wrong)?;
            Ok(s.chars().collect())
        };
        let (x, out, kernel) = (bare(x)?, bare(out)?, kernel.chars().collect::<Vec<_>>());
        let letters = |s: &[char]| !s.is_empty() && s.iter().all(char::is_ascii_alphabetic);
        if front && back || ![&x, &out, &kernel].iter().all(|s| letters(s)) || back && x.len() < 2 {
            return Err(wrong());
        }

        let dims = input.dims();
        let elided = dims.len().checked_sub(x.len()).filter(|&n| n == 0 || front || back);
        let Some(elided) = elided else {
            return Err(Error::shape("EinsumDense", format!("inputs that '{}' names", self.equation), input));
        };
        let skipped = if front { elided } else { 0 };
        let in_input = |l: char| x.iter().position(|&m| m == l).map(|i| dims[i + skipped]);
        // The output's letters without those of the batch, which are not in `output_shape`.
        let given = if front && elided > 0 { out.len() } else { out.len() - 1 };
        if self.output_shape.0.len() != given {
            let expected = format!("{given} sizes for '{}'", self.equation);
            return Err(Error::argument("output_shape", expected, format!("{:?}", self.output_shape.0)));
        }
        let of_output = |i: usize| match i.checked_sub(out.len() - given) {
            Some(i) => self.output_shape.0[i],
            None => None,
        };
        let mut sizes = Vec::with_capacity(out.len());
        for (i, &l) in out.iter().enumerate() {
            let from = in_input(l);
            if from.is_none() && !kernel.contains(&l) {
                let expected = format!("axes of the result that are the input's or the kernel's, not '{l}'");
                return Err(Error::argument("equation", expected, format!("'{}'", self.equation)));
            }
            if let (Some(size), Some(from)) = (of_output(i), from)
                && size != from
                && !is_unknown(from)
            {
                let expected = format!("{from} for axis '{l}', as in the input");
                return Err(Error::argument("output_shape", expected, size));
            }
            sizes.push(of_output(i).or(from));
        }
        let in_output = |l: char| out.iter().position(|&m| m == l).map(|i| sizes[i]);

        let bound = kernel.iter().filter(|l| !out.contains(l)).count();
        let (taken, given) = kernel.split_at(bound);
        let replaced = x.strip_suffix(taken).zip(out.strip_suffix(given)).is_some_and(|(a, b)| a == b);
        let once = |all: &[char]| (1..all.len()).all(|i| !all[..i].contains(&all[i]));
        let replaces =
            (replaced && !back && bound > 0 && !given.is_empty() && once(&x) && once(&out)).then_some(bound);
        let mut plan = Plan { kernel: Vec::new(), units: [1, 1], bias: None, replaces };
        for &l in &kernel {
            let (size, side) = match (in_output(l), in_input(l)) {
                (Some(size), _) => (size, 1),
                (None, Some(size)) => (Some(size), 0),
                (None, None) => {
                    let expected =
                        format!("axes of the kernel that are the input's or the result's, not '{l}'");
                    return Err(Error::argument("equation", expected, format!("'{}'", self.equation)));
                }
            };
            let size = size.filter(|&n| n > 0 && !is_unknown(n)).ok_or_else(|| {
                let expected = format!("a known size above 0 for axis '{l}', which the kernel has");
                Error::argument("output_shape", expected, format!("{:?}", self.output_shape.0))
            })?;
            plan.units[side] = plan.units[side].saturating_mul(size);
            plan.kernel.push(size);
        }

        if let Some(axes) = &self.bias_axes {
            let first = out.iter().position(|l| axes.contains(*l));
            let (Some(first), true) = (first, axes.chars().all(|l| out.contains(&l))) else {
                let expected = format!("letters of the result '{}'", out.iter().collect::<String>());
                return Err(Error::argument("bias_axes", expected, format!("'{axes}'")));
            };
            let mut shape = Vec::new();
            for (i, l) in out.iter().enumerate().skip(first) {
                let size = if axes.contains(*l) { sizes[i] } else { Some(1) };
                shape.push(size.filter(|&n| n > 0 && !is_unknown(n)).ok_or_else(|| {
                    let expected = format!("axes of known size, not '{l}'");
                    Error::argument("bias_axes", expected, format!("'{axes}'"))
                })?);
            }
            shape.extend(std::iter::repeat_n(1, if back { elided } else { 0 }));
            plan.bias = Some(shape);
        }
        Ok(plan)
    }

    /// Returns the same settings with another equation.
    pub(super) fn with(
        &self,
        equation: String,
        output_shape: Vec<Option<usize>>,
        bias_axes: Option<String>,
    ) -> EinsumDense {
        EinsumDense { equation, output_shape: OneOrMany(output_shape), bias_axes, ..self.clone() }
    }

    /// Builds the layer for inputs of this shape.
    pub(super) fn node(&self, input: Shape, init: &mut Init) -> Result<EinsumDenseNode> {
        let plan = self.plan(input)?;
        let kernel_initializer = between_units(&self.kernel_initializer, plan.units);
        let kernel = init.weight(
            &plan.kernel[..],
            &kernel_initializer,
            &self.kernel_regularizer,
            &self.kernel_constraint,
        )?;
        let bias = plan.bias.map(|shape| {
            init.weight(&shape[..], &self.bias_initializer, &self.bias_regularizer, &self.bias_constraint)
        });
        Ok(EinsumDenseNode {
            kernel,
            bias: bias.transpose()?,
            equation: self.equation.clone(),
            replaces: plan.replaces,
            activation: self.activation.clone(),
            activity_regularizer: self.activity_regularizer.clone(),
        })
    }
}

impl Build for EinsumDense {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let input = single(inputs)?.shape;
        fits("output_shape", &self.plan(input)?.kernel)?;
        Ok(Box::new(self.node(input, init)?))
    }
}

/// The layer with its parameters.
#[derive(Clone, Debug)]
pub(super) struct EinsumDenseNode {
    kernel: Param,
    bias: Option<Param>,
    equation: String,
    /// As in [`Plan`].
    replaces: Option<usize>,
    activation: Dyn<dyn Activation>,
    activity_regularizer: Option<Dyn<dyn Regularizer>>,
}
crate::parts!(EinsumDenseNode { kernel, bias });

/// Replaces the last `bound` axes of the input by the last axes of the kernel, after its first `bound`: a matrix
/// product.
fn replace(x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>, bound: usize) -> Result<Tensor> {
    let sizes: Few<isize, MAX_RANK> = kernel.dims()[bound..].iter().map(|&n| n as isize).collect();
    // In one axis, if there are several from `first` on.
    let merged = |t: &Tensor, first: usize| match t.rank() > first + 1 {
        true => t.merge_axes(first as isize, -1),
        false => Ok(t.clone()),
    };
    let whole = bias.filter(|bias| bias.dims() == &kernel.dims()[bound..]);
    let matrix = merged(kernel, bound)?;
    let matrix = if bound > 1 { matrix.merge_axes(0, bound as isize - 1)? } else { matrix };
    let along = whole.map(|bias| merged(bias, 0)).transpose()?;
    let Some(free) = x.rank().checked_sub(bound) else {
        return Err(Error::shape("EinsumDense", format!("inputs with at least {bound} axes"), *x.shape()));
    };
    let y = merged(x, free)?.linear(&matrix, along.as_ref(), None)?;
    let y = if sizes.len() > 1 { y.split_axis(-1, &sizes)? } else { y };
    match bias.filter(|_| whole.is_none()) {
        Some(bias) => y.add(bias),
        None => Ok(y),
    }
}

impl Layer for EinsumDenseNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let y = self.activation.apply(&self.forward_logits(x, cx)?)?;
        if let Some(regularizer) = &self.activity_regularizer {
            cx.regularize_activity(&**regularizer, &y)?;
        }
        Ok(y)
    }
    fn output_activation(&self) -> Option<&dyn Activation> {
        // A penalty on the output needs the output.
        self.activity_regularizer.is_none().then_some(&*self.activation)
    }
    fn forward_logits(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let kernel = cx.param(&self.kernel)?;
        let bias = cx.param_if(&self.bias)?;
        let y = match self.replaces {
            Some(bound) => return replace(x, &kernel, bias.as_ref(), bound),
            None => Tensor::einsum(&self.equation, &[x, &kernel])?,
        };
        bias.map_or(Ok(y.clone()), |bias| y.add(&bias))
    }
    fn class_name(&self) -> &'static str {
        "EinsumDense"
    }
    fn output_range(&self, _: Option<Range>) -> Option<Range> {
        range_of(&*self.activation)
    }
}
