//! Two networks that train against each other (Goodfellow et al. 2014), with a hand-written loop: a generator
//! learns to draw numbers that a discriminator cannot tell from those of a normal distribution around 3. The mean
//! of what it draws oscillates around 3, as such games do. Runs in seconds.
//!
//! ```text
//! cargo run --release --example custom_training
//! ```

use gradus::loss::{BinaryCrossentropy, Loss};
use gradus::nn::Cx;
use gradus::optim::Driver;
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};

const BATCH: usize = 64;
const NOISE: usize = 4;

/// A network of one hidden layer, and its optimizer.
struct Player {
    network: Network,
    optimizer: Driver,
}

impl Player {
    fn new(inputs: usize, seed: u64) -> gradus::Result<Player> {
        let layers = Sequential::new().add(Input::new([inputs])).add(Dense::new(16).activation(Tanh));
        let network = layers.add(Dense::new(1)).seed(seed).build()?;
        Ok(Player { network, optimizer: Driver::new(Adam::new(0.003).clipnorm(1.0)) })
    }
}

/// Standard normal numbers, the same for the same step.
fn normal(step: u64, columns: usize) -> gradus::Result<Tensor> {
    let stream = Stream::new(1, Purpose::Layer(columns as u32), step);
    let values: Vec<f32> = (0..BATCH * columns).map(|i| stream.normal(i as u64) as f32).collect();
    Tensor::from_slice(&values, [BATCH, columns])
}

fn main() -> gradus::Result<()> {
    let (mut generator, mut discriminator) = (Player::new(NOISE, 1)?, Player::new(1, 2)?);
    let loss_fn = BinaryCrossentropy::new().from_logits(true);
    let (yes, no) = (Tensor::ones([BATCH, 1])?, Tensor::zeros([BATCH, 1])?);
    for step in 0..2000 {
        let real = normal(step, 1)?.affine(0.5, 3.0)?;
        let noise = normal(step, NOISE)?;

        // The discriminator learns first. The generator runs in inference mode, so no gradient flows back into it;
        // the gradients of real and fake rows are added.
        let mut cx = Cx::train(1, step);
        let fake = generator.network.forward(&noise, &mut Cx::infer())?;
        let on_real = loss_fn.value(&yes, &discriminator.network.forward(&real, &mut cx)?, None)?;
        let on_fake = loss_fn.value(&no, &discriminator.network.forward(&fake, &mut cx)?, None)?;
        let mut gradients = on_real.backward()?;
        gradients.merge(on_fake.backward()?)?;
        discriminator.optimizer.step(&mut discriminator.network, gradients, false)?;

        // Then the generator, through a discriminator whose parameters are read but not tracked.
        let fake = generator.network.forward(&noise, &mut Cx::train(2, step))?;
        let fooled = discriminator.network.forward(&fake, &mut Cx::infer())?;
        let loss = loss_fn.value(&yes, &fooled, None)?;
        if step % 250 == 0 {
            println!("step {step}: mean {:.3}, loss {:.3}", fake.mean(&[], false)?.item()?, loss.item()?);
        }
        generator.optimizer.step(&mut generator.network, loss.backward()?, false)?;
    }
    let drawn = generator.network.forward(&normal(1000, NOISE)?, &mut Cx::infer())?;
    println!("the generator draws around {:.3}; the truth is 3", drawn.mean(&[], false)?.item()?);
    Ok(())
}
