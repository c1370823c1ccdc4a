//! Captures the graphs of networks: of a forward pass, in inference and in training, and of a training step up to
//! its gradients.

use super::capture::{Trace, check_draws};
use super::{Graph, Output, Source};
use crate::autograd::Gradient;
use crate::nn::{Cx, Effects, Module, Network, Session};
use crate::random::read_too_early;
use crate::tensor::Tensor;
use crate::train::Model;
use crate::{Result, Spec};

impl Graph {
    /// Captures a network's forward pass for inputs of these shapes, as [`Network::predict`] runs it: parameters by
    /// their paths, inputs and outputs by their names.
    ///
    /// # Errors
    /// The shapes do not fit the network, or a layer cannot be captured; the message names it.
    pub fn of_network(network: &Network, inputs: &[Spec]) -> Result<Graph> {
        Graph::of_pass(network, inputs, Cx::infer(), &Session::new())
    }

    /// [`Graph::of_network`] that continues from a session: what earlier calls left is an input, what this one
    /// leaves is an output.
    ///
    /// # Errors
    /// Those of [`Graph::of_network`].
    pub fn of_network_in(network: &Network, inputs: &[Spec], session: &Session) -> Result<Graph> {
        Graph::of_pass(network, inputs, Cx::infer(), session)
    }

    /// Captures a network's forward pass in training: dropout drops, and new values of running statistics and added
    /// losses are outputs.
    ///
    /// # Errors
    /// Those of [`Graph::of_network`].
    pub fn of_training(network: &Network, inputs: &[Spec]) -> Result<Graph> {
        Graph::of_pass(network, inputs, Cx::train(0, 0), &Session::new())
    }

    fn of_pass(network: &Network, inputs: &[Spec], cx: Cx, session: &Session) -> Result<Graph> {
        let mut trace = Trace::of([("", network as &dyn Module)]);
        let x = trace.inputs(network.input_names(), inputs);
        trace.pass(cx, session, |cx| Ok(named(network, network.forward_all(&x[..], cx)?)))
    }

    /// Captures a pass of your own through modules: the results of `f` for inputs of these shapes in the context
    /// that it is passed, in training (`Cx::train`) or inference. Parameters read by [`Cx::param`] are found by
    /// their paths, below the name that their module has here (if it is not empty); gradients that `f` computes are
    /// results like any other. What layers hand back comes after the results.
    ///
    /// ```
    /// use gradus::graph::{Feed, Graph};
    /// use gradus::prelude::*;
    /// use gradus::nn::Module;
    ///
    /// let net = Sequential::new().add(Input::new([2])).add(Dense::new(1).named("d")).build()?;
    /// let x = Tensor::ones([3, 2])?;
    /// let graph = Graph::capture_pass(&[("", &net)], true, &[x.spec()], |x, cx| {
    ///     let loss = net.forward(&x[0], cx)?.square()?.mean(&[], false)?;
    ///     let gradients = loss.clone().backward()?;
    ///     let mut results = vec![loss];
    ///     net.visit(&mut |_, p| results.extend(p.gradient(&gradients).and_then(|g| g.dense().ok())));
    ///     Ok(results)
    /// })?;
    /// let results = graph.run(&Feed::new(&x).parameters(&net))?;
    /// assert_eq!(results[1].dims(), [2, 1]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `f`, or a layer cannot be captured; the message names it.
    pub fn capture_pass(
        modules: &[(&str, &dyn Module)],
        training: bool,
        inputs: &[Spec],
        f: impl FnOnce(&[Tensor], &mut Cx) -> Result<Vec<Tensor>>,
    ) -> Result<Graph> {
        let mut trace = Trace::of(modules.iter().copied());
        let x = trace.inputs(std::iter::empty(), inputs);
        let cx = if training { Cx::train(0, 0) } else { Cx::infer() };
        let numbered = |(i, t): (usize, Tensor)| (Output::Result(i.to_string()), t);
        trace.pass(cx, &Session::new(), |cx| Ok(f(&x, cx)?.into_iter().enumerate().map(numbered).collect()))
    }

    /// Captures one training step of a model for inputs, targets and (if rows have weights) weights of these
    /// shapes, up to the gradients: the loss, the network's outputs, the gradient of each trainable parameter, and
    /// the new values of running statistics. The optimizer comes after it.
    ///
    /// # Errors
    /// Those of [`Graph::of_network`], or the shapes do not fit the losses.
    pub fn of_step(model: &Model, x: &[Spec], y: &[Spec], weights: Option<Spec>) -> Result<Graph> {
        let mut trace = Trace::of([("", &**model as &dyn Module)]);
        let inputs = trace.inputs(model.input_names(), x);
        let names: Vec<String> = match y.len() {
            1 => vec!["y".into()],
            _ => model.output_names().map(|name| format!("y of {name}")).collect(),
        };
        let targets = trace.inputs(names.iter().map(String::as_str), y);
        let weights = weights.map(|spec| trace.input(Source::Input("sample_weight".into()), spec));
        let session = &model.session;
        trace.pass(Cx::train(0, 0), session, |cx| {
            let (loss, results) = model.trace_step(&inputs, targets, weights, cx)?;
            let mut outputs = vec![(Output::Loss, loss.clone())];
            outputs.extend(named(model, results));
            let gradients = loss.backward().map_err(|e| model.nothing_learns().unwrap_or(e))?;
            model.visit(&mut |path, p| {
                // In a trace rows of a table are read as from a whole one.
                if let Some(Gradient::Dense(gradient)) = p.gradient(&gradients) {
                    outputs.push((Output::Gradient(path.to_string()), gradient.clone()));
                }
            });
            Ok(outputs)
        })
    }
}

/// Returns the outputs of a network under their names.
fn named(network: &Network, results: impl IntoIterator<Item = Tensor>) -> Vec<(Output, Tensor)> {
    let names = network.output_names().map(|name| Output::Result(name.into()));
    names.zip(results).collect()
}

impl Trace {
    fn of<'a>(modules: impl IntoIterator<Item = (&'a str, &'a dyn Module)>) -> Trace {
        let mut trace = Trace::default();
        for (name, module) in modules {
            super::parameters(name, module, &mut |path, p| {
                trace.memory.extend(p.value().array().memory().map(|memory| (memory, path.to_string())));
                trace.paths.insert(p.id(), path.to_string());
            });
        }
        trace
    }

    /// Captures what `f` computes in a context, with what layers hand back.
    fn pass(
        mut self,
        cx: Cx,
        session: &Session,
        f: impl FnOnce(&mut Cx) -> Result<Vec<(Output, Tensor)>>,
    ) -> Result<Graph> {
        let early = read_too_early();
        let mut cx = cx.traced().resume(self.session(session));
        let mut outputs = f(&mut cx)?;
        self.scopes = cx.take_scopes();
        let early_in = self.scopes.iter().find(|scope| scope.drew).map_or("", |scope| &scope.path);
        check_draws(early, early_in)?;
        self.effects(cx.finish(), &mut outputs);
        self.graph(outputs)
    }

    fn inputs<'a>(&mut self, names: impl Iterator<Item = &'a str>, specs: &[Spec]) -> Vec<Tensor> {
        let names = names.map(str::to_string).chain((0..).map(|i| format!("x{i}")));
        specs.iter().zip(names).map(|(spec, name)| self.input(Source::Input(name), *spec)).collect()
    }

    /// Returns a session whose states are leaves.
    fn session(&mut self, session: &Session) -> Session {
        let mut states: Vec<_> = session.states().map(|(at, state)| (at, state.spec())).collect();
        states.sort_by_key(|(at, _)| *at);
        let leaf = |((key, call), spec)| ((key, call), self.input(Source::State(key, call), spec));
        Session::of(states.into_iter().map(leaf))
    }

    /// Adds what layers handed back to the outputs.
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
