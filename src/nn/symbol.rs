//! `Symbol`: a tensor that does not exist yet. Calling a description on one checks the shapes at once and gives the
//! next symbol, so that a graph of layers is written as if it computed. [`Shared`] is a layer that can be called
//! several times.

use super::layers::Input;
use super::node::{built, place};
use super::trace::{self, Sizes, Twin};
use super::{Budget, Build, Init, InputSpecs, Node, Value, arguments};
use crate::autograd::fresh_id;
use crate::error::Context;
use crate::shape::Spec;
use crate::{DType, Error, Result};
use std::sync::{Arc, OnceLock};

/// The output of a layer's call, or an input of a network. Cheap to clone; symbols form a graph that never changes.
#[derive(Clone)]
pub struct Symbol {
    pub(super) call: Arc<Call>,
    pub(super) output: usize,
}

/// One call of a layer, or an input.
pub(super) struct Call {
    /// Later calls have larger numbers.
    pub(super) id: u64,
    pub(super) origin: Origin,
    /// What it gave in the two traces, with unknown sizes different and equal; `None` where it failed.
    outputs: [Option<Vec<Twin<Value>>>; 2],
    /// Whether both are the same because no input behind it has two unknown sizes.
    agree: bool,
}

pub(super) enum Origin {
    Input(Input),
    Layer {
        layer: Shared,
        /// Inputs by position, then inputs by name.
        inputs: Vec<Symbol>,
        names: Vec<String>,
    },
}

impl Drop for Call {
    /// Takes the graph behind it apart in a loop, because recursion would need a stack frame for each layer of a
    /// deep network.
    fn drop(&mut self) {
        let mut pending = match &mut self.origin {
            Origin::Layer { inputs, .. } => std::mem::take(inputs),
            Origin::Input(_) => return,
        };
        while let Some(symbol) = pending.pop() {
            if let Some(mut call) = Arc::into_inner(symbol.call)
                && let Origin::Layer { inputs, .. } = &mut call.origin
            {
                pending.append(inputs);
            }
        }
    }
}

impl Symbol {
    /// Makes the symbol of an input.
    pub(super) fn input(input: &Input) -> Symbol {
        // An impossible shape is found when the symbol is used.
        let spec = input.spec(DType::F32).ok();
        let outputs = Sizes::ALL.map(|sizes| spec.map(|spec| vec![trace::traced(spec, sizes)]));
        let agree = spec.is_none_or(Sizes::agree);
        let call = Call { id: fresh_id(), origin: Origin::Input(input.clone()), outputs, agree };
        Symbol { call: Arc::new(call), output: 0 }
    }

    fn twin(&self, sizes: Sizes) -> Option<&Twin<Value>> {
        self.call.outputs[sizes as usize].as_ref()?.get(self.output)
    }

    /// Returns shape (unknown sizes print as `None`) and dtype.
    ///
    /// # Errors
    /// It is an input whose shape is impossible.
    pub fn spec(&self) -> Result<Spec> {
        match (self.twin(Sizes::Apart).or(self.twin(Sizes::Equal)), &self.call.origin) {
            (Some(twin), _) => trace::united(twin),
            (None, Origin::Input(input)) => input.spec(DType::F32),
            (None, Origin::Layer { .. }) => {
                Err(Error::argument("output", "an output of the layer", self.output))
            }
        }
    }
}

impl std::fmt::Debug for Symbol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.spec() {
            Ok(spec) => write!(f, "Symbol({spec})"),
            Err(e) => write!(f, "Symbol({e})"),
        }
    }
}

/// What a layer is called on: symbols by position, and symbols under names that the layer declares.
#[derive(Clone, Debug, Default)]
pub struct Given {
    positional: Vec<Symbol>,
    named: Vec<(String, Symbol)>,
}

/// A [`Symbol`], or an [`Input`], which has one.
pub trait AsSymbol {
    /// Returns the symbol.
    fn as_symbol(&self) -> Symbol;
}
impl AsSymbol for Symbol {
    fn as_symbol(&self) -> Symbol {
        self.clone()
    }
}
impl AsSymbol for Input {
    fn as_symbol(&self) -> Symbol {
        self.symbol()
    }
}

/// What a layer can be called on: `&x`, `[&a, &b]`, `(&a, &b)` if one is an [`Input`] and the other is not, a slice
/// or vector of symbols; and with inputs by name `(&x, [("attention_mask", &m)])`.
#[diagnostic::on_unimplemented(
    message = "a layer cannot be called on `{Self}`",
    label = "expected `&x`, `[&a, &b]`, `(&a, &b)`, a slice of symbols, or `(&x, [(\"name\", &y)])`"
)]
pub trait IntoSymbols {
    /// Converts to symbols.
    fn into_symbols(self) -> Given;
}

fn positional(positional: Vec<Symbol>) -> Given {
    Given { positional, named: Vec::new() }
}
impl<S: AsSymbol> IntoSymbols for &S {
    fn into_symbols(self) -> Given {
        positional(vec![self.as_symbol()])
    }
}
impl<S: AsSymbol, const N: usize> IntoSymbols for [&S; N] {
    fn into_symbols(self) -> Given {
        positional(self.iter().map(|s| s.as_symbol()).collect())
    }
}
impl<S: AsSymbol, const N: usize> IntoSymbols for &[S; N] {
    fn into_symbols(self) -> Given {
        positional(self.iter().map(AsSymbol::as_symbol).collect())
    }
}
impl<S: AsSymbol> IntoSymbols for &[S] {
    fn into_symbols(self) -> Given {
        positional(self.iter().map(AsSymbol::as_symbol).collect())
    }
}
impl<S: AsSymbol> IntoSymbols for &Vec<S> {
    fn into_symbols(self) -> Given {
        positional(self.iter().map(AsSymbol::as_symbol).collect())
    }
}
impl IntoSymbols for Given {
    fn into_symbols(self) -> Given {
        self
    }
}
impl<P: IntoSymbols, S: AsSymbol, const N: usize> IntoSymbols for (P, [(&str, &S); N]) {
    fn into_symbols(self) -> Given {
        let mut given = self.0.into_symbols();
        given.named.extend(self.1.iter().map(|(name, s)| (name.to_string(), s.as_symbol())));
        given
    }
}
impl<P: IntoSymbols> IntoSymbols for (P, &[(String, Symbol)]) {
    fn into_symbols(self) -> Given {
        let mut given = self.0.into_symbols();
        given.named.extend_from_slice(self.1);
        given
    }
}
/// Only inputs by name.
impl<S: AsSymbol, const N: usize> IntoSymbols for [(&str, &S); N] {
    fn into_symbols(self) -> Given {
        (positional(Vec::new()), self).into_symbols()
    }
}
macro_rules! tuples {
    ($($($type:ident $field:tt),+;)*) => {$(
        impl<$($type: AsSymbol),+> IntoSymbols for ($(&$type,)+) {
            fn into_symbols(self) -> Given {
                positional(vec![$(self.$field.as_symbol()),+])
            }
        }
    )*};
}
tuples! {
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
}

impl Given {
    /// Returns the symbols by position; inputs by name are an error here.
    pub(super) fn into_positional(self, what: &'static str) -> Result<Vec<Symbol>> {
        match self.named.first() {
            None => Ok(self.positional),
            Some((name, _)) => {
                Err(Error::argument(what, "symbols by position", format!("one named '{name}'")))
            }
        }
    }
}

/// A layer with an identity: in one network, each call is a call of the same layer, with the same parameters (two
/// networks never share any). Made by [`Build::shared`].
#[derive(Clone)]
pub struct Shared(Arc<Handle>);

struct Handle {
    id: u64,
    build: Arc<dyn Build>,
    /// The layer as the first call built it, without values: later calls are checked against it.
    planned: OnceLock<Box<dyn Node>>,
}

impl Shared {
    /// Creates a handle of a description.
    pub fn new(build: impl Build + 'static) -> Shared {
        Shared::from_arc(Arc::new(build))
    }

    pub(crate) fn from_arc(build: Arc<dyn Build>) -> Shared {
        Shared(Arc::new(Handle { id: fresh_id(), build, planned: OnceLock::new() }))
    }

    pub(super) fn id(&self) -> u64 {
        self.0.id
    }

    /// Returns the description.
    pub(crate) fn build(&self) -> &Arc<dyn Build> {
        &self.0.build
    }

    /// Calls the layer on these inputs and returns its output.
    ///
    /// # Errors
    /// The inputs do not fit, or the layer does not have exactly one output ([`Shared::on_all`] gives a list).
    pub fn on(&self, x: impl IntoSymbols) -> Result<Symbol> {
        let mut all = self.call(x.into_symbols())?;
        match all.len() {
            1 => Ok(all.swap_remove(0)),
            n => {
                let expected = "a layer with one output (on_all gives the list of several)";
                Err(Error::argument("on", expected, format!("{n} outputs")).at(self.place()))
            }
        }
    }

    /// Calls the layer on these inputs and returns all its outputs.
    ///
    /// # Errors
    /// The inputs do not fit.
    pub fn on_all(&self, x: impl IntoSymbols) -> Result<Vec<Symbol>> {
        self.call(x.into_symbols())
    }

    fn call(&self, given: Given) -> Result<Vec<Symbol>> {
        let build = &*self.0.build;
        let place = || self.place();
        // Masks of inputs come last.
        let mut named = given.named;
        named.sort_by_key(|(name, _)| arguments::is_mask(build, name));
        let (names, named): (Vec<String>, Vec<Symbol>) = named.into_iter().unzip();
        let mut inputs = given.positional;
        inputs.extend(named);
        let masks = arguments::masks_of(build, inputs.len(), &names).at(place)?;
        let specs = inputs.iter().map(Symbol::spec).collect::<Result<Vec<_>>>().at(place)?;
        let mut init = Init::planned(DType::F32, Budget::NONE);
        let node = match self.0.planned.get() {
            Some(node) => node,
            None => {
                let specs = InputSpecs::new(&specs, &names).without_last(masks.len());
                let node = built(build, &specs, &mut init).at(place)?;
                self.0.planned.get_or_init(|| node)
            }
        };
        let mut run = |sizes: Sizes| -> Option<Result<Vec<Twin<Value>>>> {
            let twins: Option<Vec<_>> = inputs.iter().map(|s| s.twin(sizes).cloned()).collect();
            Some(trace::call(&**node, &twins?, &names, &masks, &mut init))
        };
        let agree = inputs.iter().all(|s| s.call.agree);
        let apart = run(Sizes::Apart);
        let outputs = match (apart, if agree { None } else { run(Sizes::Equal) }) {
            (Some(Ok(apart)), None) if agree => [Some(apart.clone()), Some(apart)],
            (Some(Ok(apart)), equal) => [Some(apart), equal.and_then(Result::ok)],
            (_, Some(Ok(equal))) => [None, Some(equal)],
            // If equal sizes fail too, it is not a problem that unknown sizes differ.
            (_, Some(Err(e))) | (Some(Err(e)), None) => return Err(e.at(place())),
            (None, None) => {
                let expected = "inputs whose unknown sizes fit each other";
                return Err(Error::argument("inputs", expected, "sizes that differ").at(place()));
            }
        };
        let n = outputs.iter().flatten().map(Vec::len).next().unwrap_or(0);
        let origin = Origin::Layer { layer: self.clone(), inputs, names };
        let call = Arc::new(Call { id: fresh_id(), origin, outputs, agree });
        Ok((0..n).map(|output| Symbol { call: call.clone(), output }).collect())
    }

    fn place(&self) -> String {
        place(&*self.0.build)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.build.fmt(f)
    }
}

/// The handle of a network, which must be the same each time it is asked for.
#[derive(Debug, Default)]
pub(crate) struct Identity(OnceLock<Shared>);

/// A copy is another layer.
impl Clone for Identity {
    fn clone(&self) -> Identity {
        Identity::default()
    }
}

impl Identity {
    pub(crate) fn get(&self, make: impl FnOnce() -> Shared) -> &Shared {
        self.0.get_or_init(make)
    }
}

/// Gives a network the methods of a handle: it is one, and may be called several times.
macro_rules! handle {
    ($($type:ty),*) => {$(
        impl $type {
            /// Calls it as a layer of another network and returns its output. All calls in one network are calls of
            /// the same layers. (A network that is already built brings a copy of its parameters; two networks
            /// never share any.)
            ///
            /// # Errors
            /// The inputs do not fit, or it does not have exactly one output.
            pub fn on(&self, x: impl $crate::nn::IntoSymbols) -> $crate::Result<$crate::nn::Symbol> {
                self.handle().on(x)
            }

            /// Calls it as a layer of another network and returns all its outputs.
            ///
            /// # Errors
            /// The inputs do not fit.
            pub fn on_all(&self, x: impl $crate::nn::IntoSymbols) -> $crate::Result<Vec<$crate::nn::Symbol>> {
                self.handle().on_all(x)
            }
        }
        impl $crate::nn::IntoLayer for $type {
            fn into_layer(self) -> $crate::nn::Shared {
                self.handle()
            }
        }
        impl $crate::nn::IntoLayer for &$type {
            fn into_layer(self) -> $crate::nn::Shared {
                self.handle()
            }
        }
    )*};
}
pub(crate) use handle;
