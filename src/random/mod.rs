//! Why it exists: random numbers that depend on what they are for and on nothing else. Streams here are counters
//! put through a fixed function, so any of them can be drawn in any order, on any thread, with the same result.

mod philox;

pub use philox::philox4x32;
