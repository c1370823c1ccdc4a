//! The table of a callback's methods, for whatever has one of each: what a pointer, a list and a callback of closures do with them is
//! written once.

/// Calls a macro with each method's name and what it is given beside the model, after what is passed on.
macro_rules! hooks {
    ($then:ident $($passed:tt)*) => {
        $then! {
            $($passed)*
            on_train_begin(plan: &Plan);
            on_train_end();
            on_epoch_begin(epoch: usize);
            on_epoch_end(epoch: usize, logs: &mut Logs);
            on_train_batch_begin(batch: usize);
            on_train_batch_end(batch: usize, loss: f64);
            on_test_begin(plan: &Plan);
            on_test_end(logs: &Logs);
            on_test_batch_begin(batch: usize);
            on_test_batch_end(batch: usize, loss: f64);
            on_predict_begin(plan: &Plan);
            on_predict_end();
            on_predict_batch_begin(batch: usize);
            on_predict_batch_end(batch: usize, outputs: &[Tensor]);
        }
    };
}
pub(super) use hooks;

use super::{Callback, Plan};
use crate::Result;
use crate::tensor::Tensor;
use crate::train::{Logs, Model};

/// A callback behind a pointer does what it points to does.
macro_rules! pointer {
    ([$pointer:ty] $($hook:ident($($given:ident: $type:ty),*);)*) => {
        impl<C: Callback + ?Sized> Callback for $pointer {
            fn figures(&self) -> Vec<String> {
                (**self).figures()
            }
            fn shows_progress(&self) -> bool {
                (**self).shows_progress()
            }
            $(fn $hook(&mut self, model: &mut Model $(, $given: $type)*) -> Result<()> {
                (**self).$hook(model $(, $given)*)
            })*
        }
    };
}
hooks!(pointer[&mut C]);
hooks!(pointer [Box<C>]);
