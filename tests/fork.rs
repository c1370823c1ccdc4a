//! Tests that a forked process works, because servers fork. A child has none of its parent's threads, so work that
//! waits for them would wait forever; it must run on the child's own thread, with the same bits. This is the only
//! test of this file, so that no other thread holds a lock while it forks.
#![cfg(unix)]
#![allow(missing_docs, unsafe_code, clippy::unwrap_used)]

use gradus::prelude::*;
use std::time::{Duration, Instant};

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
    fn kill(process: i32, signal: i32) -> i32;
    fn _exit(status: i32) -> !;
}

/// Whether a child that does this ends in time and says yes.
fn in_a_child(work: impl FnOnce() -> bool) -> bool {
    // SAFETY: this is the only thread that holds anything, and the child ends without running the parent's destructors.
    let child = unsafe { fork() };
    assert!(child >= 0);
    if child == 0 {
        let good = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(false);
        // SAFETY: as above.
        unsafe { _exit(i32::from(!good)) };
    }
    let (begin, mut status) = (Instant::now(), 0);
    // SAFETY: the process is our child, and 1 is WNOHANG.
    while unsafe { waitpid(child, &mut status, 1) } == 0 {
        if begin.elapsed() > Duration::from_secs(60) {
            // SAFETY: as above; 9 is SIGKILL.
            unsafe { kill(child, 9) };
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    status == 0
}

#[test]
fn a_forked_child_predicts_and_trains_on_its_own_thread() {
    let stack =
        Sequential::new().add(Input::new([64])).add(Dense::new(512).activation(Relu)).add(Dense::new(8));
    let mut model = stack.compile(Adam::new(0.01), MeanSquaredError::new(), ()).unwrap();
    let x = Tensor::randn([512, 64], gradus::random::Stream::new(1, gradus::random::Purpose::User(0), 0))
        .unwrap();
    let y = Tensor::zeros([512, 8]).unwrap();
    let own = Threads::new(2).unwrap();
    // The parent uses the pool of all, and one of its own.
    let expected = model.predict(&x).unwrap();
    assert!(own.run(|| model.predict(&x)).unwrap().same_bits(&expected));
    for _ in 0..2 {
        assert!(in_a_child(|| model.predict(&x).unwrap().same_bits(&expected)), "predict");
        assert!(in_a_child(|| own.run(|| model.predict(&x)).unwrap().same_bits(&expected)), "a pool");
        let product = x.matmul(&x.t().unwrap()).unwrap();
        assert!(in_a_child(|| x.matmul(&x.t().unwrap()).unwrap().same_bits(&product)), "an operation");
    }
    let quiet = || Fit::new().epochs(1).verbose(0);
    let mut twin = model.clone();
    twin.fit(&x, &y, quiet()).unwrap();
    let trained = twin.weight_bytes().unwrap();
    assert!(
        in_a_child(|| model.fit(&x, &y, quiet()).is_ok() && model.weight_bytes().unwrap() == trained),
        "fit"
    );
    // A child may start threads of its own.
    assert!(
        in_a_child(|| Threads::new(2).unwrap().run(|| model.predict(&x)).unwrap().same_bits(&expected)),
        "a pool of the child"
    );
}
