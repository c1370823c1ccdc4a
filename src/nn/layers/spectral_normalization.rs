//! `SpectralNormalization`: keeps a layer from stretching any input by more than 1, by dividing its kernel by its
//! largest singular value, which a power iteration follows from step to step (Miyato et al. 2018).

use super::checks::positive;
use crate::nn::activation::Activation;
use crate::nn::initializer::TruncatedNormal;
use crate::nn::{Build, Cx, Init, InputSpecs, Inputs, Masking, Node, Param, Range, Values};
use crate::tensor::Tensor;
use crate::{Error, Result};

crate::settings! {
    /// Runs a layer with `kernel / σ` in place of its `kernel` (or of its `embeddings`). Here `σ = v·W·uᵀ`, where W
    /// is the kernel as a matrix with as many columns as its last axis has, `v = unit(u·Wᵀ)` and `u = unit(v·W)`,
    /// `power_iterations` times, starting from the vector `u` of the step before. Gradients flow through σ, not
    /// through u and v.
    ///
    /// The stored kernel is never changed by this. Training and inference both divide, but only training updates
    /// `vector_u`.
    pub layer SpectralNormalization {
        /// Wraps a layer that has a `kernel` or `embeddings`.
        new(layer: into crate::config::Dyn<dyn Build>);

        /// Number of power iterations per step. Default: `1`.
        power_iterations: usize = 1,
    }
}

impl Build for SpectralNormalization {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        positive("power_iterations", self.power_iterations)?;
        let layer = self.layer.build(inputs, init)?;
        let columns = kernel(&*layer)?.value().dims().last().copied().unwrap_or(1);
        let deviation = TruncatedNormal::new(0.0, 0.02);
        let vector_u = init.state([1, columns], &deviation.into())?;
        Ok(Box::new(SpectralNormalizationNode { layer, vector_u, iterations: self.power_iterations }))
    }
    fn input_names(&self) -> &[&'static str] {
        self.layer.input_names()
    }
    fn positional_names(&self) -> &[&'static str] {
        self.layer.positional_names()
    }
    fn list_names(&self) -> &[&'static str] {
        self.layer.list_names()
    }
}

/// The parameter that is normalized.
fn kernel(layer: &dyn Node) -> Result<Param> {
    let mut found: Option<Param> = None;
    layer.visit(&mut |path, p| {
        if path.as_str() == "kernel" || path.as_str() == "embeddings" && found.is_none() {
            found = Some(p.clone());
        }
    });
    found.ok_or_else(|| {
        Error::argument("layer", "one with a parameter named kernel or embeddings", layer.class_name())
    })
}

/// The layer around the other one.
#[derive(Clone, Debug)]
struct SpectralNormalizationNode {
    layer: Box<dyn Node>,
    vector_u: Param,
    iterations: usize,
}
crate::parts!(SpectralNormalizationNode { layer, vector_u });

impl SpectralNormalizationNode {
    /// Returns the kernel divided by its largest singular value. In training, updates `vector_u`.
    fn normalized(&self, kernel: &Param, cx: &mut Cx) -> Result<Tensor> {
        let kernel = cx.param(kernel)?;
        let matrix = match kernel.rank() {
            1 => kernel.expand_dims(0)?,
            2 => kernel.clone(),
            _ => kernel.merge_axes(0, -2)?,
        };
        let w = matrix.detach();
        let start = cx.state(&self.vector_u);
        let mut u = start.cast(w.dtype())?;
        let mut v = u.clone();
        for _ in 0..self.iterations {
            v = unit(&u.matmul(&w.t()?)?)?;
            u = unit(&v.matmul(&w)?)?;
        }
        let sigma = v.matmul(&matrix)?.mul(&u)?.sum(&[], false)?;
        // A kernel of zeros stays zero.
        let alive = w.any(&[], false)?;
        if cx.is_training() {
            cx.update(&self.vector_u, &alive.choose(&u.cast(start.dtype())?, &start)?);
        }
        kernel.div(&alive.choose(&sigma, &sigma.new_full([], 1.0)?)?)
    }
}

/// Computes `x / |x|`; a vector shorter than 1e-7 is divided by that.
fn unit(x: &Tensor) -> Result<Tensor> {
    let size = x.square()?.sum(&[], false)?;
    x.div(&size.maximum(&size.new_full([], 1e-14)?)?.sqrt()?)
}

impl Node for SpectralNormalizationNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        self.call_raw(x, cx, &[])
    }
    fn call_raw(&self, x: Inputs<'_>, cx: &mut Cx, raw: &[bool]) -> Result<Values> {
        for value in x.values() {
            Masking::Refuse.apply(value.mask.as_ref())?;
        }
        let kernel = kernel(&*self.layer)?;
        let normalized = self.normalized(&kernel, cx)?;
        cx.with_param(&kernel, normalized, |cx| self.layer.call_raw(x, cx, raw))
    }
    fn output_activation(&self, output: usize) -> Option<&dyn Activation> {
        self.layer.output_activation(output)
    }
    fn class_name(&self) -> &'static str {
        "SpectralNormalization"
    }
    fn output_range(&self, output: usize, inputs: &[Option<Range>]) -> Option<Range> {
        self.layer.output_range(output, inputs)
    }
    fn is_row_wise(&self) -> bool {
        self.layer.is_row_wise()
    }
}
