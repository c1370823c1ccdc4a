//! Generation against what can be said without it: the largest logit of a whole pass, an exhaustive search, distributions worked out by
//! hand.

use gradus::generation::Generate;
use gradus::nn::layers::TransformerDecoder;
use gradus::prelude::*;
use std::ops::ControlFlow;

fn tokens() -> Input {
    Input::with_unknown([None]).dtype(DType::I64)
}

/// A causal network with attention, with or without a cache, and an output for each position.
fn decoder(cache: Option<usize>) -> Network {
    let block = TransformerDecoder::new(16, 2);
    let block = match cache {
        Some(n) => block.cache(n),
        None => block,
    };
    let stack =
        Sequential::new().add(tokens()).add(Embedding::new(7, 8)).add(block).add(Dense::new(7)).seed(5);
    stack.build().unwrap()
}

fn recurrent(stateful: bool) -> Network {
    let gru = GRU::new(9).return_sequences(true).stateful(stateful);
    let stack = Sequential::new().add(tokens()).add(Embedding::new(7, 4)).add(gru);
    stack.add(Dense::new(7).activation(Softmax)).seed(2).build().unwrap()
}

/// The logits after each prefix, of one whole pass.
fn argmax_of_whole(network: &Network, prompt: &[i64], n: usize) -> Vec<i64> {
    let mut all = prompt.to_vec();
    for _ in 0..n {
        let y = network.predict(&Tensor::from_slice(&all, [1, all.len()]).unwrap()).unwrap();
        let last = y.select(1, -1).unwrap();
        all.push(last.argmax(-1).unwrap().to_vec::<i64>().unwrap()[0]);
    }
    all
}

#[test]
fn the_most_likely_token_is_that_of_a_whole_pass() {
    let prompts = [vec![1i64, 2, 3], vec![6], vec![4, 4, 4], vec![0, 5]];
    for network in [decoder(None), decoder(Some(32)), recurrent(false), recurrent(true)] {
        let expected: Vec<Vec<i64>> = prompts.iter().map(|p| argmax_of_whole(&network, p, 12)).collect();
        let settings = Generate::new(12);
        assert_eq!(network.generate(&prompts, &settings).unwrap(), expected);
        assert_eq!(network.generate(&prompts, &settings.clone().use_cache(false)).unwrap(), expected);
        assert_eq!(
            gradus::with_threads(3, || network.generate(&prompts, &settings)).unwrap().unwrap(),
            expected
        );
    }
    // With the cache the logits of each step are the bits of a whole pass.
    let (network, prompt) = (decoder(Some(32)), [1i64, 2, 3, 4, 5]);
    let mut session = gradus::nn::Session::new();
    let x = |ids: &[i64]| Tensor::from_slice(ids, [1, ids.len()]).unwrap();
    network.predict_in(&mut session, &x(&prompt[..2])).unwrap();
    let step = network.predict_in(&mut session, &x(&prompt[2..])).unwrap();
    let whole = network.predict(&x(&prompt)).unwrap();
    assert!(step.select(1, -1).unwrap().same_bits(&whole.select(1, -1).unwrap()));
}

/// A network of which one layer carries state and another looks back without is given the whole sequence.
#[test]
fn layers_that_forget_are_noticed() {
    let stack = Sequential::new()
        .add(tokens())
        .add(Embedding::new(7, 4))
        .add(GRU::new(9).return_sequences(true).stateful(true))
        .add(LSTM::new(9).return_sequences(true))
        .add(Dense::new(7))
        .seed(3);
    let network = stack.build().unwrap();
    let expected = argmax_of_whole(&network, &[1, 2, 3], 10);
    assert_eq!(network.generate(&[[1, 2, 3]], &Generate::new(10)).unwrap(), [expected]);
    let e = recurrent(false).generate(&[[1]], &Generate::new(2).use_cache(true)).unwrap_err().to_string();
    assert!(e.starts_with("use_cache: expected layers that carry state"), "{e}");
}

#[test]
fn windows_and_padding_are_what_the_network_takes() {
    // A window of 3: what is before it does not matter.
    let network = decoder(None);
    let mut expected = vec![1i64, 2, 3, 4];
    for _ in 0..6 {
        let next = argmax_of_whole(&network, &expected[expected.len() - 3..], 1)[3];
        expected.push(next);
    }
    assert_eq!(network.generate(&[[1, 2, 3, 4]], &Generate::new(6).window(3)).unwrap(), [expected]);
    // An input of five tokens and an output for the last.
    let stack = Sequential::new()
        .add(Input::new([5]).dtype(DType::I64))
        .add(Embedding::new(7, 4))
        .add(Flatten::new());
    let fixed = stack.add(Dense::new(7)).seed(1).build().unwrap();
    let e = fixed.generate(&[[1, 2]], &Generate::new(2)).unwrap_err().to_string();
    assert!(e.contains("at least 5 tokens") && e.contains(".pad(token)"), "{e}");
    let found = fixed.generate(&[[1, 2]], &Generate::new(4).pad(0)).unwrap();
    let mut expected = vec![0i64, 0, 0, 1, 2];
    for i in 0..4 {
        let y = fixed.predict(&Tensor::from_slice(&expected[i..], [1, 5]).unwrap()).unwrap();
        expected.push(y.argmax(-1).unwrap().to_vec::<i64>().unwrap()[0]);
    }
    assert_eq!(found[0], expected[3..]);
}

#[test]
fn distributions_are_those_worked_out_by_hand() {
    let logits: Vec<f64> = (0..50).map(|i| gradus::random::Stream::from(4).normal(i) * 2.0).collect();
    for (k, p, t) in [
        (None, None, 1.0),
        (Some(5), None, 0.7),
        (None, Some(0.6), 1.3),
        (Some(20), Some(0.9), 2.0),
        (Some(500), Some(1.0), 1.0),
        (None, Some(1e-9), 1.0),
    ] {
        let mut settings = Generate::new(1).temperature(t);
        settings = if let Some(k) = k { settings.top_k(k) } else { settings };
        settings = if let Some(p) = p { settings.top_p(p) } else { settings };
        let found = settings.probabilities(&logits).unwrap();
        // Softmax, sorted, cut after k, then after the first that brings the sum to p.
        let mut all: Vec<(f64, usize)> =
            logits.iter().enumerate().map(|(i, l)| (libm::exp(l / t), i)).collect();
        all.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap());
        all.truncate(k.unwrap_or(50));
        let sum: f64 = all.iter().map(|a| a.0).sum();
        let mut kept = Vec::new();
        let mut so_far = 0.0;
        for (e, i) in all {
            kept.push((e, i));
            so_far += e / sum;
            if so_far >= p.unwrap_or(2.0) {
                break;
            }
        }
        let sum: f64 = kept.iter().map(|a| a.0).sum();
        let mut expected = vec![0.0; 50];
        kept.iter().for_each(|(e, i)| expected[*i] = e / sum);
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{k:?} {p:?} {t}");
    }
    // What is drawn has that distribution.
    let network = Sequential::new().add(tokens()).add(Embedding::new(4, 4)).seed(8).build().unwrap();
    let logits = network.predict(&Tensor::from_slice(&[2i64], [1, 1]).unwrap()).unwrap();
    let logits: Vec<f64> = logits.to_vec::<f32>().unwrap().iter().map(|l| f64::from(*l) * 20.0).collect();
    let settings = Generate::new(1).temperature(0.05).top_k(3).seed(1);
    let expected = Generate::new(1).top_k(3).probabilities(&logits).unwrap();
    let prompts = vec![[2i64]; 4000];
    let mut counts = [0.0; 4];
    network
        .generate(&prompts, &settings)
        .unwrap()
        .iter()
        .for_each(|row| counts[row[1] as usize] += 1.0 / 4000.0);
    assert!(counts.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 0.03), "{counts:?} {expected:?}");
}

#[test]
fn what_is_drawn_depends_on_seed_row_and_position_alone() {
    let network = decoder(Some(40));
    let settings = Generate::new(15).temperature(1.2).seed(7);
    let prompts = [vec![1i64, 2], vec![3, 4, 5], vec![1, 2]];
    let all = network.generate(&prompts, &settings).unwrap();
    assert_ne!(all[0], all[2], "rows draw different numbers");
    assert_eq!(network.generate(&prompts[..1], &settings).unwrap()[0], all[0]);
    assert_eq!(gradus::with_threads(1, || network.generate(&prompts, &settings)).unwrap().unwrap(), all);
    assert_eq!(network.generate(&prompts, &settings.clone().use_cache(false)).unwrap(), all);
    assert_ne!(network.generate(&prompts, &settings.clone().seed(8)).unwrap(), all);
    // Tokens are handed over as they are written, and the closure can end all.
    let mut seen = vec![Vec::new(); 3];
    let mut count = 0;
    let part = network.generate_with(&prompts, &settings, |token| {
        assert_eq!(seen[token.row].len(), token.position);
        seen[token.row].push(token.id);
        count += 1;
        if count == 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    for (row, (written, prompt)) in part.unwrap().iter().zip(&prompts).enumerate() {
        assert_eq!(written[prompt.len()..], seen[row]);
        assert!(all[row].starts_with(written));
    }
}

#[test]
fn a_stop_token_ends_its_row_alone() {
    for network in [decoder(None), decoder(Some(60))] {
        let prompts = [[1i64], [2], [3], [4], [5], [6]];
        let free = network.generate(&prompts, &Generate::new(30).temperature(2.0).seed(3)).unwrap();
        let stopped =
            network.generate(&prompts, &Generate::new(30).temperature(2.0).seed(3).stop([0, 3])).unwrap();
        for (free, stopped) in free.iter().zip(&stopped) {
            let end = free[1..].iter().position(|t| [0, 3].contains(t)).map_or(31, |at| at + 2);
            assert_eq!(*stopped, free[..end]);
        }
    }
}

/// The logarithm of the probability of what follows the prompt.
fn score(network: &Network, all: &[i64], prompt: usize) -> f64 {
    let y = network.predict(&Tensor::from_slice(all, [1, all.len()]).unwrap()).unwrap();
    let logp = y.cast(DType::F64).unwrap().log_softmax(-1).unwrap().to_vec::<f64>().unwrap();
    (prompt..all.len()).map(|at| logp[(at - 1) * 3 + all[at] as usize]).sum()
}

#[test]
fn beam_search_finds_what_an_exhaustive_search_finds() {
    for cache in [false, true] {
        let gru = GRU::new(6).return_sequences(true).stateful(cache);
        let stack =
            Sequential::new().add(tokens()).add(Embedding::new(3, 4)).add(gru).add(Dense::new(3)).seed(11);
        let network = stack.build().unwrap();
        // Sequences of up to 4 new tokens that end with 0, or of 4.
        let mut all: Vec<Vec<i64>> = Vec::new();
        let mut open = vec![vec![1i64, 2]];
        for n in 0..4 {
            let mut next = Vec::new();
            for tokens in open {
                for id in 0..3 {
                    let grown = [&tokens[..], &[id]].concat();
                    if id == 0 || n == 3 { all.push(grown) } else { next.push(grown) }
                }
            }
            open = next;
        }
        for penalty in [0.0, 1.0] {
            let mut expected: Vec<(f64, Vec<i64>)> = all
                .iter()
                .map(|s| (score(&network, s, 2) / libm::pow((s.len() - 2) as f64, penalty), s.clone()))
                .collect();
            expected.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap());
            let settings = Generate::new(4).beams(81).length_penalty(penalty).stop([0]);
            let found = network.beam_search(&[1, 2], &settings).unwrap();
            assert_eq!(found.len(), all.len());
            for ((tokens, score), (expected, sequence)) in found.iter().zip(&expected) {
                assert!((score - expected).abs() < 1e-5, "{score} {expected}");
                assert!(tokens == sequence || (score - expected).abs() < 1e-6);
            }
            assert_eq!(network.generate(&[[1, 2]], &settings).unwrap(), [found[0].0.clone()]);
        }
        // One beam is the most likely token each time.
        let one = network.beam_search(&[1, 2], &Generate::new(6)).unwrap();
        assert_eq!(one[0].0, argmax_of_whole(&network, &[1, 2], 6));
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let network = decoder(None);
    let says = |settings: Generate, words: &str| {
        let e = network.generate(&[[1i64]], &settings).unwrap_err().to_string();
        assert!(e.contains(words), "{e}");
    };
    says(Generate::new(1).temperature(0.0), "temperature: expected a finite number above 0");
    says(Generate::new(1).top_k(0), "top_k: expected at least 1");
    says(Generate::new(1).top_p(1.5), "top_p: expected 0 < top_p <= 1");
    says(Generate::new(1).beams(0), "beams: expected at least 1");
    says(Generate::new(1).beams(2).top_k(2), "beams");
    says(Generate::new(1).window(0), "window");
    let e = network.generate(&[vec![1i64], vec![]], &Generate::new(1)).unwrap_err().to_string();
    assert!(e.starts_with("prompt 1: prompt: expected at least one token"), "{e}");
    let e = network.generate(&[[9i64]], &Generate::new(1)).unwrap_err().to_string();
    assert!(e.contains("embedding"), "{e}");
    let plain = Sequential::new().add(Input::new(3)).add(Dense::new(2)).build().unwrap();
    assert!(plain.generate(&[[1, 2, 3]], &Generate::new(1)).is_ok());
    let images = Sequential::new().add(Input::new([3, 3, 1])).add(Flatten::new()).build().unwrap();
    assert!(images.generate(&[[1]], &Generate::new(1)).unwrap_err().to_string().contains("[batch, time]"));
    assert_eq!(network.generate(&[[1i64]], &Generate::new(0)).unwrap(), [[1]]);
}
