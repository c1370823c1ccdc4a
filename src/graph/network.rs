//! The graphs of networks: of a forward pass, in inference and in training, and of a training step up to its gradients.

use super::capture::Trace;
use super::{Graph, Output, Source};
use crate::autograd::Gradient;
use crate::nn::{Cx, Effects, Module, Network, Session};
use crate::tensor::Tensor;
use crate::train::Model;
use crate::{Result, Spec};

impl Graph {
    /// The graph of a network's forward pass for inputs of these shapes, as [`Network::predict`] runs it: parameters by their
    /// paths, inputs and outputs by their names.
    ///
    /// # Errors
    /// The shapes do not fit the network, or a layer cannot be captured; the message names it.
    pub fn of_network(network: &Network, inputs: &[Spec]) -> Result<Graph> {
        Graph::of_pass(network, inputs, Cx::infer(), &Session::new())
    }

    /// [`Graph::of_network`] going on from a session: what earlier calls left comes in, what this one leaves goes out.
    ///
    /// # Errors
    /// As [`Graph::of_network`].
    pub fn of_network_in(network: &Network, inputs: &[Spec], session: &Session) -> Result<Graph> {
        Graph::of_pass(network, inputs, Cx::infer(), session)
    }

    /// The graph of a network's forward pass in training: dropout drops, and new values of running statistics and added losses
    /// are outputs.
    ///
    /// # Errors
    /// As [`Graph::of_network`].
    pub fn of_training(network: &Network, inputs: &[Spec]) -> Result<Graph> {
        Graph::of_pass(network, inputs, Cx::train(0, 0), &Session::new())
    }

    fn of_pass(network: &Network, inputs: &[Spec], cx: Cx, session: &Session) -> Result<Graph> {
        let mut trace = Trace::of(network);
        let x = trace.inputs(network.input_names(), inputs);
        let mut cx = cx.traced().resume(trace.session(session));
        let results = network.forward_all(&x[..], &mut cx)?;
        let mut outputs = named(network, results);
        trace.scopes = cx.take_scopes();
        trace.effects(cx.finish(), &mut outputs);
        trace.graph(outputs)
    }

    /// The graph of one training step of a model for inputs, targets and (if rows have weights) weights of these shapes, up to
    /// the gradients: the loss, what the network gives, the gradient of each trainable parameter, the new values of running
    /// statistics. The optimizer comes after it.
    ///
    /// # Errors
    /// As [`Graph::of_network`], or the shapes do not fit the losses.
    pub fn of_step(model: &Model, x: &[Spec], y: &[Spec], weights: Option<Spec>) -> Result<Graph> {
        let mut trace = Trace::of(model);
        let inputs = trace.inputs(model.input_names(), x);
        let names: Vec<String> = match y.len() {
            1 => vec!["y".into()],
            _ => model.output_names().map(|name| format!("y of {name}")).collect(),
        };
        let targets = trace.inputs(names.iter().map(String::as_str), y);
        let weights = weights.map(|spec| trace.input(Source::Input("sample_weight".into()), spec));
        let mut cx = Cx::train(0, 0).traced().resume(trace.session(&model.session));
        let (loss, results) = model.trace_step(&inputs, targets, weights, &mut cx)?;
        let mut outputs = vec![(Output::Loss, loss.clone())];
        outputs.extend(named(model, results));
        trace.scopes = cx.take_scopes();
        let gradients = loss.backward()?;
        model.visit(&mut |path, p| {
            // In a trace rows of a table are read as from a whole one.
            if let Some(Gradient::Dense(gradient)) = p.gradient(&gradients) {
                outputs.push((Output::Gradient(path.to_string()), gradient.clone()));
            }
        });
        trace.effects(cx.finish(), &mut outputs);
        trace.graph(outputs)
    }
}

/// The outputs of a network under their names.
fn named(network: &Network, results: impl IntoIterator<Item = Tensor>) -> Vec<(Output, Tensor)> {
    let names = network.output_names().map(|name| Output::Result(name.into()));
    names.zip(results).collect()
}

impl Trace {
    fn of(network: &Network) -> Trace {
        let mut trace = Trace::default();
        network.visit(&mut |path, p| {
            trace.paths.insert(p.id(), path.to_string());
        });
        trace
    }

    fn inputs<'a>(&mut self, names: impl Iterator<Item = &'a str>, specs: &[Spec]) -> Vec<Tensor> {
        let names = names.map(str::to_string).chain((0..).map(|i| format!("x{i}")));
        specs.iter().zip(names).map(|(spec, name)| self.input(Source::Input(name), *spec)).collect()
    }

    /// A session whose states are leaves.
    fn session(&mut self, session: &Session) -> Session {
        let mut states: Vec<_> = session.states().map(|(at, state)| (at, state.spec())).collect();
        states.sort_by_key(|(at, _)| *at);
        let leaf = |((key, call), spec)| ((key, call), self.input(Source::State(key, call), spec));
        Session::of(states.into_iter().map(leaf))
    }

    /// What layers handed back, as outputs.
    fn effects(&self, effects: Effects, outputs: &mut Vec<(Output, Tensor)>) {
        for (i, loss) in effects.losses.iter().enumerate() {
            outputs.push((Output::AddedLoss(i), loss.clone()));
        }
        for (id, value) in effects.updates() {
            if let Some(path) = self.paths.get(&id) {
                outputs.push((Output::Update(path.clone()), value.clone()));
            }
        }
        let mut states: Vec<_> = effects.session.states().collect();
        states.sort_by_key(|(at, _)| *at);
        for ((key, call), state) in states {
            outputs.push((Output::State(key, call), state.clone()));
        }
    }
}
