//! A network as a struct with a list of blocks and a `forward` in plain Rust: a deep residual network whose blocks build
//! themselves for the shape that reaches them. Runs in seconds.
//!
//! ```text
//! cargo run --release --example blocks
//! ```

use gradus::Result;
use gradus::nn::{Cx, Layer, Part, Subclass};
use gradus::prelude::*;

/// `x + narrow(wide(x))`.
#[derive(Clone, Debug)]
struct Block {
    wide: Part,
    narrow: Part,
}
gradus::parts!(Block { wide, narrow });

impl Block {
    fn new(width: usize) -> Block {
        Block {
            wide: Part::new(Dense::new(2 * width).activation(Gelu)),
            narrow: Part::new(Dense::new(width)),
        }
    }
}

impl Layer for Block {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        x.add(&self.narrow.forward(&self.wide.forward(x, cx)?, cx)?)
    }
}

/// A first layer, twelve equal blocks, a last layer.
#[derive(Clone, Debug)]
struct Residual {
    entrance: Part,
    blocks: Vec<Block>,
    exit: Part,
}
gradus::parts!(Residual { entrance, blocks, exit });

impl Layer for Residual {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        let mut h = self.entrance.forward(x, cx)?;
        for block in &self.blocks {
            h = block.forward(&h, cx)?;
        }
        self.exit.forward(&h, cx)
    }
}

fn main() -> Result<()> {
    let (train, test) = datasets::mnist::built_in(4000, 1000, 0)?;
    let pixels = |images: &Tensor| images.scale(1.0 / 255.0)?.reshape([-1, 784]);
    let (x_train, x_test) = (pixels(&train.images)?, pixels(&test.images)?);

    // Cloning a block that is not built yet gives twelve different blocks; a built one would be the same block
    // twelve times, which is an error.
    let network = Residual {
        entrance: Part::new(Dense::new(32)),
        blocks: vec![Block::new(32); 12],
        exit: Part::new(Dense::new(10).activation(Softmax)),
    };
    let mut model = Subclass::new([Input::new([784])], network).seed(7).compile(
        Adam::new(0.001),
        SparseCategoricalCrossentropy::new(),
        [Accuracy::new()],
    )?;
    model.summary();
    println!("{}", model.params().iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>()[2..6].join(", "));
    model.fit(&x_train, &train.labels, Fit::new().epochs(3).verbose(2))?;
    println!("test accuracy {:.3}", model.evaluate(&x_test, &test.labels)?["accuracy"]);
    Ok(())
}
