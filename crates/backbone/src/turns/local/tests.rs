//! The line against a plain list, and what long lines cost.

use super::line::Line;
use super::ranked::Ranked;
use super::*;
use aim_domain::{CharacterId, Random, SeededRandom};

fn draw(random: &SeededRandom, below: usize) -> usize {
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    u32::from_le_bytes(bytes) as usize % below
}

#[test]
fn a_ranked_line_counts_as_a_plain_list_does() {
    let random = SeededRandom::new(3);
    let (mut ranked, mut plain) = (Ranked::new(), Vec::<(u64, u32)>::new());
    for who in 0..20_000 {
        match draw(&random, 10) {
            0..5 => plain.push((ranked.push(who), who)),
            5..8 => assert_eq!(ranked.pop(), (!plain.is_empty()).then(|| plain.remove(0).1)),
            _ if !plain.is_empty() => {
                let (ticket, _) = plain.remove(draw(&random, plain.len()));
                ranked.remove(ticket);
                ranked.remove(ticket);
            }
            _ => {}
        }
        assert_eq!(ranked.len(), plain.len());
        if who % 50 == 0 {
            assert!(ranked.iter().eq(plain.iter().map(|(_, who)| *who)));
            for (rank, (ticket, _)) in plain.iter().enumerate() {
                assert_eq!(ranked.rank(*ticket), rank);
            }
        }
    }
}

#[test]
fn places_are_counted_as_they_will_be_served() {
    for most in 0..5 {
        let random = SeededRandom::new(u64::from(most));
        let mut line = Line::new(most);
        let mut tickets = std::collections::HashMap::new();
        for room in 0..3_000 {
            match draw(&random, 10) {
                0..6 => drop(tickets.insert(room, line.join(room, draw(&random, 2) == 0))),
                6..9 => {
                    let expected = line.order().next();
                    let next = line.next();
                    assert_eq!(next, expected);
                    next.map(|room| tickets.remove(&room));
                }
                _ => {
                    if let Some(room) = tickets.keys().next().copied() {
                        tickets.remove(&room).into_iter().for_each(|ticket| line.leave(ticket));
                    }
                }
            }
            if room % 40 == 0 {
                for (before, room) in line.order().enumerate() {
                    assert_eq!(line.before(tickets[&room]), before as u64, "of runs of {most}");
                }
            }
            let premium = draw(&random, 2) == 0;
            let before = line.before_new(premium);
            let ticket = line.join(u32::MAX, premium);
            assert_eq!(line.before(ticket), before);
            line.leave(ticket);
        }
    }
}

#[tokio::test]
async fn ten_thousand_that_wait_are_served_in_no_time() {
    let turns = LocalTurns::new(Settings::default(), &Ambient::system());
    let turn = |n: usize| Turn {
        conversation: ConversationId::trusted(format!("c{n}")),
        character: CharacterId::trusted("mara"),
        message: MessageId::trusted(format!("m{n}")),
        attempt: 1,
        premium: n.is_multiple_of(5),
    };
    let start = std::time::Instant::now();
    for n in 0..10_000 {
        turns.enter(turn(n)).await.unwrap();
        turns.state(&CharacterId::trusted("mara"), &ConversationId::trusted(format!("c{}", n / 2))).await.unwrap();
    }
    let mut served = 0;
    let mut granted = turns.granted(Duration::ZERO).await.unwrap();
    while let Some(turn) = granted.pop() {
        served += 1;
        granted.extend(turns.finish(&turn).await.unwrap().granted);
    }
    assert_eq!(served, 10_000);
    assert!(turns.lines.lock().is_empty(), "nothing is left of conversations that are done");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}
