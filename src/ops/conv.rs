//! Convolutions. Images x `[batch, axes…, channels]` with one to three spatial axes, a kernel k
//! `[windows…, channels / groups, filters]` and the results y `[batch, places…, filters]` occur in one trilinear
//! form, `Σ x·k·y` over all places and taps:
//!
//! ```text
//! conv              y from x and k       conv_transpose    x from y and k, its sizes by Keras's rule
//! conv_input_grad   x from y and k, its sizes those of a given x
//! conv_kernel_grad  k from x and y
//! ```
//!
//! So the gradient rule of each is written with the others, to any order. Each is one matrix product
//! (`kernels/conv.rs`), or many small ones (`kernels/winograd.rs`) where that is allowed and faster.

use super::elementwise::float;
use super::ending::{Closing, Product, ends};
use super::matmul::{Fused, formula};
use super::parts::Part;
use super::promote::alike;
use super::window::{Padding, PerAxis, windows};
use crate::autograd::{
    Attr, Attribute, Constant, Grads, Made, Op, Ready, Saves, Specs, Step, apply1, elements, one,
};
use crate::dtype::dispatch_float;
use crate::kernels::conv::{self as kernel, Prepared};
use crate::kernels::gemm::{Epilogue, Window};
use crate::kernels::winograd::Tiles;
use crate::tensor::{Array, Few, Tensor, few};
use crate::{DType, Error, Result, Shape, Spec};
use std::any::Any;
use std::sync::Arc;

super::table::ops! {
    [Conv, ConvTranspose, ConvInputGrad, ConvKernelGrad];
    conv: Floats, Every, "Conv";
    depthwise_conv: Floats, Every, "Conv";
    separable_conv: Floats, Every, "Conv";
    conv_transpose: Floats, Every, "ConvTranspose";
}

/// How a kernel moves over images: `Convolution::new().strides([2, 2]).padding(Padding::Same)`. The defaults are
/// Keras's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convolution {
    strides: PerAxis<usize>,
    padding: Padding,
    dilation_rate: PerAxis<usize>,
    groups: usize,
    output_padding: Option<PerAxis<usize>>,
    winograd: bool,
}

impl Default for Convolution {
    fn default() -> Convolution {
        Convolution::new()
    }
}

impl Convolution {
    /// Creates the default: a place at every element, no padding, no gaps between taps, one group.
    pub fn new() -> Convolution {
        let (strides, dilation_rate) = (PerAxis::new(), PerAxis::new());
        Convolution {
            strides,
            padding: Padding::Valid,
            dilation_rate,
            groups: 1,
            output_padding: None,
            winograd: true,
        }
    }

    /// Sets the distance from one place of the kernel to the next, for each spatial axis; 1 by default.
    #[must_use]
    pub fn strides(self, strides: impl AsRef<[usize]>) -> Convolution {
        Convolution { strides: PerAxis::from(strides.as_ref()), ..self }
    }

    /// Sets what lies beyond the edges; nothing by default.
    #[must_use]
    pub fn padding(self, padding: Padding) -> Convolution {
        Convolution { padding, ..self }
    }

    /// Sets the distance from one tap of the kernel to the next, for each spatial axis; 1 by default.
    #[must_use]
    pub fn dilation_rate(self, dilation_rate: impl AsRef<[usize]>) -> Convolution {
        Convolution { dilation_rate: PerAxis::from(dilation_rate.as_ref()), ..self }
    }

    /// Sets the number of groups into which channels and filters are cut; each group of filters sees only its group
    /// of channels. 1 by default; one group per channel is a depthwise convolution. [`Tensor::conv_transpose`]
    /// requires one group.
    #[must_use]
    pub fn groups(self, groups: usize) -> Convolution {
        Convolution { groups, ..self }
    }

    /// For [`Tensor::conv_transpose`], sets how much longer results are than the shortest, for each spatial axis;
    /// the default is described there.
    #[must_use]
    pub fn output_padding(self, output_padding: impl AsRef<[usize]>) -> Convolution {
        Convolution { output_padding: Some(PerAxis::from(output_padding.as_ref())), ..self }
    }

    /// Allows Winograd's algorithm, or forbids it; allowed by default. It is used for convolutions of images in float32
    /// with 3 × 3 taps, without strides, dilation and groups, where the sizes of a single image say that it is faster.
    /// The sums are then made in another order: only the last digits of results differ, and
    /// an infinite element makes results near it NaN.
    #[must_use]
    pub fn winograd(self, winograd: bool) -> Convolution {
        Convolution { winograd, ..self }
    }

    /// Fills in the numbers that were left out, for this many spatial axes.
    fn complete(&self, axes: usize) -> Convolution {
        let mut how = self.clone();
        for list in [&mut how.strides, &mut how.dilation_rate] {
            if list.is_empty() {
                list.resize(axes.min(3), 1);
            }
        }
        how
    }
}

/// Whether Winograd's algorithm is allowed. Files from before it do not say; there it is.
#[derive(Clone, Copy, Debug)]
struct Winograd(bool);

impl Attribute for Winograd {
    const EXPECTED: &'static str = bool::EXPECTED;
    fn write(&self) -> Attr {
        self.0.write()
    }
    fn read(value: &Attr) -> Option<Winograd> {
        bool::read(value).map(Winograd)
    }
    fn absent() -> Option<Winograd> {
        Some(Winograd(true))
    }
}

impl Winograd {
    /// Computes the convolution in tiles, if they are allowed and faster; says whether it did. It depends on the layer
    /// and the sizes of one image alone. In float64, results have the last digits of the direct way always.
    fn compute(
        self,
        tiles: Option<Tiles>,
        x: &Array,
        (k, turned): (&Array, bool),
        y: &mut Array,
        end: Epilogue<'_, f32>,
    ) -> Result<bool> {
        let Some(tiles) = tiles.filter(|tiles| self.0 && x.dtype() == DType::F32 && tiles.pay::<f32>())
        else {
            return Ok(false);
        };
        let mut room = Array::new(Spec::new(Shape::new(&[tiles.kernel_len()])?, DType::F32))?;
        let k = (k.slice()?, turned);
        tiles.compute::<f32>(x.slice()?, k, room.slice_mut()?, y.slice_mut()?, end);
        Ok(true)
    }
}

/// The sizes that x, k and y share.
struct Form {
    batch: usize,
    spatial: PerAxis<usize>,
    channels: usize,
    filters: usize,
    groups: usize,
    windows: PerAxis<Window>,
}

/// Checks that rank and dtype of x or y and of the kernel fit together; returns the spatial axes of the images and
/// of the kernel.
fn axes<'a>(op: &'static str, x: &'a Spec, k: &'a Spec) -> Result<(&'a [usize], &'a [usize])> {
    float(op, x.dtype)?;
    if k.dtype != x.dtype {
        let why = format!("{} and {} differ in element type: cast one of them", x.dtype, k.dtype);
        return Err(Error::shapes(op, x.shape, k.shape, why));
    }
    let n = x.shape.rank();
    if !(3..=5).contains(&n) {
        let expected = "[batch, axes…, channels] with one to three spatial axes";
        return Err(Error::shape(op, expected, x.shape));
    }
    if k.shape.rank() != n {
        let why = format!(
            "the kernel should have {n} axes as well: a window for each spatial axis, channels and filters"
        );
        return Err(Error::shapes(op, x.shape, k.shape, why));
    }
    Ok((&x.shape.dims()[1..n - 1], &k.shape.dims()[..n - 2]))
}

/// Returns the last two sizes.
fn last_two(shape: &Shape) -> (usize, usize) {
    let d = shape.dims();
    (d[d.len() - 2], d[d.len() - 1])
}

impl Form {
    /// Returns the sizes for images and a kernel.
    fn of(op: &'static str, x: &Spec, k: &Spec, how: &Convolution) -> Result<Form> {
        let (spatial, size) = axes(op, x, k)?;
        let ((c, filters), channels) = (last_two(&k.shape), last_two(&x.shape).1);
        let groups = how.groups;
        if groups == 0 || !filters.is_multiple_of(groups) || filters == 0 {
            let expected = format!("a number that divides the {filters} filters");
            return Err(Error::argument("groups", expected, groups));
        }
        if c == 0 || c.checked_mul(groups) != Some(channels) {
            let channels = crate::shape::Size(channels);
            let why = match groups {
                1 => format!("the input has {channels} channels, the kernel takes {c}"),
                _ => format!(
                    "the input has {channels} channels, the kernel takes {c} in each of {groups} groups"
                ),
            };
            return Err(Error::shapes(op, x.shape, k.shape, why));
        }
        let windows = windows(op, spatial, size, &how.strides, &how.dilation_rate, &how.padding)?;
        let batch = x.shape.dims()[0];
        Ok(Form { batch, spatial: spatial.into(), channels, filters, groups, windows })
    }

    /// Returns the shape of y.
    fn results(&self) -> Result<Shape> {
        let mut dims: Few<usize, 8> = few![self.batch];
        for (window, &size) in self.windows.iter().zip(&self.spatial) {
            dims.push(window.places(size)?);
        }
        dims.push(self.filters);
        Shape::new(&dims)
    }

    /// Fails unless y has this shape.
    fn check(&self, op: &'static str, y: &Spec, x: &Spec) -> Result<()> {
        let expected = self.results()?;
        if (y.shape, y.dtype) != (expected, x.dtype) {
            let why = format!("the gradient should be {} {expected}", x.dtype);
            return Err(Error::shapes(op, y.shape, x.shape, why));
        }
        Ok(())
    }

    fn sizes(&self) -> kernel::Sizes<'_> {
        kernel::Sizes {
            batch: self.batch,
            spatial: &self.spatial,
            channels: self.channels,
            filters: self.filters,
            groups: self.groups,
            windows: &self.windows,
        }
    }

    /// Returns the kernel as [`kernel::input`] reads it: `[groups, windows…, filters / groups, channels / groups]`,
    /// or as it is if each channel has one filter of its own.
    fn turned(&self, k: &Array) -> Result<Array> {
        if self.sizes().depthwise() {
            return k.contiguous();
        }
        let (c, f) = (self.channels / self.groups, self.filters / self.groups);
        let taps = k.shape().elements() / (c * self.filters);
        let k = k.reshaped(Shape::new(&[taps, c, self.groups, f])?)?;
        k.with_layout(k.layout().permuted(&[2, 0, 3, 1])).contiguous()
    }
}

/// Returns how many multiplications and additions there are between a kernel and the results y.
fn products(k: &Spec, y: &Spec) -> u64 {
    let filters = last_two(&k.shape).1.max(1);
    2 * elements(&[*y]) * (elements(&[*k]) / filters as u64)
}

/// Sums a gradient over all places, which gives that of a bias.
fn over_places(g: &Tensor) -> Result<Tensor> {
    g.merge_axes(0, -2)?.sum(&[0], false)
}

crate::op! {
    /// `activation(conv(x, k) + b)`.
    struct Conv("conv", 2..=3) {
        strides: PerAxis<usize>,
        padding: Padding,
        dilation_rate: PerAxis<usize>,
        groups: usize,
        activation: Option<Fused>,
        winograd: Winograd,
    }
}

crate::op! {
    /// Computes x from y and k; only the shape of the third input, which is that of x, is used.
    struct ConvInputGrad("conv_input_grad", 3) {
        strides: PerAxis<usize>,
        padding: Padding,
        dilation_rate: PerAxis<usize>,
        groups: usize,
        winograd: Winograd,
    }
}

crate::op! {
    /// Computes k from x and y. `size` is that of its windows.
    struct ConvKernelGrad("conv_kernel_grad", 2) {
        size: PerAxis<usize>,
        strides: PerAxis<usize>,
        padding: Padding,
        dilation_rate: PerAxis<usize>,
        groups: usize,
        winograd: Winograd,
    }
}

/// Declares the attributes by which the three operations describe how the kernel moves over images.
macro_rules! how {
    ($op:expr) => {
        Convolution {
            strides: $op.strides.clone(),
            padding: $op.padding.clone(),
            dilation_rate: $op.dilation_rate.clone(),
            groups: $op.groups,
            output_padding: None,
            winograd: $op.winograd.0,
        }
    };
}

/// Computes y from x and k.
fn results(x: &Tensor, k: &Tensor, how: &Convolution) -> Result<Tensor> {
    let Convolution { strides, padding, dilation_rate, groups, winograd, .. } = how.clone();
    let winograd = Winograd(winograd);
    apply1(Conv { strides, padding, dilation_rate, groups, activation: None, winograd }, &[x, k])
}

/// Computes x from y and k, in the shape of another x.
fn images(y: &Tensor, k: &Tensor, like: &Tensor, how: &Convolution) -> Result<Tensor> {
    let Convolution { strides, padding, dilation_rate, groups, winograd, .. } = how.clone();
    let winograd = Winograd(winograd);
    apply1(ConvInputGrad { strides, padding, dilation_rate, groups, winograd }, &[y, k, &like.anchor()])
}

/// Computes k from x and y, in the shape of another k.
fn taps(x: &Tensor, y: &Tensor, like: &Shape, how: &Convolution) -> Result<Tensor> {
    let size = PerAxis::from(&like.dims()[..like.rank() - 2]);
    let Convolution { strides, padding, dilation_rate, groups, winograd, .. } = how.clone();
    let winograd = Winograd(winograd);
    apply1(ConvKernelGrad { size, strides, padding, dilation_rate, groups, winograd }, &[x, y])
}

impl Op for Conv {
    fn flops(&self, inputs: &[Spec], outputs: &[Spec]) -> u64 {
        let more = (inputs.len() > 2) as u64 + self.activation.is_some() as u64;
        products(&inputs[1], &outputs[0]) + more * elements(outputs)
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let form = Form::of("conv", &inputs[0], &inputs[1], &how!(self))?;
        if let Some(b) = inputs.get(2)
            && (b.shape.dims() != [form.filters] || b.dtype != inputs[0].dtype)
        {
            let why = format!("the bias should be {} [{}]", inputs[0].dtype, form.filters);
            return Err(Error::shapes("conv", inputs[0].shape, b.shape, why));
        }
        Ok(one(form.results()?, inputs[0].dtype))
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        self.close(inputs, &mut outputs[0], &Closing::NONE, None)
    }
    ends!();
    fn padded(&self, inputs: &[Spec], before: &[usize], after: &[usize]) -> Option<Arc<dyn Op>> {
        let axes = 1..inputs[0].shape.rank() - 1;
        let around = before.iter().zip(after).enumerate();
        let spatial = around.clone().all(|(i, (&a, &b))| axes.contains(&i) || (a, b) == (0, 0));
        let own = |i: usize| match &self.padding {
            Padding::Valid => Some((0, 0)),
            Padding::Explicit(pairs) => pairs.get(i).copied(),
            _ => None,
        };
        let sum = |(i, (a, b)): (usize, (&usize, &usize))| Some((own(i - 1)?.0 + a, own(i - 1)?.1 + b));
        let pairs = around.filter(|(i, _)| axes.contains(i)).map(sum).collect::<Option<PerAxis<_>>>()?;
        spatial.then(|| Arc::new(Conv { padding: Padding::Explicit(pairs), ..self.clone() }) as Arc<dyn Op>)
    }
    fn saves(&self, wants: &[bool]) -> Saves {
        let mut saves = if wants[0] { Saves::NONE.input(0).input(1) } else { Saves::NONE };
        if wants[1] {
            saves = saves.input(0);
        }
        if self.activation.is_some() { saves.output(0) } else { saves }
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let how = how!(self);
        let g = match self.activation {
            Some(activation) => formula(activation).backward(0.0, step, &step.output(0))?,
            None => step.grad(0)?,
        };
        let mut grads: Grads = few![None; step.inputs()];
        if step.wants(0) {
            grads[0] = Some(images(&g, &step.input(1), &step.input(0), &how)?);
        }
        if step.wants(1) {
            grads[1] = Some(taps(&step.input(0), &g, &step.spec(1).shape, &how)?);
        }
        if step.inputs() == 3 && step.wants(2) {
            grads[2] = Some(over_places(&g)?);
        }
        Ok(grads)
    }
}

impl Product for Conv {
    fn close(
        &self,
        inputs: &[&Array],
        output: &mut Array,
        closing: &Closing<'_>,
        ready: Option<&(dyn Made + 'static)>,
    ) -> Result<()> {
        let form = Form::of("conv", &inputs[0].spec(), &inputs[1].spec(), &how!(self))?;
        let sizes = form.sizes();
        let ready = ready.and_then(|ready| (ready as &dyn Any).downcast_ref::<Prepared<f32>>());
        let (x, k) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
        let bias = inputs.get(2).map(|b| b.contiguous()).transpose()?;
        match x.dtype() {
            DType::F32 => {
                let end = closing.epilogue(bias.as_ref(), self.activation, closing.map)?;
                if let Some(ready) = ready {
                    return ready.forward(&sizes, x.slice()?, output.slice_mut()?, end);
                }
                if self.winograd.compute(Tiles::forward(&sizes), &x, (&k, false), output, end)? {
                    return Ok(());
                }
                kernel::forward::<f32>(&sizes, x.slice()?, k.slice()?, output.slice_mut()?, end)
            }
            DType::F64 => {
                let end = closing.epilogue(bias.as_ref(), self.activation, None)?;
                kernel::forward::<f64>(&sizes, x.slice()?, k.slice()?, output.slice_mut()?, end)
            }
            got => float("conv", got),
        }
    }
    fn activation(&self) -> Option<Fused> {
        self.activation
    }
    fn packs(&self, inputs: &[Spec]) -> bool {
        let form = Form::of("conv", &inputs[0], &inputs[1], &how!(self));
        let pays = |form: Form| Prepared::<f32>::pays(&form.sizes(), self.winograd.0);
        inputs[1].dtype == DType::F32 && form.is_ok_and(pays)
    }
    fn ready(&self, inputs: &[Spec], weights: Constant<'_>, kept: &mut Ready) -> Option<Arc<dyn Made>> {
        let form = Form::of("conv", &inputs[0], &inputs[1], &how!(self)).ok()?;
        let sizes = form.sizes();
        let make = |k: &Array| Ok(Prepared::<f32>::new(&sizes, k.contiguous()?.slice()?, self.winograd.0));
        kept.of(weights, |ready: &Prepared<f32>| ready.suits(&sizes), make)
    }
}

impl Made for Prepared<f32> {
    fn bytes(&self) -> usize {
        self.elements() * size_of::<f32>()
    }
    fn is_exact(&self) -> bool {
        self.is_exact()
    }
    fn values(&self) -> Option<Vec<f32>> {
        self.kernel()
    }
}

impl Op for ConvInputGrad {
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        products(&inputs[1], &inputs[0])
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let [y, k, x] = [&inputs[0], &inputs[1], &inputs[2]];
        Form::of("conv_input_grad", x, k, &how!(self))?.check("conv_input_grad", y, x)?;
        Ok(few![*x])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let form = Form::of("conv_input_grad", &inputs[2].spec(), &inputs[1].spec(), &how!(self))?;
        let (y, k) = (inputs[0].contiguous()?, form.turned(inputs[1])?);
        let tiles = Tiles::input(&form.sizes());
        if self.winograd.compute(tiles, &y, (&k, true), &mut outputs[0], Epilogue::NONE)? {
            return Ok(());
        }
        dispatch_float!("conv_input_grad", y.dtype(), T => {
            kernel::input::<T>(&form.sizes(), y.slice()?, k.slice()?, outputs[0].slice_mut()?)?;
        });
        Ok(())
    }
    fn saves(&self, wants: &[bool]) -> Saves {
        let saves = if wants[0] { Saves::NONE.input(1) } else { Saves::NONE };
        if wants[1] { saves.input(0) } else { saves }
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (x, how) = (step.grad(0)?, how!(self));
        let y = if step.wants(0) { Some(results(&x, &step.input(1), &how)?) } else { None };
        let k = if step.wants(1) { Some(taps(&x, &step.input(0), &step.spec(1).shape, &how)?) } else { None };
        Ok(few![y, k, None])
    }
}

impl Op for ConvKernelGrad {
    fn flops(&self, inputs: &[Spec], outputs: &[Spec]) -> u64 {
        products(&outputs[0], &inputs[1])
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        const OP: &str = "conv_kernel_grad";
        let [x, y] = [&inputs[0], &inputs[1]];
        let [channels, filters] = [x, y].map(|t| t.shape.dims().last().copied().unwrap_or(0));
        if self.groups == 0 || !channels.is_multiple_of(self.groups) {
            let expected = format!("a number that divides the {channels} channels");
            return Err(Error::argument("groups", expected, self.groups));
        }
        let mut dims: Few<usize, 8> = Few::from(&self.size[..]);
        dims.extend([channels / self.groups, filters]);
        let k = Spec::new(Shape::new(&dims)?, x.dtype);
        Form::of(OP, x, &k, &how!(self))?.check(OP, y, x)?;
        Ok(few![k])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let form = Form::of("conv_kernel_grad", &inputs[0].spec(), &outputs[0].spec(), &how!(self))?;
        let (x, y) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
        dispatch_float!("conv_kernel_grad", x.dtype(), T => {
            let room = kernel::kernel_room::<T>(&form.sizes(), x.slice()?)?;
            let mut room = Array::new(Spec::new(Shape::new(&[room])?, x.dtype()))?;
            let (k, room) = (outputs[0].slice_mut()?, room.slice_mut()?);
            kernel::kernel::<T>(&form.sizes(), x.slice()?, y.slice()?, k, room)?;
        });
        Ok(())
    }
    fn saves(&self, wants: &[bool]) -> Saves {
        let saves = if wants[0] { Saves::NONE.input(0).input(1) } else { Saves::NONE };
        if wants[1] { saves.input(0) } else { saves }
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (k, how) = (step.grad(0)?, how!(self));
        let x = if step.wants(0) { Some(images(&step.input(1), &k, &step.input(0), &how)?) } else { None };
        let y = if step.wants(1) { Some(results(&step.input(0), &k, &how)?) } else { None };
        Ok(few![x, y])
    }
}

crate::op! {
    /// Computes x from y and k, with the sizes of Keras's rule.
    struct ConvTranspose("conv_transpose", 2) {
        strides: PerAxis<usize>,
        padding: Padding,
        output_padding: Option<PerAxis<usize>>,
        dilation_rate: PerAxis<usize>,
    }
}

impl ConvTranspose {
    /// Returns the convolution that this is the transpose of, which does not depend on the sizes of images; and how
    /// much longer than `(n - 1)·stride` the results are along each spatial axis.
    ///
    /// Along an axis, all places together cover `(n - 1)·stride + reach` elements, where `reach` of a kernel is
    /// `(size - 1)·dilation + 1`. Some of these are cut off at the start and the end, or zeros are added at the
    /// end.
    fn plan(&self, size: &[usize]) -> Result<(Convolution, PerAxis<usize>)> {
        let n = size.len();
        for (what, list) in [("strides", &self.strides), ("dilation_rate", &self.dilation_rate)] {
            if list.len() != n || list.contains(&0) {
                let expected = format!("a number of at least 1 for each of {n} spatial axes");
                return Err(Error::argument(what, expected, format!("{list:?}")));
            }
        }
        if !matches!(self.padding, Padding::Valid | Padding::Same) {
            return Err(Error::argument("padding", "valid or same", &self.padding));
        }
        if let Some(more) = &self.output_padding
            && (more.len() != n || more.iter().zip(&self.strides).any(|(more, stride)| more >= stride))
        {
            let expected =
                format!("a number below the stride for each of {n} spatial axes ({:?})", self.strides);
            return Err(Error::argument("output_padding", expected, format!("{more:?}")));
        }
        let (mut cut, mut longer) = (PerAxis::new(), PerAxis::new());
        for (i, &size) in size.iter().enumerate() {
            let (stride, dilation) = (self.strides[i], self.dilation_rate[i]);
            let reach =
                size.checked_sub(1).and_then(|n| n.checked_mul(dilation)).and_then(|n| n.checked_add(1));
            let reach = reach.filter(|n| *n < isize::MAX as usize / 4 && stride < isize::MAX as usize / 4);
            let Some(reach) = reach else {
                let got = format!("{size} by {dilation}, strides {stride}");
                return Err(Error::argument("kernel", "windows that can be counted", got));
            };
            let more = self.output_padding.as_ref().map(|more| more[i]);
            let (length, before) = match self.padding {
                Padding::Same => {
                    let length = more.map_or(stride, |more| reach % 2 + more);
                    // Elements of a window before and after the first place: all but this place itself, halved.
                    let outside = (reach + length).saturating_sub(2);
                    (length, reach - 1 - (outside - outside / 2).min(reach - 1))
                }
                _ => (more.map_or(reach.max(stride), |more| reach + more), 0),
            };
            cut.push((before, (reach).saturating_sub(before + length)));
            longer.push(length);
        }
        let (strides, dilation_rate) = (self.strides.clone(), self.dilation_rate.clone());
        let padding = Padding::Explicit(cut);
        let winograd = false;
        Ok((
            Convolution { strides, padding, dilation_rate, groups: 1, output_padding: None, winograd },
            longer,
        ))
    }

    /// Returns the convolution, the results' spec and its sizes.
    fn form(&self, y: &Spec, k: &Spec) -> Result<(Convolution, Spec, Form)> {
        const OP: &str = "conv_transpose";
        let (places, size) = axes(OP, y, k)?;
        let ((channels, filters), got) = (last_two(&k.shape), last_two(&y.shape).1);
        if filters != got || filters == 0 || channels == 0 {
            let got = crate::shape::Size(got);
            let why = format!(
                "the input has {got} channels, the kernel [windows…, outputs, inputs] takes {filters} and gives {channels}"
            );
            return Err(Error::shapes(OP, y.shape, k.shape, why));
        }
        if let Some(axis) = places.iter().position(|&n| n == 0) {
            let expected = format!("images with at least one element on spatial axis {axis}");
            return Err(Error::argument(OP, expected, format!("{places:?}")));
        }
        let (how, longer) = self.plan(size)?;
        let mut shape = y.shape.with(y.shape.rank() - 1, channels);
        for (i, ((&n, &stride), &longer)) in places.iter().zip(&self.strides).zip(&longer).enumerate() {
            let length = (n - 1).checked_mul(stride).and_then(|n| n.checked_add(longer));
            let length = length.filter(|n| *n < isize::MAX as usize / 2);
            let length =
                length.ok_or_else(|| Error::shape(OP, "results whose sizes can be counted", y.shape))?;
            shape = shape.with(i + 1, length);
        }
        let x = Spec::new(shape, y.dtype);
        let form = Form::of(OP, &x, k, &how)?;
        form.check(OP, y, &x)?;
        Ok((how, x, form))
    }
}

impl Op for ConvTranspose {
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        products(&inputs[1], &inputs[0])
    }
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        Ok(few![self.form(&inputs[0], &inputs[1])?.1])
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let (_, _, form) = self.form(&inputs[0].spec(), &inputs[1].spec())?;
        let (y, k) = (inputs[0].contiguous()?, form.turned(inputs[1])?);
        dispatch_float!("conv_transpose", y.dtype(), T => {
            kernel::input::<T>(&form.sizes(), y.slice()?, k.slice()?, outputs[0].slice_mut()?)?;
        });
        Ok(())
    }
    fn saves(&self, wants: &[bool]) -> Saves {
        let saves = if wants[0] { Saves::NONE.input(1) } else { Saves::NONE };
        if wants[1] { saves.input(0) } else { saves }
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (x, kernel) = (step.grad(0)?, step.spec(1).shape);
        let (how, _) = self.plan(&kernel.dims()[..kernel.rank() - 2])?;
        let y = if step.wants(0) { Some(results(&x, &step.input(1), &how)?) } else { None };
        let k = if step.wants(1) { Some(taps(&x, &step.input(0), &kernel, &how)?) } else { None };
        Ok(few![y, k])
    }
}

impl Tensor {
    /// Computes the cross-correlation with a kernel, then adds a bias if there is one and applies a function:
    /// images `[batch, axes…, channels]` with one to three spatial axes become `[batch, places…, filters]`. The
    /// kernel is `[windows…, channels / groups, filters]`, the bias `[filters]`:
    ///
    /// ```text
    /// y[n, i, f] = activation(b[f] + Σ x[n, i·stride + t·dilation - before, c] · k[t, c, f])  over taps t and channels c
    /// ```
    ///
    /// The number of places along an axis of `n` elements, with `reach = (size - 1)·dilation + 1`, is
    /// `⌊(n - reach) / stride⌋ + 1` (valid) or `⌈n / stride⌉` (same, causal). The order of additions depends only
    /// on the kernel's shape. Dtypes are promoted by [`DType::promote`](crate::DType::promote).
    ///
    /// ```
    /// use gradus::ops::{Padding, conv::Convolution};
    /// use gradus::prelude::*;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0], [1, 5, 1])?;
    /// let k = Tensor::from_slice(&[1.0, 0.0, -1.0], [3, 1, 1])?;
    /// let same = Convolution::new().strides([2]).padding(Padding::Same);
    /// assert_eq!(x.conv(&k, None, None, &same)?.to_vec::<f64>()?, [-2.0, -2.0, 4.0]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// Ranks, channels, groups or lists do not fit together, the kernel does not fit into the padded images, or the
    /// dtype is not float32 or float64.
    pub fn conv(
        &self,
        kernel: &Tensor,
        bias: Option<&Tensor>,
        activation: Option<Fused>,
        how: &Convolution,
    ) -> Result<Tensor> {
        let Convolution { strides, padding, dilation_rate, groups, output_padding, winograd } =
            how.complete(self.rank().saturating_sub(2));
        if let Some(more) = output_padding {
            let expected = "none (it is for conv_transpose)";
            return Err(Error::argument("output_padding", expected, format!("{more:?}")));
        }
        let op = Conv { strides, padding, dilation_rate, groups, activation, winograd: Winograd(winograd) };
        match bias {
            Some(bias) => {
                let [x, kernel, bias] = alike([self, kernel, bias])?;
                apply1(op, &[&x, &kernel, &bias])
            }
            None => {
                let [x, kernel] = alike([self, kernel])?;
                apply1(op, &[&x, &kernel])
            }
        }
    }

    /// Computes [`Tensor::conv`] of each channel separately: the kernel is `[windows…, channels, multiplier]` and
    /// gives `multiplier` results for each channel, those of the first channel first; the bias is
    /// `[channels·multiplier]`.
    ///
    /// # Errors
    /// Those of [`Tensor::conv`]; the kernel has another number of channels than the images; or groups are given.
    pub fn depthwise_conv(
        &self,
        kernel: &Tensor,
        bias: Option<&Tensor>,
        activation: Option<Fused>,
        how: &Convolution,
    ) -> Result<Tensor> {
        let channels = match kernel.dims() {
            [.., channels, _] if self.dims().last() == Some(channels) => *channels,
            _ => {
                let why =
                    "the kernel should be [windows…, channels, multiplier] with the channels of the images";
                return Err(Error::shapes("depthwise_conv", *self.shape(), *kernel.shape(), why));
            }
        };
        if how.groups != 1 {
            return Err(Error::argument("groups", "1 (each channel is a group)", how.groups));
        }
        let last = kernel.rank() - 1;
        let windows = (0..last - 1).map(Part::Keep);
        let kernel = kernel.reshape_by(windows.chain([Part::Size(1), Part::Merge(last - 1, last)]))?;
        self.conv(&kernel, bias, activation, &how.clone().groups(channels))
    }

    /// Computes [`Tensor::depthwise_conv`], and then mixes the channels at each place by [`Tensor::conv`] with the
    /// `pointwise` kernel, `[1…, channels·multiplier, filters]`. Bias and activation belong to the second; `how` is that of the
    /// first.
    ///
    /// # Errors
    /// Those of both; or a window of the pointwise kernel is not of size 1.
    pub fn separable_conv(
        &self,
        depthwise: &Tensor,
        pointwise: &Tensor,
        bias: Option<&Tensor>,
        activation: Option<Fused>,
        how: &Convolution,
    ) -> Result<Tensor> {
        let y = self.depthwise_conv(depthwise, None, None, how)?;
        let windows = pointwise.rank().saturating_sub(2);
        if pointwise.dims()[..windows].iter().any(|&size| size != 1) {
            let expected = "a pointwise kernel [1…, channels·multiplier, filters]";
            return Err(Error::shape("separable_conv", expected, *pointwise.shape()));
        }
        y.conv(pointwise, bias, activation, &Convolution::new())
    }

    /// Computes the transpose of [`Tensor::conv`] (a "deconvolution"): `[batch, axes…, inputs]` becomes
    /// `[batch, longer axes…, outputs]`, the kernel is `[windows…, outputs, inputs]`. Every element of the input
    /// adds the kernel, times itself, at the place from which a convolution would have computed it.
    ///
    /// Size of the results along an axis of `n` elements, with `reach = (size - 1)·dilation + 1` (Keras's rule):
    ///
    /// | padding | by default | with `output_padding` |
    /// | --- | --- | --- |
    /// | valid | `(n - 1)·stride + max(reach, stride)` | `(n - 1)·stride + reach + output_padding` |
    /// | same | `n·stride` | `(n - 1)·stride + reach % 2 + output_padding` |
    ///
    /// # Errors
    /// Those of [`Tensor::conv`]; the padding is neither valid nor same; `output_padding` is not below the stride;
    /// or there are groups.
    pub fn conv_transpose(&self, kernel: &Tensor, how: &Convolution) -> Result<Tensor> {
        let Convolution { strides, padding, dilation_rate, groups, output_padding, .. } =
            how.complete(self.rank().saturating_sub(2));
        if groups != 1 {
            return Err(Error::argument("groups", "1, in a transposed convolution", groups));
        }
        let [x, kernel] = alike([self, kernel])?;
        apply1(ConvTranspose { strides, padding, output_padding, dilation_rate }, &[&x, &kernel])
    }
}

#[cfg(test)]
mod tests;
