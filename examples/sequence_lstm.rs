//! A recurrent network that reads sums such as `27+358` digit by digit and says what they are: Keras's addition example, with an LSTM that
//! reads and an LSTM that writes. Runs in a minute.
//!
//! `cargo run --release --example sequence_lstm`; options: `--epochs N --threads N --seed N`.

use gradus::prelude::*;

const CHARACTERS: &str = "0123456789+ ";
const DIGITS: usize = 2;
const QUESTION: usize = 2 * DIGITS + 1;
const ANSWER: usize = DIGITS + 1;

/// What can be given.
const OPTIONS: &str = "--epochs N --threads N --seed N";

struct Args {
    epochs: usize,
    threads: Option<usize>,
    seed: u64,
}

fn args() -> Result<Args, String> {
    let mut args = Args { epochs: 30, threads: None, seed: 0 };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        if name == "--help" {
            println!("Options: {OPTIONS}");
            std::process::exit(0);
        }
        let value = given.next().ok_or(format!("{name} needs a value"))?;
        let number = |least: usize| match value.parse::<usize>() {
            Ok(n) if n >= least => Ok(n),
            _ => Err(format!("{name} needs a whole number of at least {least}, got '{value}'")),
        };
        match name.as_str() {
            "--epochs" => args.epochs = number(1)?,
            "--threads" => args.threads = Some(number(1)?),
            "--seed" => args.seed = number(0)? as u64,
            _ => return Err(format!("unknown option {name}: {OPTIONS}")),
        }
    }
    Ok(args)
}

/// A text as the numbers of its characters, with blanks up to this length.
fn numbers(text: &str, length: usize) -> Vec<i64> {
    let number = |c: char| CHARACTERS.find(c).unwrap_or(0) as i64;
    format!("{text:<length$}").chars().map(number).collect()
}

fn text(numbers: &[i64]) -> String {
    numbers.iter().filter_map(|&n| CHARACTERS.chars().nth(n as usize)).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = args()?;
    match args.threads {
        Some(n) => with_threads(n, || run(&args))??,
        None => run(&args)?,
    }
    Ok(())
}

fn run(args: &Args) -> gradus::Result<()> {
    // Every sum of two numbers once, in an order of chance; a tenth is never shown.
    let most = 10i64.pow(DIGITS as u32);
    let (mut questions, mut answers) = (Vec::new(), Vec::new());
    for (a, b) in (0..most).flat_map(|a| (0..most).map(move |b| (a, b))) {
        questions.extend(numbers(&format!("{a}+{b}"), QUESTION));
        answers.extend(numbers(&(a + b).to_string(), ANSWER));
    }
    let n = (most * most) as usize;
    let order = Tensor::permutation(n, args.seed)?;
    let rows = |t: &Tensor| t.index((&order,));
    let x = rows(&Tensor::from_slice(&questions, [n, QUESTION])?)?;
    let y = rows(&Tensor::from_slice(&answers, [n, ANSWER])?)?;

    let stack = Sequential::new()
        .add(Input::new(QUESTION).dtype(DType::I64))
        .add(Embedding::new(CHARACTERS.len(), 16))
        .add(LSTM::new(128))
        .add(RepeatVector::new(ANSWER))
        .add(LSTM::new(128).return_sequences(true))
        .add(Dense::new(CHARACTERS.len()).activation(Softmax))
        .seed(args.seed);
    let mut model = stack.compile(Adam::new(0.003), "sparse_categorical_crossentropy", ["accuracy"])?;
    model.summary();
    let settings = Fit::new().epochs(args.epochs).batch_size(64).validation_split(0.1).verbose(2);
    model.fit(&x, &y, settings)?;

    let hidden = (n * 9 / 10) as isize;
    let (x, y) = (x.slice(0, hidden, n as isize)?, y.slice(0, hidden, n as isize)?);
    let said = model.predict(&x)?.argmax(-1)?;
    let right = said.equal(&y)?.all(&[-1], false)?.cast(DType::F64)?.mean(&[], false)?.item()?;
    let (x, said) = (x.to_vec::<i64>()?, said.to_vec::<i64>()?);
    for row in 0..5 {
        println!("{} = {}", text(&x[row * QUESTION..][..QUESTION]), text(&said[row * ANSWER..][..ANSWER]));
    }
    println!(
        "whole answers right among {} that were never shown: {:.1} %",
        n - hidden as usize,
        100.0 * right
    );
    Ok(())
}
