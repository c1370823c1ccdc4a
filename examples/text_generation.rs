//! A small language model: byte pairs are learnt from a nursery rhyme, a transformer learns what follows what, and writes. Runs in seconds.
//!
//! ```text
//! cargo run --release --features text --example text_generation
//! ```

use gradus::generation::Generate;
use gradus::nn::layers::{PositionEmbedding, TransformerDecoder};
use gradus::prelude::*;
use gradus::text::Trainer;
use std::io::Write;
use std::ops::ControlFlow;

const TEXT: &str = "This is the house that Jack built.
This is the malt that lay in the house that Jack built.
This is the rat that ate the malt that lay in the house that Jack built.
This is the cat that killed the rat that ate the malt that lay in the house that Jack built.
This is the dog that worried the cat that killed the rat that ate the malt that lay in the house that Jack built.
";
const WINDOW: usize = 32;

fn main() -> gradus::Result<()> {
    let tokenizer = Trainer::new().vocab_size(320).byte_pair(&[TEXT])?;
    let ids = tokenizer.encode(TEXT)?.ids;
    println!("{} bytes are {} tokens of {}", TEXT.len(), ids.len(), tokenizer.vocab_size());

    // Each window of the text, and the same one token later.
    let all = Tensor::from_slice(&ids, [ids.len()])?;
    let windows: Vec<Tensor> = (0..ids.len() - WINDOW)
        .map(|at| all.slice(0, at as isize, (at + WINDOW + 1) as isize))
        .collect::<Result<_, _>>()?;
    let windows = Tensor::stack(&windows.iter().collect::<Vec<_>>(), 0)?;
    let (x, y) = (windows.slice(1, 0, WINDOW as isize)?, windows.slice(1, 1, WINDOW as isize + 1)?);

    let tokens = Input::with_unknown([None]).dtype(DType::I64);
    let h = Embedding::new(tokenizer.vocab_size(), 64).on(&tokens)?;
    let h = Add::new().on([&h, &PositionEmbedding::new(WINDOW).on(&h)?])?;
    let h = TransformerDecoder::new(128, 4).on(&h)?;
    let network = Functional::new([&tokens], [&Dense::new(tokenizer.vocab_size()).on(&h)?])?.seed(1);
    let loss = SparseCategoricalCrossentropy::new().from_logits(true);
    let mut model = network.compile(Adam::new(0.003), loss, ())?;
    model.fit(&x, &y, Fit::new().epochs(40).batch_size(32).verbose(2))?;

    for (how, settings) in [
        ("the most likely token each time", Generate::new(60)),
        ("drawn from the likely ones", Generate::new(60).temperature(0.8).top_k(20).top_p(0.95).seed(3)),
    ] {
        let prompt = "This is the cat";
        print!("\n{how}: {prompt}");
        let settings = settings.window(WINDOW).stop(tokenizer.token_to_id("\u{10a}")); // the byte of a line's end
        model.generate_with(&[tokenizer.encode(prompt)?.ids], &settings, |token| {
            // A token may be a part of a character; this text has none of several bytes.
            print!("{}", tokenizer.decode(&[token.id]).unwrap_or_default());
            let _ = std::io::stdout().flush();
            ControlFlow::Continue(())
        })?;
    }
    let best = Generate::new(12).beams(4).window(WINDOW);
    println!("\nthe likeliest twelve tokens as a whole:");
    for (tokens, score) in model.beam_search(&tokenizer.encode("This is the dog")?.ids, &best)? {
        println!("{score:8.3} {}", tokenizer.decode(&tokens)?);
    }
    Ok(())
}
