//! Whole networks as people train and ship them: the training steps and inferences of the rivals' table, with default settings. Weights and
//! data are random where that table says so; the check value is the loss after the last step, or an output.

use super::{Args, Res, emit, sample};
use gradus::applications::{Bert, GPT2, MobileNetV2, ResNet18};
use gradus::nn::Session;
use gradus::prelude::*;
use std::time::Instant;

/// Milliseconds of each step: ten to warm up, then at least thirty and two seconds, going round the batches.
fn steps(model: &mut Model, batches: &[(Tensor, Tensor)]) -> Res<(Vec<f64>, f64)> {
    let (mut ms, mut loss) = (Vec::new(), 0.0);
    let began = Instant::now();
    for i in 0.. {
        let (x, y) = &batches[i % batches.len()];
        let t = Instant::now();
        let logs = model.train_on_batch(x, y)?;
        if i >= 10 {
            ms.push(t.elapsed().as_secs_f64() * 1e3);
        }
        if ms.len() >= 30 && began.elapsed().as_secs_f64() > 2.0 {
            loss = logs["loss"];
            break;
        }
    }
    Ok((ms, loss))
}

/// Keras's network for MNIST at batch 128: three passes of a hundred steps after a warm-up, batches gathered by index.
pub(super) fn cnn(args: &Args) -> Res<()> {
    let (train, _) = datasets::mnist::load_from(&args.data)?;
    let x = train.images.scale(1.0 / 255.0)?.reshape([-1, 28, 28, 1])?;
    let mut model = Sequential::new()
        .add(Input::new([28, 28, 1]))
        .add(Conv2D::new(32, 3).activation(Relu))
        .add(MaxPooling2D::new())
        .add(Conv2D::new(64, 3).activation(Relu))
        .add(MaxPooling2D::new())
        .add(Flatten::new())
        .add(Dropout::new(0.5))
        .add(Dense::new(10).activation(Softmax))
        .seed(args.seed)
        .compile(Adam::new(0.001), SparseCategoricalCrossentropy::new(), ())?;
    let mut run = |first: usize, count: usize| -> gradus::Result<(f64, f64)> {
        let rows = |t: &Tensor| t.slice(0, (first * 128) as isize, ((first + count) * 128) as isize);
        let (x, y) = (rows(&x)?, rows(&train.labels)?);
        let began = Instant::now();
        let history = model.fit(&x, &y, Fit::new().batch_size(128).verbose(0))?;
        Ok((began.elapsed().as_secs_f64() * 1e3 / count as f64, history["loss"][0]))
    };
    run(0, 20)?;
    let passes = (0..3).map(|pass| run(20 + pass * 100, 100)).collect::<gradus::Result<Vec<_>>>()?;
    emit(args, "cnn", "ms/step", passes.iter().map(|p| p.0).collect(), ("final_loss", passes[2].1));
    Ok(())
}

/// A decoder of four blocks, 64 characters of 65 kinds, batch 12; AdamW that decays matrices and embeddings alone.
pub(super) fn gpt(args: &Args) -> Res<()> {
    let network = GPT2::new()
        .vocabulary_size(65)
        .num_layers(4)
        .num_heads(4)
        .hidden_dim(128)
        .intermediate_dim(512)
        .max_sequence_length(64)
        .activation(Gelu)
        .dropout(0.0)
        .seed(args.seed)
        .build()?;
    assert_eq!(network.count_params(), 809_856, "as the rivals'");
    let optimizer = Adam::new(0.001).beta_2(0.99).epsilon(1e-8).weight_decay(0.1);
    let optimizer = optimizer.exclude_from_weight_decay(["bias", "gamma", "beta"]);
    let mut model = network.compile(optimizer, SparseCategoricalCrossentropy::new().from_logits(true), ())?;
    let batch = |i: u64| -> gradus::Result<(Tensor, Tensor)> {
        let t = Tensor::randint([12, 65], 0, 65, args.seed + i)?;
        Ok((t.slice(1, 0, 64)?.contiguous()?, t.slice(1, 1, 65)?.contiguous()?))
    };
    let batches = (0..16).map(batch).collect::<gradus::Result<Vec<_>>>()?;
    let (ms, loss) = steps(&mut model, &batches)?;
    emit(args, "gpt", "ms/step", ms, ("final_loss", loss));
    Ok(())
}

/// An embedding of 20,000 words, one LSTM over 80 steps, one score; batch 32.
pub(super) fn lstm(args: &Args) -> Res<()> {
    let mut model = Sequential::new()
        .add(Input::new(80).dtype(DType::I64))
        .add(Embedding::new(20_000, 128))
        .add(LSTM::new(128))
        .add(Dense::new(1).activation(Sigmoid))
        .seed(args.seed)
        .compile(Adam::new(0.001), BinaryCrossentropy::new(), ())?;
    let batch = |i: u64| -> gradus::Result<(Tensor, Tensor)> {
        let labels = Tensor::randint([32, 1], 0, 2, args.seed + 100 + i)?.cast(DType::F32)?;
        Ok((Tensor::randint([32, 80], 0, 20_000, args.seed + i)?, labels))
    };
    let batches = (0..16).map(batch).collect::<gradus::Result<Vec<_>>>()?;
    let (ms, loss) = steps(&mut model, &batches)?;
    emit(args, "lstm", "ms/step", ms, ("final_loss", loss));
    Ok(())
}

/// ResNet-18 on 16 images of 64 by 64, 1000 classes, SGD with momentum; the same batch each step.
pub(super) fn resnet18_train(args: &Args) -> Res<()> {
    let network =
        ResNet18::new().input_shape([64, 64, 3]).classifier_activation(Linear).seed(args.seed).build()?;
    let loss = SparseCategoricalCrossentropy::new().from_logits(true);
    let mut model = network.compile(SGD::new(0.1).momentum(0.9), loss, ())?;
    let batch = (Tensor::randn([16, 64, 64, 3], args.seed)?, Tensor::randint([16], 0, 1000, args.seed)?);
    let (ms, loss) = steps(&mut model, &[batch])?;
    emit(args, "resnet18_train", "ms/step", ms, ("final_loss", loss));
    Ok(())
}

/// Milliseconds of a prediction by the network, then by its predictor.
fn inferred(args: &Args, name: &str, network: &Network, x: &[Tensor]) -> Res<()> {
    let predictor = network.predictor()?;
    let first = |y: Tensor| Ok(f64::from(y.to_vec::<f32>()?[0]));
    let eager = sample(|| first(network.predict(x)?))?;
    let planned = sample(|| first(predictor.predict(x)?))?;
    for (name, (seconds, check)) in [(name.to_string(), eager), (format!("{name}/predictor"), planned)] {
        emit(args, &name, "ms", seconds.iter().map(|s| s * 1e3).collect(), ("first_output", check));
    }
    if std::env::var_os("GRADUS_PROFILE").is_some() {
        eprintln!("{}", predictor.profile(x)?);
    }
    Ok(())
}

/// ResNet-18 on one image of 224 by 224.
pub(super) fn resnet18_infer(args: &Args) -> Res<()> {
    let network = ResNet18::new().classifier_activation(Linear).seed(args.seed).build()?;
    let x = Tensor::randn([1, 224, 224, 3], args.seed)?;
    inferred(args, "resnet18_infer", &network, &[x])
}

/// MobileNetV2 on one image of 224 by 224.
pub(super) fn mobilenet_v2_infer(args: &Args) -> Res<()> {
    let network = MobileNetV2::new().classifier_activation(Linear).seed(args.seed).build()?;
    let x = Tensor::randn([1, 224, 224, 3], args.seed)?;
    inferred(args, "mobilenet_v2_infer", &network, &[x])
}

/// What a predictor that took its network takes of the system's memory, in MiB: after building it, in its steady
/// state, and at most meanwhile. Of the network named by its workload.
pub(super) fn memory(args: &Args, name: &str) -> Res<()> {
    let seed = args.seed;
    let resident = |key: &str| -> f64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    };
    let image = || Tensor::randn([1, 224, 224, 3], seed);
    let (build, x): (&dyn Fn() -> gradus::Result<Network>, Vec<Tensor>) = match name {
        "resnet18" => (&|| ResNet18::new().seed(seed).build(), vec![image()?]),
        "mobilenet_v2" => (&|| MobileNetV2::new().seed(seed).build(), vec![image()?]),
        "bert" => {
            let segments = Tensor::zeros([1, 128])?.cast(DType::I64)?;
            (&|| Bert::new().seed(seed).build(), vec![Tensor::randint([1, 128], 0, 30_522, seed)?, segments])
        }
        "gpt2" => (
            &|| GPT2::new().last_token(true).seed(seed).build(),
            vec![Tensor::randint([1, 64], 0, 50_257, seed)?],
        ),
        _ => return Err("memory/resnet18, mobilenet_v2, bert or gpt2".into()),
    };
    // Pages of the program itself, which come into memory as it runs, do not count.
    let taken = |key: &str| resident(key) - resident("RssFile");
    let before = taken("VmRSS");
    let network = build()?;
    let (parameters, built) = (4 * network.count_params(), taken("VmRSS") - before);
    let predictor = network.into_predictor()?;
    let x = &x[..];
    let check = predictor.predict(x)?.max(&[], false)?.item()?;
    gradus::tensor::trim();
    let (steady, peak) = (taken("VmRSS") - before, taken("VmHWM") - before);
    let profile = predictor.profile(x)?;
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    let (weights, block) = (mib(profile.weight_bytes), mib(profile.arena_bytes));
    println!(
        r#"{{"workload": "memory/{name}", "parameters": {:.1}, "built": {built:.1}, "weights": {weights:.1}, "values": {block:.1}, "steady": {steady:.1}, "peak": {peak:.1}, "peak_ratio": {:.3}, "max_output": {check:.6}}}"#,
        mib(parameters),
        peak / (weights + block)
    );
    Ok(())
}

/// BERT base on one sequence of 128 tokens.
pub(super) fn bert_infer(args: &Args) -> Res<()> {
    let network = Bert::new().seed(args.seed).build()?;
    let x = [Tensor::randint([1, 128], 0, 30_522, args.seed)?, Tensor::zeros([1, 128])?.cast(DType::I64)?];
    inferred(args, "bert_infer", &network, &x)
}

/// GPT-2: a prompt of 64 tokens, then 63 tokens one by one, each the likeliest, by a cache of keys and values.
pub(super) fn gpt2_decode(args: &Args) -> Res<()> {
    let network = GPT2::new().cache(true).last_token(true).seed(args.seed).build()?;
    let prompt = Tensor::randint([1, 64], 0, 50_257, args.seed)?;
    let likeliest = |logits: &Tensor| logits.argmax(-1);
    type Call<'a> = &'a dyn Fn(&mut Session, &Tensor) -> gradus::Result<Tensor>;
    let generate = |predict: Call<'_>| -> gradus::Result<(f64, i64)> {
        let began = Instant::now();
        let mut session = Session::new();
        let mut token = likeliest(&predict(&mut session, &prompt)?)?;
        for _ in 0..63 {
            token = likeliest(&predict(&mut session, &token)?)?;
        }
        Ok((began.elapsed().as_secs_f64(), token.to_vec::<i64>()?[0]))
    };
    let predictor = network.predictor()?;
    let calls: [(&str, Call<'_>); 2] = [
        ("gpt2_decode", &|session, x| network.predict_in(session, x)),
        ("gpt2_decode/predictor", &|session, x| predictor.predict_in(session, x)),
    ];
    for (name, predict) in calls {
        generate(predict)?;
        let runs = (0..if args.threads > 1 { 5 } else { 3 }).map(|_| generate(predict));
        let runs = runs.collect::<gradus::Result<Vec<_>>>()?;
        let rates = runs.iter().map(|(seconds, _)| 64.0 / seconds).collect();
        emit(args, name, "tokens/s", rates, ("last_token", runs[0].1 as f64));
    }
    Ok(())
}
