//! Plain models of HAProxy's rules, by scan, beside the schedulers.

use evener_plan::{HaproxyHash, HashFunction, HashKey, Scheduler};
use proptest::prelude::*;

use crate::hashes::avalanche;
use crate::key::Key;
use crate::schedule::tests::Troop;
use crate::schedule::{Ask, Schedule, make};

#[derive(Debug, Clone)]
enum Event {
    Pick(Vec<u32>),
    End(usize),
    Active(usize, bool),
    Weigh(usize, u32),
}

fn event(places: usize) -> impl Strategy<Value = Event> {
    let tried = prop::collection::btree_set(0..places as u32, 0..3);
    prop_oneof![
        20 => Just(Event::Pick(Vec::new())),
        3 => tried.prop_map(|tried| Event::Pick(tried.into_iter().collect())),
        14 => (0..places).prop_map(Event::End),
        2 => (0..places, any::<bool>()).prop_map(|(place, on)| Event::Active(place, on)),
        1 => (0..places, 1u32..20).prop_map(|(place, weight)| Event::Weigh(place, weight)),
    ]
}

fn story() -> impl Strategy<Value = (Vec<u32>, Vec<u32>, Vec<Event>)> {
    (2usize..16).prop_flat_map(|places| {
        let weights = prop::collection::vec(1u32..20, places);
        let most = prop::collection::vec(prop_oneof![2 => Just(0u32), 1 => 1u32..6], places);
        (weights, most, prop::collection::vec(event(places), 1..300))
    })
}

fn ring(balance_factor: u32) -> HaproxyHash {
    HaproxyHash {
        consistent: true,
        function: HashFunction::None,
        avalanche: false,
        balance_factor,
        key: HashKey::Id,
        pass_full: false,
    }
}

fn hashed(hash: u32) -> Ask<'static> {
    Ask { key: Key { hash: Some(hash.into()), ..Key::default() }, ..Ask::default() }
}

/// The scheduler of the next plan, which has other weights.
fn reweighed(troop: &Troop, before: &dyn Schedule, scheduler: &Scheduler) -> Box<dyn Schedule> {
    let mut schedule = make(scheduler, &troop.crew());
    let kept: Vec<Option<u32>> = (0..troop.servers.len() as u32).map(Some).collect();
    schedule.inherit(before, &kept);
    schedule
}

/// `leastconn` as a list that is sorted by key, the last to come last among equals.
struct Queue {
    weights: Vec<u32>,
    most: Vec<u32>,
    leases: Vec<u32>,
    list: Vec<(u32, usize)>,
}

impl Queue {
    fn key(&self, place: usize) -> u32 {
        match self.leases[place] {
            0 => 0,
            leases => (leases + 1) * 4096 / (self.weights[place] * 16),
        }
    }

    fn put(&mut self, place: usize) {
        self.list.retain(|(_, other)| *other != place);
        let key = self.key(place);
        let at = self.list.partition_point(|(other, _)| *other <= key);
        self.list.insert(at, (key, place));
    }

    fn moved(&mut self, place: usize) {
        let before = self.list.iter().find(|(_, other)| *other == place);
        if before.is_some_and(|(key, _)| *key != self.key(place)) {
            self.put(place);
        }
    }

    fn pick(&self, tried: &[u32]) -> Option<usize> {
        let has_room =
            |place: usize| self.most[place] == 0 || self.leases[place] < self.most[place];
        let will_do = |place: &usize| has_room(*place) && !tried.contains(&(*place as u32));
        self.list.iter().map(|(_, place)| *place).find(will_do)
    }
}

proptest! {
    #[test]
    fn leastconn_is_a_sorted_list((weights, most, events) in story()) {
        let mut troop = Troop::new(&weights);
        for (server, most) in troop.servers.iter_mut().zip(&most) {
            server.limits.most = *most;
        }
        let scheduler = Scheduler::HaproxyLeastconn {};
        let mut schedule = troop.make(&scheduler);
        let mut queue = Queue { leases: vec![0; weights.len()], list: Vec::new(), weights, most };
        (0..queue.weights.len()).for_each(|place| queue.put(place));
        for event in events {
            match event {
                Event::Pick(tried) => {
                    let picked = schedule.pick(&Ask { tried: &tried, ..Ask::default() });
                    prop_assert_eq!(picked, queue.pick(&tried));
                    if let Some(place) = picked {
                        queue.leases[place] += 1;
                        queue.moved(place);
                        schedule.set_in_flight(place, queue.leases[place]);
                    }
                }
                Event::End(place) => {
                    queue.leases[place] = queue.leases[place].saturating_sub(1);
                    queue.moved(place);
                    schedule.set_in_flight(place, queue.leases[place]);
                }
                Event::Active(place, active) => {
                    let was = queue.list.iter().any(|(_, other)| *other == place);
                    match (was, active) {
                        (false, true) => queue.put(place),
                        (true, false) => queue.list.retain(|(_, other)| *other != place),
                        _ => {}
                    }
                    schedule.set_active(place, active);
                }
                Event::Weigh(place, weight) => {
                    let changes = queue.weights[place] != weight;
                    troop.servers[place].weight = weight;
                    queue.weights[place] = weight;
                    if changes && queue.list.iter().any(|(_, other)| *other == place) {
                        queue.put(place);
                    }
                    schedule = reweighed(&troop, &*schedule, &scheduler);
                    for place in 0..queue.weights.len() {
                        let active = queue.list.iter().any(|(_, other)| *other == place);
                        schedule.set_active(place, active);
                        schedule.set_in_flight(place, queue.leases[place]);
                    }
                }
            }
        }
    }

    #[test]
    fn over_a_round_each_server_runs_by_its_weight(
        weights in prop::collection::vec(1u32..40, 1..20),
        rounds in 1u32..4,
    ) {
        let mut schedule = Troop::new(&weights).make(&Scheduler::HaproxyRoundrobin {});
        let mut runs = vec![0; weights.len()];
        for _ in 0..rounds * weights.iter().sum::<u32>() {
            runs[schedule.pick(&Ask::default()).unwrap()] += 1;
        }
        for (runs, weight) in runs.into_iter().zip(weights) {
            // The last run of a round may fall on the first place of the next.
            prop_assert!((weight * rounds).abs_diff(runs) <= 1, "{runs} of {weight} × {rounds}");
        }
    }

    #[test]
    fn roundrobin_is_fair_whatever_came_before((weights, most, events) in story()) {
        let mut troop = Troop::new(&weights);
        for (server, most) in troop.servers.iter_mut().zip(&most) {
            server.limits.most = *most;
        }
        let scheduler = Scheduler::HaproxyRoundrobin {};
        let mut schedule = troop.make(&scheduler);
        let (mut leases, mut active) = (vec![0u32; weights.len()], vec![true; weights.len()]);
        for event in events {
            match event {
                Event::Pick(tried) => {
                    let will_do = |place: usize| {
                        active[place]
                            && (most[place] == 0 || leases[place] < most[place])
                            && !tried.contains(&(place as u32))
                    };
                    let picked = schedule.pick(&Ask { tried: &tried, ..Ask::default() });
                    prop_assert_eq!(picked.is_some(), (0..weights.len()).any(will_do));
                    if let Some(place) = picked {
                        prop_assert!(will_do(place));
                        leases[place] += 1;
                        schedule.set_in_flight(place, leases[place]);
                    }
                }
                Event::End(place) => {
                    leases[place] = leases[place].saturating_sub(1);
                    schedule.set_in_flight(place, leases[place]);
                }
                Event::Active(place, on) => {
                    active[place] = on;
                    schedule.set_active(place, on);
                }
                Event::Weigh(place, weight) => {
                    troop.servers[place].weight = weight;
                    schedule = reweighed(&troop, &*schedule, &scheduler);
                    for (place, active) in active.iter().enumerate() {
                        schedule.set_active(place, *active);
                        schedule.set_in_flight(place, leases[place]);
                    }
                }
            }
        }
        for place in 0..weights.len() {
            schedule.set_in_flight(place, 0);
        }
        let weights: Vec<u32> = troop.servers.iter().map(|server| server.weight).collect();
        let heavy = |place: &usize| active[*place];
        let total: u32 = (0..weights.len()).filter(heavy).map(|place| weights[place]).sum();
        // Rounds may pass until the last change is forgotten.
        for _ in 0..40 * total {
            schedule.pick(&Ask::default());
        }
        let mut runs = vec![0u32; weights.len()];
        for _ in 0..20 * total {
            runs[schedule.pick(&Ask::default()).unwrap()] += 1;
        }
        for place in (0..weights.len()).filter(heavy) {
            let wanted = 20 * weights[place];
            prop_assert!(runs[place].abs_diff(wanted) <= 2, "{runs:?} {weights:?}");
        }
    }

    #[test]
    fn a_new_plan_that_changes_nothing_changes_no_pick((weights, most, events) in story()) {
        let mut troop = Troop::new(&weights);
        for (server, most) in troop.servers.iter_mut().zip(&most) {
            server.limits.most = *most;
        }
        let scheduler = Scheduler::HaproxyRoundrobin {};
        let (mut schedule, mut twin) = (troop.make(&scheduler), troop.make(&scheduler));
        let (mut leases, mut active) = (vec![0u32; weights.len()], vec![true; weights.len()]);
        for event in events {
            match event {
                Event::Pick(tried) => {
                    let ask = Ask { tried: &tried, ..Ask::default() };
                    let picked = schedule.pick(&ask);
                    prop_assert_eq!(picked, twin.pick(&ask));
                    if let Some(place) = picked {
                        leases[place] += 1;
                        schedule.set_in_flight(place, leases[place]);
                        twin.set_in_flight(place, leases[place]);
                    }
                }
                Event::End(_) => {}
                Event::Active(place, on) => {
                    active[place] = on;
                    schedule.set_active(place, on);
                    twin.set_active(place, on);
                }
                Event::Weigh(..) => {
                    schedule = reweighed(&troop, &*schedule, &scheduler);
                    for (place, active) in active.iter().enumerate() {
                        schedule.set_active(place, *active);
                        schedule.set_in_flight(place, leases[place]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_hash_belongs_to_the_nearest_node(
        weights in prop::collection::vec(1u32..4, 1..8),
        down in any::<prop::sample::Index>(),
        hash in any::<u32>(),
    ) {
        let mut schedule = Troop::new(&weights).make(&Scheduler::HaproxyHash { hash: ring(0) });
        let down = down.index(weights.len());
        schedule.set_active(down, weights.len() == 1);
        let up = |place: &usize| *place != down || weights.len() == 1;
        let nodes = (0..weights.len()).filter(up).flat_map(|place| {
            let key = move |node: u32| avalanche((place as u32 + 1) * 4096 + node);
            (0..weights[place] * 16).map(move |node| (key(node), place))
        });
        let far = |node: u32| hash.wrapping_sub(node).min(node.wrapping_sub(hash));
        let nearest = nodes.min_by_key(|(node, _)| (far(*node), node.wrapping_sub(hash) < 1 << 31));
        prop_assert_eq!(schedule.pick(&hashed(hash)), nearest.map(|(_, place)| place));
    }

    #[test]
    fn with_a_balance_factor_nobody_has_more_than_its_slots(
        servers in 2usize..12,
        factor in 101u32..200,
        hashes in prop::collection::vec(0u32..5, 1..200),
    ) {
        let scheduler = Scheduler::HaproxyHash { hash: ring(factor) };
        let mut schedule = Troop::new(&vec![1; servers]).make(&scheduler);
        let mut leases = vec![0u32; servers];
        for hash in hashes {
            let place = schedule.pick(&hashed(avalanche(hash))).unwrap();
            leases[place] += 1;
            schedule.set_in_flight(place, leases[place]);
            let slots = (leases.iter().sum::<u32>() * factor).div_ceil(100).div_ceil(servers as u32);
            prop_assert!(leases[place] <= slots, "{} of {slots}", leases[place]);
        }
    }
}

/// HAProxy sums the weights before a server when it starts, and leaves the sums when one is
/// re-weighed: they say who has the slots that are left over.
#[test]
fn slots_that_are_left_over_go_by_the_weights_of_the_start() {
    let scheduler = Scheduler::HaproxyHash { hash: ring(101) };
    let mut troop = Troop::new(&[2, 1, 1]);
    let before = troop.make(&scheduler);
    troop.servers[0].weight = 1;
    let picks = |mut schedule: Box<dyn Schedule>| {
        (0..3).for_each(|place| schedule.set_active(place, true));
        (1..3).for_each(|place| schedule.set_in_flight(place, 1));
        // ⌈3 × 1.01⌉ = 4 slots for three equal servers.
        let picked = (0..500).filter_map(|hash| schedule.pick(&hashed(avalanche(hash))));
        picked.collect::<std::collections::BTreeSet<usize>>()
    };
    assert_eq!(picks(make(&scheduler, &troop.crew())), [0, 2].into());
    assert_eq!(picks(reweighed(&troop, &*before, &scheduler)), [0, 1].into());
}

#[test]
fn first_goes_to_the_next_number_when_one_is_full() {
    let mut troop = Troop::new(&[1, 1, 1]);
    troop.servers[1].limits.most = 1;
    troop.servers[0].limits.number = 9;
    let mut crew = troop.crew();
    crew.numbers = vec![9, 2, 3];
    let mut first = make(&Scheduler::HaproxyFirst {}, &crew);
    (0..3).for_each(|place| first.set_active(place, true));
    assert_eq!(first.pick(&Ask::default()), Some(1));
    first.set_in_flight(1, 1);
    assert_eq!(first.pick(&Ask::default()), Some(2));
    assert_eq!(first.pick(&Ask { tried: &[2], ..Ask::default() }), Some(0));
    assert_eq!(first.pick(&Ask { tried: &[0, 2], ..Ask::default() }), None);
}

#[test]
fn a_map_passes_by_those_without_room_but_not_for_a_hash() {
    let mut troop = Troop::new(&[2, 1]);
    troop.servers[0].limits.most = 1;
    let mut robin = troop.make(&Scheduler::HaproxyStaticRr {});
    let picks = |robin: &mut Box<dyn Schedule>| -> Vec<usize> {
        (0..6).map(|_| robin.pick(&Ask::default()).unwrap()).collect()
    };
    assert_eq!(picks(&mut robin), [0, 0, 1, 0, 0, 1]);
    robin.set_in_flight(0, 1);
    assert_eq!(picks(&mut robin), [1; 6]);
    let hash = HaproxyHash { consistent: false, ..ring(0) };
    let mut map = troop.make(&Scheduler::HaproxyHash { hash });
    map.set_in_flight(0, 1);
    assert_eq!(map.pick(&hashed(3)), Some(0), "its requests wait for it");
    assert_eq!(map.pick(&Ask { tried: &[0], ..hashed(3) }), Some(1));
}

#[test]
fn of_the_draws_the_least_loaded_with_room_is_taken() {
    let mut troop = Troop::new(&[1, 1, 1]);
    troop.servers[2].limits.most = 2;
    let mut random = troop.make(&Scheduler::HaproxyRandom { draws: 8, ring: ring(0) });
    random.set_in_flight(0, 3);
    random.set_in_flight(2, 2);
    let mut counts = [0; 3];
    (0..300).for_each(|_| counts[random.pick(&Ask::default()).unwrap()] += 1);
    assert!(counts[2] == 0 && counts[1] > 250, "{counts:?}");
}

#[test]
fn without_a_key_the_ring_is_gone_through() {
    let mut schedule = Troop::new(&[1, 1]).make(&Scheduler::HaproxyHash { hash: ring(0) });
    let picks: Vec<usize> = (0..32).map(|_| schedule.pick(&Ask::default()).unwrap()).collect();
    assert_eq!(picks.iter().filter(|place| **place == 0).count(), 16, "each node once");
    schedule.set_active(picks[31], false);
    assert!((0..9).all(|_| schedule.pick(&Ask::default()) == Some(1 - picks[31])));
}

#[test]
fn a_request_that_finds_nobody_leaves_the_round_where_it_is() {
    let troop = Troop::new(&[4, 5, 2, 7, 8]);
    let play = |asks_nobody: bool| {
        let mut schedule = troop.make(&Scheduler::HaproxyRoundrobin {});
        assert!((0..9).all(|_| schedule.pick(&Ask::default()).is_some()));
        (0..5).for_each(|place| schedule.set_active(place, false));
        if asks_nobody {
            assert_eq!(schedule.pick(&Ask::default()), None);
        }
        (0..5).for_each(|place| schedule.set_active(place, true));
        (0..30).map(|_| schedule.pick(&Ask::default()).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(play(true), play(false));
}
