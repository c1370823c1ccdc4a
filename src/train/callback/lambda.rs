//! `LambdaCallback`: a callback made of closures, for a line or two without a type of its own.

use super::hooks::hooks;
use super::{Callback, Plan};
use crate::Result;
use crate::tensor::Tensor;
use crate::train::{Logs, Model};

macro_rules! closures {
    ($($hook:ident($($given:ident: $type:ty),*);)*) => {
        /// A callback made of closures, one for each method of [`Callback`] that is wanted:
        /// `LambdaCallback::new().on_epoch_end(|model, epoch, logs| …)`.
        ///
        /// ```
        /// use gradus::prelude::*;
        ///
        /// let mut model = Sequential::new().add(Input::new(1)).add(Dense::new(1)).compile("sgd", "mse", ())?;
        /// let mut batches = 0;
        /// let count = LambdaCallback::new().on_train_batch_end(|_, _, _| {
        ///     batches += 1;
        ///     Ok(())
        /// });
        /// let x = Tensor::ones([8, 1])?;
        /// model.fit(&x, &x, Fit::new().batch_size(2).callback(count).verbose(0))?;
        /// assert_eq!(batches, 4);
        /// # Ok::<(), gradus::Error>(())
        /// ```
        #[derive(Default)]
        pub struct LambdaCallback<'a> {
            $($hook: Option<Box<dyn FnMut(&mut Model $(, $type)*) -> Result<()> + Send + 'a>>,)*
        }

        impl<'a> LambdaCallback<'a> {
            /// Does nothing yet.
            pub fn new() -> LambdaCallback<'a> {
                LambdaCallback::default()
            }

            $(
                #[doc = concat!("Called as [`Callback::", stringify!($hook), "`].")]
                #[must_use]
                pub fn $hook(
                    mut self,
                    f: impl FnMut(&mut Model $(, $type)*) -> Result<()> + Send + 'a,
                ) -> Self {
                    self.$hook = Some(Box::new(f));
                    self
                }
            )*
        }

        impl Callback for LambdaCallback<'_> {
            $(fn $hook(&mut self, model: &mut Model $(, $given: $type)*) -> Result<()> {
                self.$hook.as_mut().map_or(Ok(()), |f| f(model $(, $given)*))
            })*
        }
    };
}
hooks!(closures);
