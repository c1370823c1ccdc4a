//! A small language model: a transformer learns from a nursery rhyme what follows what, and writes. Runs in seconds.
//!
//! ```text
//! cargo run --release --example text_generation                    # of characters
//! cargo run --release --features text --example text_generation    # of byte pairs, learnt from the text too
//! ```

use gradus::Result;
use gradus::generation::Generate;
use gradus::nn::layers::{PositionEmbedding, TransformerDecoder};
use gradus::prelude::*;
use std::io::Write;
use std::ops::ControlFlow;

const TEXT: &str = "This is the house that Jack built.
This is the malt that lay in the house that Jack built.
This is the rat that ate the malt that lay in the house that Jack built.
This is the cat that killed the rat that ate the malt that lay in the house that Jack built.
This is the dog that worried the cat that killed the rat that ate the malt that lay in the house that Jack built.
";
const WINDOW: usize = 32;

/// What the text is made of.
#[cfg(feature = "text")]
struct Tokens(gradus::text::Tokenizer);

#[cfg(feature = "text")]
impl Tokens {
    fn of(text: &str) -> Result<Tokens> {
        Ok(Tokens(gradus::text::Trainer::new().vocab_size(320).byte_pair(&[text])?))
    }
    fn count(&self) -> usize {
        self.0.vocab_size()
    }
    fn encode(&self, text: &str) -> Result<Vec<i64>> {
        Ok(self.0.encode(text)?.ids)
    }
    fn decode(&self, ids: &[i64]) -> Result<String> {
        self.0.decode(ids)
    }
}

/// What the text is made of: its characters.
#[cfg(not(feature = "text"))]
struct Tokens(Vec<char>);

#[cfg(not(feature = "text"))]
impl Tokens {
    fn of(text: &str) -> Result<Tokens> {
        Ok(Tokens(std::collections::BTreeSet::from_iter(text.chars()).into_iter().collect()))
    }
    fn count(&self) -> usize {
        self.0.len()
    }
    fn encode(&self, text: &str) -> Result<Vec<i64>> {
        Ok(text
            .chars()
            .filter_map(|c| self.0.iter().position(|known| *known == c))
            .map(|i| i as i64)
            .collect())
    }
    fn decode(&self, ids: &[i64]) -> Result<String> {
        Ok(ids.iter().filter_map(|&id| self.0.get(id as usize)).collect())
    }
}

fn main() -> Result<()> {
    let tokens = Tokens::of(TEXT)?;
    let ids = tokens.encode(TEXT)?;
    println!("{} bytes are {} tokens of {}", TEXT.len(), ids.len(), tokens.count());

    // Each window of the text, and the same one token later.
    let all = Tensor::from_slice(&ids, [ids.len()])?;
    let windows: Vec<Tensor> = (0..ids.len() - WINDOW)
        .map(|at| all.slice(0, at as isize, (at + WINDOW + 1) as isize))
        .collect::<Result<_>>()?;
    let windows = Tensor::stack(&windows.iter().collect::<Vec<_>>(), 0)?;
    let (x, y) = (windows.slice(1, 0, WINDOW as isize)?, windows.slice(1, 1, WINDOW as isize + 1)?);

    let input = Input::with_unknown([None]).dtype(DType::I64);
    let h = Embedding::new(tokens.count(), 64).on(&input)?;
    let h = Add::new().on([&h, &PositionEmbedding::new(WINDOW).on(&h)?])?;
    let h = TransformerDecoder::new(128, 4).on(&h)?;
    let network = Functional::new([&input], [&Dense::new(tokens.count()).on(&h)?])?.seed(1);
    let loss = SparseCategoricalCrossentropy::new().from_logits(true);
    let mut model = network.compile(Adam::new(0.003), loss, ())?;
    model.fit(&x, &y, Fit::new().epochs(40).batch_size(32).verbose(2))?;

    for (how, settings) in [
        ("the most likely token each time", Generate::new(60)),
        ("drawn from the likely ones", Generate::new(60).temperature(0.8).top_k(20).top_p(0.95).seed(3)),
    ] {
        let prompt = "This is the cat";
        print!("\n{how}: {prompt}");
        model.generate_with(&[tokens.encode(prompt)?], &settings.window(WINDOW), |token| {
            // A token may be a part of a character; this text has none of several bytes.
            let piece = tokens.decode(&[token.id]).unwrap_or_default();
            print!("{piece}");
            let _ = std::io::stdout().flush();
            if piece.contains('\n') { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
    }
    println!("\nthe likeliest twelve tokens as a whole:");
    let best = Generate::new(12).beams(4).window(WINDOW);
    for (found, score) in model.beam_search(&tokens.encode("This is the dog")?, &best)? {
        println!("{score:8.3} {}", tokens.decode(&found)?);
    }
    Ok(())
}
