//! A small GPT that learns a text character by character, then writes: nanoGPT's configuration for a CPU (four blocks, four heads, width 128,
//! 64 characters of context, batches of 12, 2,000 steps).
//!
//! ```text
//! cargo run --release --example char_gpt -- --data input.txt
//! ```
//!
//! Without `--data` it looks for Tiny Shakespeare in `../shared/data/tinyshakespeare/input.txt` and otherwise learns a few nursery rhymes that
//! stand in this file; it says which. Options: `--data FILE --steps N --threads N --seed N`. It prints
//! `validation loss`, over the whole last tenth of the text.

use gradus::applications::GPT2;
use gradus::generation::Generate;
use gradus::optim::schedule::{CosineDecay, LinearWarmup};
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};
use std::io::Write;
use std::ops::ControlFlow;

const CONTEXT: usize = 64;
const BATCH: usize = 12;

/// Where the text is looked for.
const SHAKESPEARE: &str = "../shared/data/tinyshakespeare/input.txt";

const RHYMES: &str = "Humpty Dumpty sat on a wall,
Humpty Dumpty had a great fall.
All the king's horses and all the king's men
Couldn't put Humpty together again.

Hickory, dickory, dock,
The mouse ran up the clock.
The clock struck one, the mouse ran down,
Hickory, dickory, dock.

Jack and Jill went up the hill
To fetch a pail of water.
Jack fell down and broke his crown,
And Jill came tumbling after.

Little Miss Muffet sat on a tuffet,
Eating her curds and whey;
There came a big spider, who sat down beside her
And frightened Miss Muffet away.
";

/// What can be given.
const OPTIONS: &str = "--data FILE --steps N --threads N --seed N";

struct Args {
    data: Option<String>,
    steps: u64,
    threads: Option<usize>,
    seed: u64,
}

fn args() -> Result<Args, String> {
    let mut args = Args { data: None, steps: 2000, threads: None, seed: 0 };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        if name == "--help" {
            println!("Options: {OPTIONS}");
            std::process::exit(0);
        }
        let value = given.next().ok_or(format!("{name} needs a value"))?;
        let number = |least: u64| match value.parse::<u64>() {
            Ok(n) if n >= least => Ok(n),
            _ => Err(format!("{name} needs a whole number of at least {least}, got '{value}'")),
        };
        match name.as_str() {
            "--data" => args.data = Some(value),
            "--steps" => args.steps = number(0)?,
            "--threads" => args.threads = Some(number(1)? as usize),
            "--seed" => args.seed = number(0)?,
            _ => return Err(format!("unknown option {name}: {OPTIONS}")),
        }
    }
    Ok(args)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = args()?;
    let found = std::path::Path::new(SHAKESPEARE).exists().then(|| SHAKESPEARE.to_string());
    let text = match args.data.as_ref().or(found.as_ref()) {
        Some(path) => {
            println!("{path}");
            std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?
        }
        None => {
            println!("no --data: a few nursery rhymes, again and again");
            RHYMES.repeat(20)
        }
    };
    // A tenth of it must be longer than one context.
    let least = 10 * (CONTEXT + 2);
    if text.chars().count() < least {
        return Err(format!("a text of at least {least} characters is needed").into());
    }
    match args.threads {
        Some(n) => with_threads(n, || run(&args, &text))??,
        None => run(&args, &text)?,
    }
    Ok(())
}

/// Windows of the text, of this length, that begin at these characters, and the same one character later.
fn windows(all: &Tensor, starts: &[i64], length: usize) -> gradus::Result<(Tensor, Tensor)> {
    let rows = Tensor::from_slice(starts, [starts.len(), 1])?;
    let both = all.index((rows + Tensor::arange(length + 1)?,))?;
    let length = length as isize;
    Ok((both.slice(1, 0, length)?.contiguous()?, both.slice(1, 1, length + 1)?.contiguous()?))
}

fn run(args: &Args, text: &str) -> gradus::Result<()> {
    let mut characters: Vec<char> = text.chars().collect();
    let ids: Vec<char> = characters.clone();
    characters.sort_unstable();
    characters.dedup();
    let number = |c: &char| characters.binary_search(c).unwrap_or(0) as i64;
    let ids: Vec<i64> = ids.iter().map(number).collect();
    let (train, validation) = ids.split_at(ids.len() * 9 / 10);
    println!("{} characters of {} kinds", ids.len(), characters.len());

    let network = GPT2::new()
        .vocabulary_size(characters.len())
        .num_layers(4)
        .num_heads(4)
        .hidden_dim(128)
        .intermediate_dim(512)
        .max_sequence_length(CONTEXT)
        .activation(Gelu)
        .dropout(0.0)
        .seed(args.seed)
        .build()?;
    // nanoGPT's: warmed up for 100 steps, then down to a tenth along a cosine; what is no matrix does not decay.
    let rate =
        LinearWarmup::new(100, CosineDecay::new(0.001, args.steps.saturating_sub(100).max(1)).alpha(0.1));
    let optimizer = AdamW::new(rate).beta_2(0.99).weight_decay(0.1);
    let optimizer = optimizer.exclude_from_weight_decay(["bias", "gamma", "beta"]).global_clipnorm(1.0);
    let mut model = network.compile(optimizer, SparseCategoricalCrossentropy::new().from_logits(true), ())?;

    let all = Tensor::from_slice(train, [train.len()])?;
    let places = train.len().saturating_sub(CONTEXT + 1).max(1) as f64;
    let began = std::time::Instant::now();
    for step in 0..args.steps {
        let drawn = Stream::new(args.seed, Purpose::User(1), step);
        let starts: Vec<i64> = (0..BATCH as u64).map(|row| (drawn.uniform(row) * places) as i64).collect();
        let (x, y) = windows(&all, &starts, CONTEXT)?;
        let logs = model.train_on_batch(&x, &y)?;
        if (step + 1) % 200 == 0 || step + 1 == args.steps {
            println!("step {}: loss {:.3}, {:.0} s", step + 1, logs["loss"], began.elapsed().as_secs_f64());
        }
    }

    let all = Tensor::from_slice(validation, [validation.len()])?;
    // Windows side by side, then what is left over: every character but the first is foretold once and weighs the same.
    let foretold = validation.len() - 1;
    let starts: Vec<i64> = (0..(foretold / CONTEXT) as i64).map(|window| window * CONTEXT as i64).collect();
    let (rest, last) = (foretold % CONTEXT, (foretold - foretold % CONTEXT) as i64);
    let mut sum = 0.0;
    for (starts, length) in [(starts, CONTEXT), (vec![last], rest)] {
        if length > 0 && !starts.is_empty() {
            let (x, y) = windows(&all, &starts, length)?;
            sum += model.evaluate(&x, &y)?["loss"] * (starts.len() * length) as f64;
        }
    }
    println!("validation loss {:.4}", sum / foretold as f64);

    let settings = Generate::new(400).temperature(0.8).top_k(40).window(CONTEXT).seed(args.seed);
    model.generate_with(&[[ids[0]]], &settings, |token| {
        print!("{}", characters.get(token.id as usize).unwrap_or(&'?'));
        let _ = std::io::stdout().flush();
        ControlFlow::Continue(())
    })?;
    println!();
    Ok(())
}
