//! One character's line: which of its ready conversations is served next, and how many are before each.

use super::ranked::Ranked;

/// A conversation by its index among the rooms.
pub(super) type Room = u32;

/// A place in the line, to leave or to count with.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    premium: bool,
    number: u64,
}

impl Ticket {
    pub fn is_premium(self) -> bool {
        self.premium
    }
}

/// Round robin within each class: whoever was served joins again at the end. Premium goes first, but `most` times in
/// a row at the most while others wait.
pub(super) struct Line {
    premium: Ranked,
    standard: Ranked,
    /// Premium served in a row while others waited.
    run: u32,
    /// Premium's bound; 0: premium is nothing special.
    most: u32,
    /// Rooms with a reply under way.
    pub held: Vec<Room>,
}

impl Line {
    pub fn new(most: u32) -> Self {
        Self { premium: Ranked::new(), standard: Ranked::new(), run: 0, most, held: Vec::new() }
    }

    /// Conversations that are ready.
    pub fn ready(&self) -> usize {
        self.premium.len() + self.standard.len()
    }

    pub fn has_premium(&self) -> bool {
        !self.premium.is_empty()
    }

    pub fn join(&mut self, room: Room, premium: bool) -> Ticket {
        let premium = premium && self.most > 0;
        let number = if premium { self.premium.push(room) } else { self.standard.push(room) };
        Ticket { premium, number }
    }

    pub fn leave(&mut self, ticket: Ticket) {
        if ticket.premium { self.premium.remove(ticket.number) } else { self.standard.remove(ticket.number) }
    }

    pub fn next(&mut self) -> Option<Room> {
        let premium = choose(!self.premium.is_empty(), !self.standard.is_empty(), &mut self.run, self.most)?;
        if premium { self.premium.pop() } else { self.standard.pop() }
    }

    /// The rooms in the order in which they will be served, if nobody joins.
    pub fn order(&self) -> impl Iterator<Item = Room> {
        let (mut premium, mut standard) = (self.premium.iter().peekable(), self.standard.iter().peekable());
        let (mut run, most) = (self.run, self.most);
        std::iter::from_fn(move || {
            let takes_premium = choose(premium.peek().is_some(), standard.peek().is_some(), &mut run, most)?;
            if takes_premium { premium.next() } else { standard.next() }
        })
    }

    /// How many are served before the holder of this ticket.
    pub fn before(&self, ticket: Ticket) -> u64 {
        let rank = if ticket.premium { self.premium.rank(ticket.number) } else { self.standard.rank(ticket.number) };
        self.served_before(ticket.premium, rank as u64)
    }

    /// How many would be served before one who joined now.
    pub fn before_new(&self, premium: bool) -> u64 {
        let premium = premium && self.most > 0;
        let rank = if premium { self.premium.len() } else { self.standard.len() };
        self.served_before(premium, rank as u64)
    }

    /// `rank`: how many of its own class are before it. Premium comes in runs: what is left of the present one, then
    /// `most` after each of the others.
    fn served_before(&self, premium: bool, rank: u64) -> u64 {
        let (most, left) = (u64::from(self.most), u64::from(self.most.saturating_sub(self.run)));
        let of_other = match (premium, rank.checked_sub(left)) {
            (true, None) => 0,
            (true, Some(beyond)) => (1 + beyond / most.max(1)).min(self.standard.len() as u64),
            (false, _) => left.saturating_add(rank.saturating_mul(most)).min(self.premium.len() as u64),
        };
        rank + of_other
    }
}

/// Whether the next to be served is premium; None when nobody waits.
fn choose(premium: bool, standard: bool, run: &mut u32, most: u32) -> Option<bool> {
    match (premium, standard) {
        (false, false) => None,
        (true, true) if *run < most => {
            *run += 1;
            Some(true)
        }
        (_, true) => {
            *run = 0;
            Some(false)
        }
        (true, false) => {
            *run = 0;
            Some(true)
        }
    }
}
