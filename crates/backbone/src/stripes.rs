//! State parted by key over many small locks, so that callers of different keys seldom wait for each other.

use parking_lot::{Mutex, MutexGuard};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};

/// `N` locks; a key always falls on the same one. Hashing is seeded, so that nobody outside can aim at one lock.
pub(crate) struct Stripes<T, const N: usize> {
    hasher: RandomState,
    locks: Box<[Mutex<T>]>,
}

impl<T: Default, const N: usize> Stripes<T, N> {
    pub fn new() -> Self {
        Self { hasher: RandomState::new(), locks: std::iter::repeat_with(Mutex::default).take(N).collect() }
    }
}

impl<T, const N: usize> Stripes<T, N> {
    pub fn index<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        // The remainder is below N, and so below the range of usize.
        (self.hasher.hash_one(key) % N as u64) as usize
    }

    pub fn at(&self, index: usize) -> MutexGuard<'_, T> {
        self.locks[index].lock()
    }

    pub fn of<Q: Hash + ?Sized>(&self, key: &Q) -> MutexGuard<'_, T> {
        self.at(self.index(key))
    }

    /// All of them, one after the other.
    pub fn each(&self) -> impl Iterator<Item = MutexGuard<'_, T>> {
        self.locks.iter().map(Mutex::lock)
    }
}
