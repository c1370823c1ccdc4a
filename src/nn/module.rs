//! `Module`: the one walk over a network. Optimizers, files, summaries, freezing and snapshots all see layers,
//! parameters and keys through it, each with its path.

use super::{Key, Node, Param};
use crate::tensor::Tensor;
use crate::tensor::Text;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The place of something in a network: names joined by `/`, such as `dense_1/kernel`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Text);

impl Path {
    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Runs `f` one level deeper. An empty name adds no level.
    pub fn inside(&mut self, name: &str, f: impl FnOnce(&mut Path)) {
        let length = self.0.len();
        if !name.is_empty() {
            if length > 0 {
                self.0.push_str("/");
            }
            self.0.push_str(name);
        }
        f(self);
        self.0.truncate(length);
    }

    /// Runs `f` one level deeper, at item `i` of a list.
    pub fn inside_item(&mut self, i: usize, f: impl FnOnce(&mut Path)) {
        // Uses a text type of the crate, because paths are made in every training step, which must not ask the
        // system for memory.
        let mut name = Text::default();
        let _ = write!(name, "{i}");
        self.inside(name.as_str(), f);
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a walk visits.
pub enum Item<'a> {
    /// A layer, before its contents.
    Layer(&'a dyn Node),
    /// A parameter.
    Param(&'a Param),
    /// The identity of a layer that draws random numbers or carries state.
    Key(&'a Key),
}

/// What a walk visits, to change it.
pub enum ItemMut<'a> {
    /// A layer in a place that can hold another one, after its contents.
    Slot(&'a mut Box<dyn Node>),
    /// A parameter.
    Param(&'a mut Param),
    /// The identity of a layer that draws random numbers or carries state.
    Key(&'a mut Key),
}

/// A function that is called with every parameter, in the order of the walk.
pub type Visit<'f> = &'f mut dyn FnMut(&Path, &Param);
/// A function that is called with every parameter, to change it.
pub type VisitMut<'f> = &'f mut dyn FnMut(&Path, &mut Param);

/// Something with layers, parameters or keys inside. Implement it with [`parts!`](crate::parts).
///
/// The walk visits everything in a fixed order, which also numbers the streams of initial values and of random
/// layers.
pub trait Module {
    /// Calls `f` with each layer, parameter and key inside, and its path.
    fn walk(&self, at: &mut Path, f: &mut dyn FnMut(&Path, Item<'_>));

    /// Like [`Module::walk`], to change them. Layers appear where they can be replaced: in a [`Part`](super::Part)
    /// or a `Box<dyn Node>`.
    fn walk_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, ItemMut<'_>));

    /// Returns this as a layer, unless it is only a group of parts.
    fn as_node(&self) -> Option<&dyn Node> {
        None
    }

    /// Calls `f` with each parameter and its path.
    fn visit(&self, f: Visit<'_>) {
        visit(&|at, f| self.walk(at, f), f);
    }

    /// Calls `f` with each parameter and its path, to change it.
    fn visit_mut(&mut self, f: VisitMut<'_>) {
        visit_mut(&mut |at, f| self.walk_mut(at, f), f);
    }
}

type Walk<'w> = &'w dyn Fn(&mut Path, &mut dyn FnMut(&Path, Item<'_>));
type WalkMut<'w> = &'w mut dyn FnMut(&mut Path, &mut dyn FnMut(&Path, ItemMut<'_>));

/// Not generic, so it is compiled once for all modules.
fn visit(walk: Walk<'_>, f: Visit<'_>) {
    walk(&mut Path::default(), &mut |path, item| {
        if let Item::Param(p) = item {
            f(path, p);
        }
    });
}

pub(super) fn visit_mut(walk: WalkMut<'_>, f: VisitMut<'_>) {
    walk(&mut Path::default(), &mut |path, item| {
        if let ItemMut::Param(p) = item {
            f(path, p);
        }
    });
}

/// Walks one field of a module: the layer that it is, then its contents.
#[doc(hidden)]
pub fn walk_field(field: &dyn Module, name: &str, at: &mut Path, f: &mut dyn FnMut(&Path, Item<'_>)) {
    at.inside(name, |at| walk_here(field, at, f));
}

/// Walks one field of a module, to change its contents.
#[doc(hidden)]
pub fn walk_field_mut(
    field: &mut dyn Module,
    name: &str,
    at: &mut Path,
    f: &mut dyn FnMut(&Path, ItemMut<'_>),
) {
    at.inside(name, |at| field.walk_mut(at, f));
}

fn walk_here(field: &dyn Module, at: &mut Path, f: &mut dyn FnMut(&Path, Item<'_>)) {
    if let Some(node) = field.as_node() {
        f(at, Item::Layer(node));
    }
    field.walk(at, f);
}

impl Module for Param {
    fn walk(&self, at: &mut Path, f: &mut dyn FnMut(&Path, Item<'_>)) {
        f(at, Item::Param(self));
    }
    fn walk_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, ItemMut<'_>)) {
        f(at, ItemMut::Param(self));
    }
}

impl Module for Key {
    fn walk(&self, at: &mut Path, f: &mut dyn FnMut(&Path, Item<'_>)) {
        f(at, Item::Key(self));
    }
    fn walk_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, ItemMut<'_>)) {
        f(at, ItemMut::Key(self));
    }
}

impl Module for Box<dyn Node> {
    fn walk(&self, at: &mut Path, f: &mut dyn FnMut(&Path, Item<'_>)) {
        (**self).walk(at, f);
    }
    fn walk_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, ItemMut<'_>)) {
        (**self).walk_mut(at, f);
        // Last, so that what `f` puts here is not walked in turn.
        f(at, ItemMut::Slot(self));
    }
    fn as_node(&self) -> Option<&dyn Node> {
        Some(&**self)
    }
}

impl<M: Module> Module for Option<M> {
    fn walk(&self, at: &mut Path, f: &mut dyn FnMut(&Path, Item<'_>)) {
        if let Some(m) = self {
            m.walk(at, f);
        }
    }
    fn walk_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, ItemMut<'_>)) {
        if let Some(m) = self {
            m.walk_mut(at, f);
        }
    }
    fn as_node(&self) -> Option<&dyn Node> {
        self.as_ref()?.as_node()
    }
}

macro_rules! lists {
    ($([$($g:tt)*] $list:ty;)*) => {$(
        impl<$($g)*> Module for $list {
            fn walk(&self, at: &mut Path, f: &mut dyn FnMut(&Path, Item<'_>)) {
                for (i, m) in self.iter().enumerate() {
                    at.inside_item(i, |at| walk_here(m, at, f));
                }
            }
            fn walk_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&Path, ItemMut<'_>)) {
                for (i, m) in self.iter_mut().enumerate() {
                    at.inside_item(i, |at| m.walk_mut(at, f));
                }
            }
        }
    )*};
}
lists! {
    [M: Module] Vec<M>;
    [M: Module, const N: usize] [M; N];
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        /// A plain value, with nothing inside.
        impl Module for $type {
            fn walk(&self, _: &mut Path, _: &mut dyn FnMut(&Path, Item<'_>)) {}
            fn walk_mut(&mut self, _: &mut Path, _: &mut dyn FnMut(&Path, ItemMut<'_>)) {}
        }
    )*};
}
plain!(bool, usize, isize, i64, u64, f32, f64, String);

/// Makes a struct a [`Module`] by its fields that hold layers, parameters or keys. Their names become the path.
///
/// A struct with a `forward` is a layer. One without, which only groups parts, says `group`. The struct may be
/// declared here, and is then `Clone` and `Debug`; its fields may also be plain values (numbers, `bool`, `String`).
/// Or it is declared elsewhere, and its parts are listed here.
///
/// ```
/// # use gradus::nn::{Cx, Layer, Param, Part};
/// # use gradus::{Result, Tensor};
/// gradus::parts! {
///     /// `x` times a factor that is learnt.
///     struct Scale { factor: Param, squared: bool }
/// }
/// impl Layer for Scale {
///     fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
///         let factor = cx.param(&self.factor)?;
///         x.mul(&if self.squared { factor.square()? } else { factor })
///     }
/// }
///
/// #[derive(Clone, Debug)]
/// struct Pair { left: Part, right: Part }
/// gradus::parts!(group Pair { left, right });
/// ```
#[macro_export]
macro_rules! parts {
    ($(#[$meta:meta])* $vis:vis struct $type:ident { $($(#[$doc:meta])* $field_vis:vis $field:ident: $of:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $type { $($(#[$doc])* $field_vis $field: $of),* }
        $crate::parts!($type { $($field),* });
    };
    ($(#[$meta:meta])* $vis:vis group struct $type:ident { $($(#[$doc:meta])* $field_vis:vis $field:ident: $of:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $type { $($(#[$doc])* $field_vis $field: $of),* }
        $crate::parts!(group $type { $($field),* });
    };
    ($type:ty { $($field:ident),* $(,)? }) => {
        impl $crate::nn::Module for $type {
            $crate::parts!(@walks $($field)*);
            fn as_node(&self) -> Option<&dyn $crate::nn::Node> {
                Some(self)
            }
        }
    };
    (group $type:ty { $($field:ident),* $(,)? }) => {
        impl $crate::nn::Module for $type {
            $crate::parts!(@walks $($field)*);
        }
    };
    (@walks $($field:ident)*) => {
        #[allow(unused_variables)]
        fn walk(&self, at: &mut $crate::nn::Path, f: &mut dyn FnMut(&$crate::nn::Path, $crate::nn::Item<'_>)) {
            $($crate::nn::walk_field(&self.$field, stringify!($field), at, f);)*
        }
        #[allow(unused_variables)]
        fn walk_mut(&mut self, at: &mut $crate::nn::Path, f: &mut dyn FnMut(&$crate::nn::Path, $crate::nn::ItemMut<'_>)) {
            $($crate::nn::walk_field_mut(&mut self.$field, stringify!($field), at, f);)*
        }
    };
}

/// Returns every parameter with its path.
pub(crate) fn params(module: &dyn Module) -> Vec<(String, Tensor)> {
    let mut out = Vec::new();
    module.visit(&mut |path, p| out.push((path.to_string(), p.value().clone())));
    out
}

/// Returns how many numbers the parameters hold.
pub(crate) fn count_params(module: &dyn Module) -> usize {
    let mut n = 0;
    module.visit(&mut |_, p| n += p.value().elements());
    n
}

/// Fails if one parameter or key occurs in two places: a copy made by `clone` would be trained separately from its
/// original but share its optimizer state.
pub(crate) fn check_identity(module: &dyn Module) -> Result<()> {
    let mut places: BTreeMap<u64, String> = BTreeMap::new();
    let mut twice = None;
    module.walk(&mut Path::default(), &mut |path, item| {
        let id = match item {
            Item::Param(p) => p.id(),
            Item::Key(k) => k.id(),
            Item::Layer(_) => return,
        };
        if let Some(first) = places.insert(id, path.to_string())
            && twice.is_none()
        {
            twice = Some((first, path.to_string()));
        }
    });
    let Some((first, second)) = twice else { return Ok(()) };
    let got = format!("one parameter at '{first}' and at '{second}'");
    let expected = "each parameter in one place: build a layer of its own for each place instead of cloning a built one, or \
                    call one layer several times (`.shared()`)";
    Err(Error::argument("network", expected, got))
}
