//! Tests of the public interface that run under the address sanitizer and on an emulated machine, too, for each of which
//! the library is built anew. Among its own tests they need no second build of it.

mod golden_weights;
mod views;
