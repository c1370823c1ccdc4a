//! A layer of your own that behaves like one of the library: its settings are declared once, it trains, shows up in the
//! summary, and is saved and loaded. Runs in seconds.
//!
//! ```text
//! cargo run --release --example custom_layer
//! ```

use gradus::Result;
use gradus::config::{Dyn, Registry};
use gradus::io::Load;
use gradus::nn::activation::Activation;
use gradus::nn::initializer::{GlorotUniform, Initializer, Zeros};
use gradus::nn::{Build, Cx, Init, InputSpecs, Layer, Node, Param, features, single};
use gradus::prelude::*;

gradus::settings! {
    /// A gated linear unit, `x·value ⊙ gate(x·gate)`: `[…, inputs]` becomes `[…, units]` (Dauphin et al. 2017).
    pub layer Glu as "example>Glu" {
        /// Creates the layer with `units` outputs.
        new(units: usize);

        /// The function of the gate; sigmoid by default.
        activation: into Dyn<dyn Activation> = Sigmoid,
        /// The initializer of both kernels; Glorot uniform by default.
        kernel_initializer: into Dyn<dyn Initializer> = GlorotUniform,
    }
}

/// The layer with its parameters. Their paths come from the names of the fields: `glu/value`, `glu/gate`, `glu/bias`.
#[derive(Clone, Debug)]
struct GluNode {
    value: Param,
    gate: Param,
    bias: Param,
    activation: Dyn<dyn Activation>,
}
gradus::parts!(GluNode { value, gate, bias });

impl Build for Glu {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let shape = [features("Glu", single(inputs)?)?, self.units];
        Ok(Box::new(GluNode {
            value: init.param(shape, &self.kernel_initializer)?,
            gate: init.param(shape, &self.kernel_initializer)?,
            bias: init.param([self.units], &Zeros.into())?,
            activation: self.activation.clone(),
        }))
    }
}

impl Layer for GluNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let value = x.linear(&cx.param(&self.value)?, Some(&cx.param(&self.bias)?), None)?;
        value.mul(&self.activation.apply(&x.matmul(&cx.param(&self.gate)?)?)?)
    }
    fn class_name(&self) -> &'static str {
        "Glu"
    }
}

fn main() -> Result<()> {
    let (train, test) = datasets::mnist::built_in(2000, 500, 0)?;
    let pixels = |images: &Tensor| images.scale(1.0 / 255.0)?.reshape([-1, 784]);
    let (x_train, x_test) = (pixels(&train.images)?, pixels(&test.images)?);

    let mut model = Sequential::new()
        .add(Input::new([784]))
        .add(Glu::new(64).named("gated"))
        .add(Glu::new(32).activation(Relu))
        .add(Dense::new(10).activation(Softmax))
        .compile(Adam::new(0.001), SparseCategoricalCrossentropy::new(), [Accuracy::new()])?;
    model.summary();
    model.fit(&x_train, &train.labels, Fit::new().epochs(3).verbose(2))?;

    // A file names layers; the reader says which of its own types a file may name.
    let file = std::env::temp_dir().join(format!("gradus-custom-layer-{}.gradus", std::process::id()));
    model.save(&file)?;
    let load = Load::new().registry(Registry::new().layer::<Glu>()?);
    let again = Model::load_with(&file, load);
    std::fs::remove_file(&file)
        .map_err(|source| gradus::Error::Io { path: file.display().to_string(), source })?;
    assert!(again?.predict(&x_test)?.same_bits(&model.predict(&x_test)?));
    println!(
        "test accuracy {:.3}, the same after loading",
        model.evaluate(&x_test, &test.labels)?["accuracy"]
    );
    Ok(())
}
