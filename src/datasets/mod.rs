//! Why it exists: a first program needs data. Readers of the formats that data sets come in, and a set of digits
//! made on the spot for when there is no file at all.

pub mod digits;
pub mod idx;
pub mod mnist;
