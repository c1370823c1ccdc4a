//! `CallbackList`: several callbacks as one, called in turn.

use super::hooks::hooks;
use super::{Callback, Plan};
use crate::Result;
use crate::tensor::Tensor;
use crate::train::{Logs, Model};

/// Callbacks of any types, each called in turn; itself one.
///
/// ```
/// use gradus::prelude::*;
/// use gradus::train::{CallbackList, TerminateOnNaN};
///
/// let list = CallbackList::new().add(EarlyStopping::new("loss")).add(TerminateOnNaN::new());
/// assert_eq!(list.len(), 2);
/// let mut model = Sequential::new().add(Input::new(1)).add(Dense::new(1)).compile("sgd", "mse", ())?;
/// let x = Tensor::ones([8, 1])?;
/// model.fit(&x, &x, Fit::new().callback(list).verbose(0))?;
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Default)]
pub struct CallbackList<'a>(Vec<Box<dyn Callback + 'a>>);

impl<'a> CallbackList<'a> {
    /// None yet.
    pub fn new() -> CallbackList<'a> {
        CallbackList::default()
    }

    /// With one more. Pass `&mut callback` to read it afterwards.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "as layers are added to a Sequential")]
    pub fn add(mut self, callback: impl Callback + 'a) -> CallbackList<'a> {
        self.0.push(Box::new(callback));
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// With one before the others.
    pub(crate) fn first(&mut self, callback: impl Callback + 'a) {
        self.0.insert(0, Box::new(callback));
    }
}

impl<'a, C: Callback + 'a> FromIterator<C> for CallbackList<'a> {
    fn from_iter<I: IntoIterator<Item = C>>(callbacks: I) -> CallbackList<'a> {
        callbacks.into_iter().fold(CallbackList::new(), CallbackList::add)
    }
}

/// The callbacks one by one, so that a list stands wherever an array of them does.
impl<'a> IntoIterator for CallbackList<'a> {
    type Item = Box<dyn Callback + 'a>;
    type IntoIter = std::vec::IntoIter<Self::Item>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

macro_rules! each_in_turn {
    ($($hook:ident($($given:ident: $type:ty),*);)*) => {
        impl Callback for CallbackList<'_> {
            fn figures(&self) -> Vec<String> {
                self.0.iter().flat_map(|c| c.figures()).collect()
            }
            fn shows_progress(&self) -> bool {
                self.0.iter().any(|c| c.shows_progress())
            }
            $(fn $hook(&mut self, model: &mut Model $(, $given: $type)*) -> Result<()> {
                for c in &mut self.0 {
                    c.$hook(model $(, $given)*)?;
                }
                Ok(())
            })*
        }
    };
}
hooks!(each_in_turn);
