//! Why it exists: a package needs a library or a program; the benches beside this file are neither.
