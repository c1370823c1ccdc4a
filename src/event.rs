//! The macro [`event!`]: log records through the crate `log`, with the feature of that name. They tell what `fit`
//! does, warnings, and files read and written. Without the feature, nothing is compiled.

/// Writes a log record of this level (`info`, `warn`, …) with the text of a `format!`. Its target is the module.
macro_rules! event {
    ($level:ident, $($text:tt)+) => {
        #[cfg(feature = "log")]
        {
            log::$level!($($text)+);
        }
        #[cfg(not(feature = "log"))]
        if false {
            let _ = format_args!($($text)+);
        }
    };
}
pub(crate) use event;
