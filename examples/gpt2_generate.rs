//! GPT-2 goes on with a text. Weights are the file `model.safetensors` of Hugging Face's `gpt2`, the tokenizer its `tokenizer.json`:
//!
//! ```text
//! cargo run --release --features text --example gpt2_generate -- --weights model.safetensors --tokenizer tokenizer.json --prompt "The sea"
//! ```
//!
//! Without the two a small network of random numbers, whose tokens are bytes, writes nonsense, and says so. Options:
//! `--weights FILE --tokenizer FILE --prompt TEXT --tokens N --temperature T --threads N --seed N`.

use gradus::applications::GPT2;
use gradus::generation::Generate;
use gradus::prelude::*;
use std::io::Write;
use std::ops::ControlFlow;

/// What can be given.
const OPTIONS: &str =
    "--weights FILE --tokenizer FILE --prompt TEXT --tokens N --temperature T --threads N --seed N";

struct Args {
    weights: Option<String>,
    tokenizer: Option<String>,
    prompt: String,
    tokens: usize,
    temperature: f64,
    threads: Option<usize>,
    seed: u64,
}

fn args() -> Result<Args, String> {
    let prompt = "The sea was calm, and".to_string();
    let mut args =
        Args { weights: None, tokenizer: None, prompt, tokens: 40, temperature: 0.8, threads: None, seed: 0 };
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
        let above_0 = || match value.parse::<f64>() {
            Ok(n) if n > 0.0 && n.is_finite() => Ok(n),
            _ => Err(format!("{name} needs a number above 0, got '{value}'")),
        };
        match name.as_str() {
            "--weights" => args.weights = Some(value),
            "--tokenizer" => args.tokenizer = Some(value),
            "--prompt" => args.prompt = value,
            "--tokens" => args.tokens = number(1)? as usize,
            "--temperature" => args.temperature = above_0()?,
            "--threads" => args.threads = Some(number(1)? as usize),
            "--seed" => args.seed = number(0)?,
            _ => return Err(format!("unknown option {name}: {OPTIONS}")),
        }
    }
    Ok(args)
}

/// Turns texts into numbers of tokens and back.
enum Tokens {
    #[cfg(feature = "text")]
    Read(Box<gradus::text::Tokenizer>),
    Bytes,
}

impl Tokens {
    fn of(path: Option<&str>) -> Result<Tokens, Box<dyn std::error::Error>> {
        match path {
            None => Ok(Tokens::Bytes),
            #[cfg(feature = "text")]
            Some(path) => Ok(Tokens::Read(Box::new(gradus::text::Tokenizer::read(
                path,
                &gradus::io::Limits::default(),
            )?))),
            #[cfg(not(feature = "text"))]
            Some(_) => Err("a tokenizer is read with --features text".into()),
        }
    }
    fn encode(&self, text: &str) -> gradus::Result<Vec<i64>> {
        match self {
            #[cfg(feature = "text")]
            Tokens::Read(tokenizer) => Ok(tokenizer.encode(text)?.ids),
            Tokens::Bytes => Ok(text.bytes().map(i64::from).collect()),
        }
    }
    fn decode(&self, ids: &[i64]) -> gradus::Result<String> {
        match self {
            #[cfg(feature = "text")]
            Tokens::Read(tokenizer) => tokenizer.decode(ids),
            Tokens::Bytes => {
                Ok(String::from_utf8_lossy(&ids.iter().map(|&id| id as u8).collect::<Vec<_>>()).into())
            }
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = args()?;
    if args.weights.is_some() != args.tokenizer.is_some() {
        return Err("--weights and --tokenizer belong together: the one's tokens are the other's".into());
    }
    let tokens = Tokens::of(args.tokenizer.as_deref())?;
    match args.threads {
        Some(n) => with_threads(n, || run(&args, &tokens))??,
        None => run(&args, &tokens)?,
    }
    Ok(())
}

fn run(args: &Args, tokens: &Tokens) -> gradus::Result<()> {
    let gpt2 = GPT2::new().cache(true).seed(args.seed);
    let network = match &args.weights {
        Some(path) => gpt2.weights(path).build()?,
        None => {
            println!("no --weights: a small network of random numbers writes nonsense");
            let small =
                gpt2.vocabulary_size(256).num_layers(2).num_heads(2).hidden_dim(64).intermediate_dim(128);
            small.build()?
        }
    };
    println!("{} parameters", network.count_params());

    let prompt = tokens.encode(&args.prompt)?;
    print!("{}", args.prompt);
    let settings =
        Generate::new(args.tokens).temperature(args.temperature).top_k(50).seed(args.seed).use_cache(true);
    let began = std::time::Instant::now();
    let mut written = 0;
    network.generate_with(&[prompt], &settings, |token| {
        print!("{}", tokens.decode(&[token.id]).unwrap_or_default());
        let _ = std::io::stdout().flush();
        written += 1;
        ControlFlow::Continue(())
    })?;
    println!("\n{:.1} tokens/s", f64::from(written) / began.elapsed().as_secs_f64());
    Ok(())
}
