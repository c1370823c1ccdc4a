//! The memory under everything. Blocks come from a pool of size classes, so that a training step in its steady
//! state asks nothing of the system allocator. Tensors' values, steps of the tape and short lists are all made of
//! these blocks, counted and shared by hand.
//!
//! A block begins with a 64-byte header and is aligned to 64 bytes. It is zeroed when it first comes from the
//! system and keeps its contents afterwards. Blocks of numbers never hold anything else, so they are always
//! initialised memory.
#![allow(unsafe_code)]

use crate::{DType, Error, Result, Shape, Stored};
use std::alloc::{Layout as Block, alloc, dealloc};
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

const ALIGN: usize = 64;
const HEADER: usize = 64;
/// The logarithms of the number of size classes per doubling: of payloads below 1 MiB, and of larger ones.
const COARSE: u32 = 2;
const FINER: u32 = 4;
/// The doubling from which classes are finer: 2^14 units of 64 bytes are 1 MiB.
const FINE: usize = 14;
/// The first class of the finer ones.
const FIRST_FINE: usize = 4 + (FINE - 2) * (1 << COARSE);
/// The number of size classes, which reach the largest tensor: 2^34 units.
const SIZES: usize = FIRST_FINE + (34 - FINE) * (1 << FINER);
/// Blocks of numbers and blocks of objects have separate lists: objects have padding, which must never be read as
/// numbers.
const CLASSES: usize = 2 * SIZES;
/// Bytes that each thread keeps for itself, and bytes that all share beyond that, at first and at most
/// ([`SharedLists`]). More goes back to the system.
const LOCAL_MAX: usize = 64 << 20;
const SHARED_MIN: usize = 64 << 20;
const SHARED_MAX: usize = 1 << 30;
/// The limit is reconsidered each time that this many times its size was given back.
const WINDOW: usize = 16;
/// A thread reports what it gave back to itself in steps of this size.
const REPORT: usize = 256 << 20;
/// The largest tensor: a size beyond 1 TiB is a mistake. Where addresses have 32 bits, the limit keeps the block
/// around it, which is up to a quarter larger, below `isize::MAX`.
const MAX_BYTES: u128 = if usize::BITS < 64 { 1 << 30 } else { 1 << 40 };
const TOO_LARGE: &str =
    if usize::BITS < 64 { "a tensor holds at most 1 GiB here" } else { "a tensor holds at most 1 TiB" };

struct Header {
    refs: AtomicUsize,
    class: usize,
    /// Payload bytes asked for.
    bytes: usize,
    /// The block that this one is a part of, which it holds, if it is one of an [`Arena`](super::arena::Arena).
    around: Option<NonNull<Header>>,
}

/// Returns the class of a payload and the size of its blocks: payloads in 64-byte steps at first, then four per
/// doubling, from 1 MiB on 16: so that at most a quarter is wasted, of a large block a 16th, and nothing of a power of two.
fn class_of(payload: usize) -> (usize, usize) {
    let units = payload.div_ceil(ALIGN).max(1);
    let class = if units <= 4 {
        units - 1
    } else {
        let p = (units - 1).ilog2() as usize;
        let (first, steps) = steps_of(p);
        first + ((units - 1) >> (p as u32 - steps)) - (1 << steps)
    };
    (class, size_of_class(class))
}

/// Returns the first class of a doubling, of more than 2^p units, and how many it has, as a power of two.
fn steps_of(p: usize) -> (usize, u32) {
    match p < FINE {
        true => (4 + ((p - 2) << COARSE), COARSE),
        false => (FIRST_FINE + ((p - FINE) << FINER), FINER),
    }
}

fn size_of_class(class: usize) -> usize {
    let class = class % SIZES;
    if class < 4 {
        return HEADER + (class + 1) * ALIGN;
    }
    let (p, steps) = match class.checked_sub(FIRST_FINE) {
        None => (((class - 4) >> COARSE) + 2, COARSE),
        Some(fine) => ((fine >> FINER) + FINE, FINER),
    };
    let step = class - steps_of(p).0;
    HEADER + (((1 << steps) + step + 1) << (p as u32 - steps)) * ALIGN
}

/// Blocks of at least this size (4 MiB) begin on a large page of memory and ask for such pages: rows picked at
/// random from a data set then cost one address translation in all instead of one each.
const LARGE: usize = 4 << 20;
const LARGE_PAGE: usize = 2 << 20;

fn block_of(class: usize) -> Block {
    let size = size_of_class(class);
    let align = if size >= LARGE { LARGE_PAGE } else { ALIGN };
    // SAFETY: the alignment is a power of two, and MAX_BYTES keeps sizes below isize::MAX.
    unsafe { Block::from_size_align_unchecked(size, align) }
}

/// Asks the system to use large pages for a new block, if it has any.
#[cfg(target_os = "linux")]
fn advise(block: NonNull<u8>, size: usize) {
    // SAFETY: the range is ours, starts on a page, and advice about page sizes changes no contents. An error means
    // that it was not taken.
    unsafe { libc::madvise(block.as_ptr().cast(), size, libc::MADV_HUGEPAGE) };
}
#[cfg(not(target_os = "linux"))]
fn advise(_: NonNull<u8>, _: usize) {}

/// Gets a zeroed block of this class from the system.
fn obtain(class: usize) -> Option<NonNull<u8>> {
    let block = block_of(class);
    // SAFETY: no class has size zero.
    let start = NonNull::new(unsafe { alloc(block) })?;
    if block.size() >= LARGE {
        advise(start, block.size());
    }
    // SAFETY: the block is ours and this large.
    unsafe { start.write_bytes(0, block.size()) };
    Some(start)
}

/// Free blocks by class, chained through their own first bytes.
struct FreeLists {
    heads: [*mut u8; CLASSES],
    bytes: usize,
    /// Bytes given back since the last report.
    unreported: usize,
}

// SAFETY: the blocks in the lists belong to the lists alone.
unsafe impl Send for FreeLists {}

impl FreeLists {
    const fn new() -> FreeLists {
        FreeLists { heads: [std::ptr::null_mut(); CLASSES], bytes: 0, unreported: 0 }
    }

    fn pop(&mut self, class: usize) -> Option<NonNull<u8>> {
        let head = NonNull::new(self.heads[class])?;
        // SAFETY: a block in a list holds the next one's address in its first bytes.
        self.heads[class] = unsafe { head.cast::<*mut u8>().read() };
        self.bytes -= size_of_class(class);
        Some(head)
    }

    fn push(&mut self, class: usize, block: NonNull<u8>) {
        // SAFETY: the caller gives the block away; it is at least a header long and aligned.
        unsafe { block.cast::<*mut u8>().write(self.heads[class]) };
        self.heads[class] = block.as_ptr();
        self.bytes += size_of_class(class);
    }

    fn release_all(&mut self) {
        for class in 0..CLASSES {
            while let Some(block) = self.pop(class) {
                release(class, block);
            }
        }
    }
}

struct Local(UnsafeCell<FreeLists>);

impl Drop for Local {
    fn drop(&mut self) {
        let lists = self.0.get_mut();
        for class in 0..CLASSES {
            while let Some(block) = lists.pop(class) {
                give_shared(class, block);
            }
        }
    }
}

thread_local! {
    static LOCAL: Local = const { Local(UnsafeCell::new(FreeLists::new())) };
}
static SHARED: Mutex<SharedLists> = Mutex::new(SharedLists::new());

/// The free blocks that all threads share: as much as use has shown to be needed. The memory of a dropped data set
/// goes back to the system; what a training step gives back is needed again in the next.
///
/// So the lists begin with little room. If a block is asked for in vain soon after others had no room, there should
/// have been more: the room grows by its size. Blocks that nobody took in a whole window of use go back to the
/// system, and the room shrinks by their size.
struct SharedLists {
    lists: FreeLists,
    /// Bytes that the lists may hold.
    room: usize,
    /// Bytes that had no room and were not asked for again: in this window, and in the one before.
    released: [usize; 2],
    /// Bytes given back in this window, here or to threads' own lists.
    given: usize,
    /// The blocks of each class, and the fewest there were in this window.
    count: [u32; CLASSES],
    fewest: [u32; CLASSES],
}

impl SharedLists {
    const fn new() -> SharedLists {
        let lists = FreeLists::new();
        SharedLists {
            lists,
            room: SHARED_MIN,
            released: [0; 2],
            given: 0,
            count: [0; CLASSES],
            fewest: [0; CLASSES],
        }
    }

    fn pop(&mut self, class: usize) -> Option<NonNull<u8>> {
        let block = self.lists.pop(class);
        match block {
            Some(_) => {
                self.count[class] -= 1;
                self.fewest[class] = self.fewest[class].min(self.count[class]);
            }
            None => {
                let mut missed = size_of_class(class);
                for released in &mut self.released {
                    let again = missed.min(*released);
                    *released -= again;
                    missed -= again;
                    self.room = (self.room + again).min(SHARED_MAX);
                }
            }
        }
        block
    }

    /// Takes a block, or returns that there is no room for it.
    fn push(&mut self, class: usize, block: NonNull<u8>) -> bool {
        let size = size_of_class(class);
        let fits = self.lists.bytes + size <= self.room;
        if fits {
            self.lists.push(class, block);
            self.count[class] += 1;
        } else {
            self.released[0] = (self.released[0] + size).min(SHARED_MAX);
        }
        self.used(size);
        fits
    }

    /// Counts bytes that were given back; at the end of a window, releases what nobody took in it.
    fn used(&mut self, bytes: usize) {
        self.given += bytes;
        if self.given < WINDOW * self.room {
            return;
        }
        (self.given, self.released) = (0, [0, self.released[0]]);
        for class in 0..CLASSES {
            for _ in 0..self.fewest[class] {
                if let Some(block) = self.lists.pop(class) {
                    release(class, block);
                    self.count[class] -= 1;
                    self.room = self.room.saturating_sub(size_of_class(class)).max(SHARED_MIN);
                }
            }
        }
        self.fewest = self.count;
    }

    fn release_all(&mut self) {
        self.lists.release_all();
        *self = SharedLists::new();
    }
}

fn shared() -> std::sync::MutexGuard<'static, SharedLists> {
    SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn release(class: usize, block: NonNull<u8>) {
    // SAFETY: every block was allocated in `obtain` with exactly this layout.
    unsafe { dealloc(block.as_ptr(), block_of(class)) }
}

fn give_shared(class: usize, block: NonNull<u8>) {
    let fits = shared().push(class, block);
    if !fits {
        release(class, block);
    }
}

/// What a block will hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Numbers,
    Objects,
}

/// Returns a block for this many payload bytes with a reference count of one, or `None` if the system has no more.
fn take(payload: usize, purpose: Use) -> Option<NonNull<Header>> {
    if payload as u128 > MAX_BYTES {
        return None;
    }
    let (class, _) = class_of(payload);
    let class = if purpose == Use::Objects { class + SIZES } else { class };
    // SAFETY: the cell is this thread's alone, and nothing called inside comes back here.
    let local = LOCAL.try_with(|l| unsafe { &mut *l.0.get() }.pop(class)).ok().flatten();
    let block = match local.or_else(|| shared().pop(class)) {
        Some(block) => block,
        None => obtain(class)?,
    };
    let header = block.cast::<Header>();
    // SAFETY: the block is ours, aligned, and longer than a header.
    unsafe { header.write(Header { refs: AtomicUsize::new(1), class, bytes: payload, around: None }) };
    Some(header)
}

/// Gives a block back. It must not be used any more.
fn give(header: NonNull<Header>) {
    // SAFETY: the caller held the last reference.
    let class = unsafe { header.as_ref() }.class;
    let block = header.cast::<u8>();
    let size = size_of_class(class);
    let kept = LOCAL.try_with(|l| {
        // SAFETY: as in `take`.
        let lists = unsafe { &mut *l.0.get() };
        let fits = lists.bytes + size <= LOCAL_MAX;
        if fits {
            lists.push(class, block);
            lists.unreported += size;
            if lists.unreported >= REPORT {
                shared().used(std::mem::take(&mut lists.unreported));
            }
        }
        fits
    });
    if kept != Ok(true) {
        give_shared(class, block);
    }
}

fn payload(header: NonNull<Header>) -> NonNull<u8> {
    // SAFETY: every block is longer than its header.
    unsafe { header.cast::<u8>().add(HEADER) }
}

/// Returns the pool's idle memory (this thread's and the shared part) to the system. Results never depend on it.
///
/// Without it, the pool keeps at most 64 MiB for each thread, and beyond that what recent use needed again and
/// again: at most 1 GiB, and no more than 64 MiB after dropping a large tensor that was made only once.
pub fn trim() {
    // SAFETY: as in `take`.
    let _ = LOCAL.try_with(|l| unsafe { &mut *l.0.get() }.release_all());
    shared().release_all();
    // The allocator of glibc keeps what lies between blocks in use; if another one is in its place, this does nothing.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes no pointers, and changes no memory that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Returns the idle bytes in the pool: this thread's and the shared part.
pub fn pooled_bytes() -> usize {
    // SAFETY: as in `take`.
    let local = LOCAL.try_with(|l| unsafe { &*l.0.get() }.bytes).unwrap_or(0);
    local + shared().lists.bytes
}

/// Adds a reference to an object in a pool block.
fn retain(header: NonNull<Header>) {
    // SAFETY: the caller holds a reference.
    let old = unsafe { header.as_ref() }.refs.fetch_add(1, Ordering::Relaxed);
    assert!(old < isize::MAX as usize, "reference count overflow");
}

/// Drops a reference; returns true if it was the last, in which case the caller owns the block.
fn let_go(header: NonNull<Header>) -> bool {
    // SAFETY: the caller holds a reference.
    let last = unsafe { header.as_ref() }.refs.fetch_sub(1, Ordering::Release) == 1;
    if last {
        fence(Ordering::Acquire);
    }
    last
}

fn is_unique(header: NonNull<Header>) -> bool {
    // SAFETY: the caller holds a reference.
    unsafe { header.as_ref() }.refs.load(Ordering::Acquire) == 1
}

/// The bytes of a tensor, shared by its clones and views.
pub(crate) struct Buffer(NonNull<Header>);

// SAFETY: the payload is plain numbers, mutable only through a unique reference; the count is atomic.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Allocates memory for the elements of a tensor, with unspecified contents (NaNs in debug builds).
    pub(crate) fn new(shape: &Shape, dtype: DType) -> Result<Buffer> {
        let bytes = shape.dims().iter().fold(dtype.size() as u128, |n, &d| n.saturating_mul(d as u128));
        let fail = |why| Error::Memory { bytes, dtype, shape: Box::new(*shape), why };
        if bytes > MAX_BYTES {
            return Err(fail(TOO_LARGE));
        }
        if !shape.is_countable() {
            return Err(fail("its elements cannot be counted"));
        }
        let buffer =
            Buffer(take(bytes as usize, Use::Numbers).ok_or_else(|| fail("the system has no more memory"))?);
        if cfg!(debug_assertions) {
            // SAFETY: the block is new and ours, `bytes` long.
            unsafe { payload(buffer.0).write_bytes(0xFF, bytes as usize) };
        }
        Ok(buffer)
    }

    /// Returns the whole buffer as numbers of one type.
    pub(crate) fn slice<T: Stored>(&self) -> &[T] {
        // SAFETY: the payload is initialised, aligned to 64, and valid for every bit pattern of T.
        unsafe {
            let len = self.0.as_ref().bytes / size_of::<T>();
            std::slice::from_raw_parts(payload(self.0).cast::<T>().as_ptr(), len)
        }
    }

    /// Returns the whole buffer for writing, if nothing else holds it.
    pub(crate) fn unique<T: Stored>(&mut self) -> Option<&mut [T]> {
        // SAFETY: as in `slice`; `is_unique` and `&mut self` exclude every other access.
        is_unique(self.0).then(|| unsafe {
            let len = self.0.as_ref().bytes / size_of::<T>();
            std::slice::from_raw_parts_mut(payload(self.0).cast::<T>().as_ptr(), len)
        })
    }

    /// Makes a buffer of a part of this one's payload, which it keeps alive.
    ///
    /// # Safety
    /// The part, [`Buffer::span`] of `bytes` from `at` on, lies within the payload, `at` is a multiple of 64, and
    /// nothing else reads or writes it while the part or a clone of it lives.
    pub(super) unsafe fn part(&self, at: usize, bytes: usize) -> Buffer {
        retain(self.0);
        // SAFETY: the caller promises that the part is inside of the block and nobody else's.
        let header = unsafe { payload(self.0).add(at) }.cast::<Header>();
        let whole = Header { refs: AtomicUsize::new(1), class: 0, bytes, around: Some(self.0) };
        // SAFETY: as above; the payload is aligned to 64, and so is the part.
        unsafe { header.write(whole) };
        if cfg!(debug_assertions) {
            // SAFETY: as above.
            unsafe { payload(header).write_bytes(0xFF, bytes) };
        }
        Buffer(header)
    }

    /// Returns how many bytes of another buffer a part of it with so many bytes takes.
    pub(crate) fn span(bytes: usize) -> usize {
        HEADER + bytes.next_multiple_of(ALIGN)
    }

    /// Returns whether nothing holds the part any more that was made here.
    ///
    /// # Safety
    /// A part was made at `at`, and nothing was written over it since.
    pub(super) unsafe fn part_is_free(&self, at: usize) -> bool {
        // SAFETY: the caller promises that there is a header.
        let part = unsafe { payload(self.0).add(at).cast::<Header>().as_ref() };
        part.refs.load(Ordering::Acquire) == 0
    }

    /// Returns its address: different for any two that are held at the same time.
    pub(crate) fn place(&self) -> usize {
        self.0.addr().get()
    }

    pub(crate) fn is_unique(&self) -> bool {
        is_unique(self.0)
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Buffer {
        retain(self.0);
        Buffer(self.0)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // Read before the reference is dropped: from then on an arena may use the memory of a part again.
        // SAFETY: this reference keeps the block.
        let around = unsafe { self.0.as_ref() }.around;
        if let_go(self.0) {
            match around {
                None => give(self.0),
                Some(around) => drop(Buffer(around)),
            }
        }
    }
}

/// An `Arc` in a pool block.
pub(crate) struct Shared<T: ?Sized> {
    header: NonNull<Header>,
    value: NonNull<T>,
    owns: PhantomData<T>,
}

// SAFETY: as for `Arc`.
unsafe impl<T: ?Sized + Send + Sync> Send for Shared<T> {}
// SAFETY: as for `Arc`.
unsafe impl<T: ?Sized + Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Moves a value into the pool. If memory this small runs out, it aborts, as `Box` does.
    pub(crate) fn new(value: T) -> Shared<T> {
        const { assert!(align_of::<T>() <= ALIGN) };
        let header = take_object(size_of::<T>());
        let place = payload(header).cast::<T>();
        // SAFETY: the payload is ours, large enough and aligned.
        unsafe { place.write(value) };
        Shared { header, value: place, owns: PhantomData }
    }

    /// Erases the concrete type; `f` is the coercion.
    pub(crate) fn erase<U: ?Sized>(self, f: fn(NonNull<T>) -> NonNull<U>) -> Shared<U> {
        let whole = std::mem::ManuallyDrop::new(self);
        let value = f(whole.value);
        assert!(value.cast::<u8>() == whole.value.cast::<u8>());
        Shared { header: whole.header, value, owns: PhantomData }
    }
}

/// Returns a block for an object of this size. If memory this small runs out, it aborts, as `Box` does.
fn take_object(bytes: usize) -> NonNull<Header> {
    let Some(header) = take(bytes, Use::Objects) else {
        std::alloc::handle_alloc_error(Block::from_size_align(bytes, ALIGN).unwrap_or(Block::new::<u8>()));
    };
    header
}

impl<T: ?Sized> Shared<T> {
    /// Returns the value for changing it, if nothing else holds it.
    pub(crate) fn unique(&mut self) -> Option<&mut T> {
        // SAFETY: `is_unique` and `&mut self` exclude every other access.
        is_unique(self.header).then(|| unsafe { &mut *self.value.as_ptr() })
    }
}

impl<T: ?Sized> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the value lives as long as any reference.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized + std::fmt::Debug> std::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        retain(self.header);
        Shared { header: self.header, value: self.value, owns: PhantomData }
    }
}

impl<T: ?Sized> Drop for Shared<T> {
    fn drop(&mut self) {
        if let_go(self.header) {
            // SAFETY: the last reference: the value is dropped once, then its block.
            unsafe { self.value.as_ptr().drop_in_place() };
            give(self.header);
        }
    }
}

/// A block of the pool for objects. The owner manages its contents.
pub(super) struct Objects(NonNull<Header>);

// SAFETY: it is memory that nobody else uses.
unsafe impl Send for Objects {}
// SAFETY: as above.
unsafe impl Sync for Objects {}

impl Objects {
    /// The alignment of its start.
    pub(super) const ALIGN: usize = ALIGN;

    /// Allocates at least this many bytes. If memory this small runs out, it aborts, as `Vec` does.
    pub(super) fn new(bytes: usize) -> Objects {
        Objects(take_object(bytes))
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        payload(self.0)
    }

    /// Returns how many bytes there are.
    pub(super) fn bytes(&self) -> usize {
        // SAFETY: the header is ours.
        size_of_class(unsafe { self.0.as_ref() }.class) - HEADER
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        give(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cover_sizes_with_little_waste() {
        let large = (20..40).flat_map(|p| [1 << p, (1 << p) + 1, (1 << p) / 16 * 19 + 1, (2 << p) - 1]);
        let mut last = class_of(0);
        for payload in (0..100_000).chain(large.map(|p: u64| p.min(MAX_BYTES as u64) as usize)) {
            let (class, size) = class_of(payload);
            assert!(class < SIZES);
            assert_eq!(size, size_of_class(class));
            assert!(size >= payload + HEADER);
            let waste = if payload <= 1 << 20 { 4 } else { 16 };
            assert!(size <= payload + HEADER + payload / waste + ALIGN, "{payload} takes {size}");
            assert!((class, size) == last || (class > last.0 && size > last.1), "{payload}: {class}, {size}");
            last = (class, size);
        }
    }

    #[test]
    fn a_freed_block_serves_the_next_request_of_its_class() {
        let shape = Shape::new(&[1000]).unwrap();
        let first = Buffer::new(&shape, DType::F32).unwrap();
        let address = first.slice::<f32>().as_ptr();
        drop(first);
        let second = Buffer::new(&shape, DType::F32).unwrap();
        assert_eq!(second.slice::<f32>().as_ptr(), address);
    }

    /// Gets a block of this class from the system, of which only the first bytes are touched.
    fn fresh(class: usize) -> NonNull<u8> {
        // SAFETY: no class has size zero.
        NonNull::new(unsafe { alloc(block_of(class)) }).unwrap()
    }

    /// Returns a block from the lists or, if they have none, from the system.
    fn taken(lists: &mut SharedLists, class: usize, misses: &mut usize) -> NonNull<u8> {
        lists.pop(class).unwrap_or_else(|| {
            *misses += 1;
            fresh(class)
        })
    }

    fn given(lists: &mut SharedLists, class: usize, block: NonNull<u8>) {
        if !lists.push(class, block) {
            release(class, block);
        }
    }

    #[test]
    fn what_is_dropped_once_goes_back_to_the_system() {
        let mut lists = SharedLists::new();
        let (class, size) = class_of(40 << 20);
        for block in (0..32).map(|_| fresh(class)).collect::<Vec<_>>() {
            given(&mut lists, class, block);
        }
        assert!((size..=SHARED_MIN).contains(&lists.lists.bytes), "{} bytes", lists.lists.bytes);
        lists.release_all();
    }

    #[test]
    fn what_is_wanted_again_and_again_stays_until_other_work_shows_that_it_is_not() {
        let mut lists = SharedLists::new();
        let (class, size) = class_of(40 << 20);
        let mut misses = Vec::new();
        for _ in 0..40 {
            let mut missed = 0;
            let blocks: Vec<_> = (0..10).map(|_| taken(&mut lists, class, &mut missed)).collect();
            blocks.into_iter().for_each(|block| given(&mut lists, class, block));
            misses.push(missed);
        }
        assert!(misses[..2].iter().all(|&n| n > 0) && misses[3..].iter().all(|&n| n == 0), "{misses:?}");
        assert_eq!(lists.lists.bytes, 10 * size);
        // Other work, of another size, in the lists of threads or here.
        let (small, _) = class_of(1 << 20);
        for step in 0..20_000 {
            match step % 2 {
                0 => lists.used(1 << 20),
                _ => {
                    let block = taken(&mut lists, small, &mut 0);
                    given(&mut lists, small, block);
                }
            }
        }
        assert!(lists.lists.bytes <= 2 << 20, "{} bytes", lists.lists.bytes);
        assert_eq!(lists.room, SHARED_MIN);
        lists.release_all();
    }

    #[test]
    fn no_use_makes_the_room_larger_than_its_limit() {
        let mut lists = SharedLists::new();
        let (class, size) = class_of(100 << 20);
        for _ in 0..8 {
            let blocks: Vec<_> = (0..20).map(|_| taken(&mut lists, class, &mut 0)).collect();
            blocks.into_iter().for_each(|block| given(&mut lists, class, block));
            assert!(lists.lists.bytes <= SHARED_MAX);
        }
        assert!(lists.lists.bytes > SHARED_MAX - 2 * size);
        lists.release_all();
    }

    #[test]
    fn shared_drops_its_value_once() {
        let probe = std::sync::Arc::new(());
        let mut a = Shared::new(probe.clone());
        let b = a.clone();
        assert!(a.unique().is_none());
        drop(b);
        assert!(a.unique().is_some());
        drop(a);
        assert_eq!(std::sync::Arc::strong_count(&probe), 1);
    }
}
