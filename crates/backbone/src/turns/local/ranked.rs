//! A line that knows everyone's place: push at the end, remove anywhere, and count who stands before, each in O(log n).

/// Places in order of arrival over a Fenwick tree that counts the taken ones.
pub(super) struct Ranked {
    /// The ticket of the first place.
    base: u64,
    places: Vec<Option<u32>>,
    /// `tree[i]` counts taken places in the range that ends at `i` and is as long as `i + 1`'s lowest set bit.
    tree: Vec<u32>,
    len: usize,
    /// No taken place is before this one.
    front: usize,
}

const LEAST: usize = 16;

impl Ranked {
    pub fn new() -> Self {
        Self { base: 0, places: Vec::new(), tree: Vec::new(), len: 0, front: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The ticket to leave with.
    pub fn push(&mut self, who: u32) -> u64 {
        if self.places.len() == self.tree.len() {
            self.make_room();
        }
        let at = self.places.len();
        self.places.push(Some(who));
        self.add(at, true);
        self.len += 1;
        self.base + at as u64
    }

    pub fn remove(&mut self, ticket: u64) {
        let Some(at) = self.place(ticket) else { return };
        if self.places[at].take().is_some() {
            self.add(at, false);
            self.len -= 1;
        }
    }

    pub fn pop(&mut self) -> Option<u32> {
        let at = (self.front..self.places.len()).find(|at| self.places[*at].is_some())?;
        self.front = at + 1;
        let who = self.places[at].take()?;
        self.add(at, false);
        self.len -= 1;
        Some(who)
    }

    /// How many stand before this ticket.
    pub fn rank(&self, ticket: u64) -> usize {
        let mut at = self.place(ticket).unwrap_or(self.places.len());
        let mut before = 0;
        while at > 0 {
            before += self.tree[at - 1] as usize;
            at &= at - 1;
        }
        before
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.places[self.front..].iter().flatten().copied()
    }

    fn place(&self, ticket: u64) -> Option<usize> {
        let at = usize::try_from(ticket.checked_sub(self.base)?).ok()?;
        (at < self.places.len()).then_some(at)
    }

    fn add(&mut self, at: usize, one_more: bool) {
        let mut node = at + 1;
        while node <= self.tree.len() {
            let count = &mut self.tree[node - 1];
            *count = if one_more { *count + 1 } else { *count - 1 };
            node += node & node.wrapping_neg();
        }
    }

    /// Gives up the empty places at the front and doubles what is left: amortised O(1) a push.
    fn make_room(&mut self) {
        let first = self.places.iter().position(Option::is_some).unwrap_or(self.places.len());
        self.places.drain(..first);
        self.base += first as u64;
        self.front = 0;
        let size = (self.places.len() * 2).max(LEAST);
        self.tree = vec![0; size];
        for at in 0..self.places.len() {
            if self.places[at].is_some() {
                self.add(at, true);
            }
        }
    }
}
