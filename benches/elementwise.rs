//! criterion
fn main() {}
