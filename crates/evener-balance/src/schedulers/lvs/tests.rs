//! Plain models of the kernel's rules, by scan, beside the schedulers: pick for pick equal.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use evener_plan::{LvsLocality, LvsService, Persistence, Scheduler};
use proptest::prelude::*;

use crate::key::Key;
use crate::schedule::tests::Troop;
use crate::schedule::{Ask, Schedule};

/// Steps of 100 ms, so that time-outs are exact.
const INACTIVE: u64 = 6_400;
const EXPIRATION: u64 = 3_000;
const SERVERS: usize = 56;
const ADDRESSES: u8 = 64;

#[derive(Debug, Clone)]
enum Event {
    Open(u8),
    Close(usize),
    Wait(u64),
    Alive(usize, bool),
    Weigh(usize, u32),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        40 => (0..ADDRESSES).prop_map(Event::Open),
        20 => any::<usize>().prop_map(Event::Close),
        4 => (1u64..12).prop_map(|steps| Event::Wait(steps * 100)),
        2 => (0..SERVERS, any::<bool>()).prop_map(|(place, alive)| Event::Alive(place, alive)),
        1 => (0..SERVERS, 0u32..4).prop_map(|(place, weight)| Event::Weigh(place, weight)),
    ]
}

fn story() -> impl Strategy<Value = (Vec<u32>, Vec<u32>, Vec<Event>)> {
    let weights = prop::collection::vec(0u32..4, SERVERS);
    let limits = prop::collection::vec(prop_oneof![3 => Just(0u32), 1 => 1u32..9], SERVERS);
    (weights, limits, prop::collection::vec(event(), 1..400))
}

/// The kernel's side: servers by place, the list from the last place to the first.
#[derive(Default)]
struct Model {
    weights: Vec<u64>,
    most: Vec<u64>,
    alive: Vec<bool>,
    over: Vec<bool>,
    active: Vec<u64>,
    /// Place and end of those that count as inactive.
    inactive: Vec<(usize, u64)>,
    lblc: BTreeMap<u8, usize>,
    lblcr: BTreeMap<u8, (Vec<usize>, u64)>,
    now: u64,
}

impl Model {
    fn new(weights: &[u32], most: &[u32]) -> Model {
        let wide = |numbers: &[u32]| numbers.iter().map(|number| u64::from(*number)).collect();
        Model {
            weights: wide(weights),
            most: wide(most),
            alive: vec![true; weights.len()],
            over: vec![false; weights.len()],
            active: vec![0; weights.len()],
            ..Model::default()
        }
    }

    fn list(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.weights.len()).rev().filter(|place| self.alive[*place])
    }

    fn total(&self, place: usize) -> u64 {
        let inactive = self.inactive.iter().filter(|(at, _)| *at == place).count() as u64;
        self.active[place] + inactive
    }

    fn overhead(&self, place: usize) -> u64 {
        self.active[place] * 256 + self.total(place)
    }

    fn weigh(&mut self, place: usize) {
        let (total, most) = (self.total(place), self.most[place]);
        if most > 0 && total >= most {
            self.over[place] = true;
        } else if total < most - most / 4 {
            self.over[place] = false;
        }
    }

    fn wait(&mut self, span: u64) {
        self.now += span;
        let now = self.now;
        let (gone, stay): (Vec<_>, Vec<_>) =
            self.inactive.iter().partition(|(_, until)| *until <= now);
        self.inactive = stay;
        gone.into_iter().for_each(|(place, _)| self.weigh(place));
    }

    fn is_up(&self, place: usize) -> bool {
        self.weights[place] > 0 && !self.over[place]
    }

    fn wlc(&self) -> Option<usize> {
        let mut least = None;
        for place in self.list().filter(|place| self.is_up(*place)) {
            let load = |place: usize| self.overhead(place);
            let is_less = least.is_none_or(|least: usize| {
                load(least) * self.weights[place] > load(place) * self.weights[least]
            });
            least = if is_less { Some(place) } else { least };
        }
        least
    }

    fn is_overloaded(&self, place: usize) -> bool {
        self.active[place] > self.weights[place]
            && self.list().any(|place| self.active[place] * 2 < self.weights[place])
    }

    fn pick(&mut self, name: &str, address: u8) -> Option<usize> {
        match name {
            "fo" => {
                let up = self.list().filter(|place| self.is_up(*place));
                // The first of the highest.
                up.fold(None, |best, place| match best {
                    Some(best) if self.weights[place] <= self.weights[best] => Some(best),
                    _ => Some(place),
                })
            }
            "ovf" => {
                let fits = |place: &usize| self.active[*place] <= self.weights[*place];
                let up = self.list().filter(|place| self.is_up(*place)).filter(fits);
                up.fold(None, |best, place| match best {
                    Some(best) if self.weights[place] <= self.weights[best] => Some(best),
                    _ => Some(place),
                })
            }
            "dh" => {
                let list: Vec<usize> = self.list().collect();
                let hash = u32::from(address_of(address)).wrapping_mul(0x61c8_8647) >> 24;
                let place = *list.get(hash as usize % list.len().max(1))?;
                self.is_up(place).then_some(place)
            }
            "lblc" => {
                let known = self.lblc.get(&address).copied();
                let known = known.filter(|place| self.alive[*place] && self.weights[*place] > 0);
                if let Some(place) = known.filter(|place| !self.is_overloaded(*place)) {
                    return Some(place);
                }
                let place = self.wlc()?;
                self.lblc.insert(address, place);
                Some(place)
            }
            _ => self.lblcr(address),
        }
    }

    fn lblcr(&mut self, address: u8) -> Option<usize> {
        let Some((mut set, mut changed)) = self.lblcr.get(&address).cloned() else {
            let place = self.wlc()?;
            self.lblcr.insert(address, (vec![place], self.now));
            return Some(place);
        };
        let share = |place: usize| (self.overhead(place), self.weights[place]);
        let mut least: Option<usize> = None;
        for &place in set.iter().filter(|place| self.alive[**place] && self.is_up(**place)) {
            let is_less = least.is_none_or(|least| {
                share(least).0 * share(place).1 > share(place).0 * share(least).1
            });
            least = if is_less { Some(place) } else { least };
        }
        if set.len() > 1 && self.now > changed + EXPIRATION {
            let mut most: Option<usize> = None;
            for &place in set.iter().filter(|place| self.weights[**place] > 0) {
                let is_more = most.is_none_or(|most| {
                    share(most).0 * share(place).1 < share(place).0 * share(most).1
                });
                most = if is_more { Some(place) } else { most };
            }
            if let Some(most) = most {
                set.retain(|place| *place != most);
                changed = self.now;
            }
        }
        let mut picked = least.filter(|place| !self.is_overloaded(*place));
        if picked.is_none() {
            picked = self.wlc();
            if let Some(place) = picked.filter(|place| !set.contains(place)) {
                set.insert(0, place);
                changed = self.now;
            }
        }
        self.lblcr.insert(address, (set, changed));
        picked
    }
}

fn address_of(address: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, address / 7, address.wrapping_mul(37))
}

fn service() -> LvsService {
    LvsService { inactive: INACTIVE, persistence: None }
}

fn scheduler(name: &str) -> Scheduler {
    let locality = LvsLocality { expiration: EXPIRATION, service: service() };
    match name {
        "fo" => Scheduler::LvsFo(service()),
        "ovf" => Scheduler::LvsOvf(service()),
        "dh" => Scheduler::LvsDh(service()),
        "lblc" => Scheduler::LvsLblc(locality),
        _ => Scheduler::LvsLblcr(locality),
    }
}

fn ask(address: u8, now: u64) -> Ask<'static> {
    let key = Key { local: Some(IpAddr::V4(address_of(address))), ..Key::default() };
    Ask { key, now, tried: &[] }
}

fn play(name: &str, weights: &[u32], most: &[u32], events: &[Event]) -> Result<(), TestCaseError> {
    let mut troop = Troop::new(weights);
    for (server, most) in troop.servers.iter_mut().zip(most) {
        server.limits.most = *most;
    }
    let mut schedule = troop.make(&scheduler(name));
    let mut model = Model::new(weights, most);
    let mut open: Vec<usize> = Vec::new();
    for event in events {
        match *event {
            Event::Open(address) => {
                let picked = schedule.pick(&ask(address, model.now));
                prop_assert_eq!(picked, model.pick(name, address));
                if let Some(place) = picked {
                    model.active[place] += 1;
                    model.weigh(place);
                    schedule.set_in_flight(place, model.active[place] as u32);
                    open.push(place);
                }
            }
            Event::Close(at) if !open.is_empty() => {
                // The scheduler's clock is that of its last pick.
                schedule.pick(&Ask { tried: &ALL, now: model.now, ..Ask::default() });
                let place = open.swap_remove(at % open.len());
                model.active[place] -= 1;
                model.inactive.push((place, model.now + INACTIVE));
                model.weigh(place);
                schedule.ended(place, 0, 0);
                schedule.set_in_flight(place, model.active[place] as u32);
            }
            Event::Close(_) => {}
            Event::Wait(span) => model.wait(span),
            Event::Alive(place, alive) => {
                model.alive[place] = alive;
                schedule.set_alive(place, alive);
            }
            Event::Weigh(place, weight) => {
                troop.servers[place].weight = weight;
                model.weights[place] = weight.into();
                schedule = reweighed(&troop, name, &*schedule, &model);
            }
        }
    }
    Ok(())
}

/// Every place, so that nobody is picked.
const ALL: [u32; SERVERS] = {
    let mut all = [0; SERVERS];
    let mut place = 0;
    while place < SERVERS {
        all[place] = place as u32;
        place += 1;
    }
    all
};

/// The scheduler of the next plan, which has other weights.
fn reweighed(troop: &Troop, name: &str, before: &dyn Schedule, model: &Model) -> Box<dyn Schedule> {
    let mut schedule = crate::schedule::make(&scheduler(name), &troop.crew());
    let kept: Vec<Option<u32>> = (0..SERVERS as u32).map(Some).collect();
    schedule.inherit(before, &kept);
    for place in 0..SERVERS {
        schedule.set_alive(place, model.alive[place]);
        schedule.set_in_flight(place, model.active[place] as u32);
    }
    schedule
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn fo_picks_by_its_rule((weights, most, events) in story()) {
        play("fo", &weights, &most, &events)?;
    }

    #[test]
    fn ovf_picks_by_its_rule((weights, most, events) in story()) {
        play("ovf", &weights, &most, &events)?;
    }

    #[test]
    fn dh_picks_by_its_rule((weights, most, events) in story()) {
        play("dh", &weights, &most, &events)?;
    }

    #[test]
    fn lblc_picks_by_its_rule((weights, most, events) in story()) {
        play("lblc", &weights, &most, &events)?;
    }

    #[test]
    fn lblcr_picks_by_its_rule((weights, most, events) in story()) {
        play("lblcr", &weights, &most, &events)?;
    }
}

#[test]
fn wrr_skips_passes_that_nobody_is_high_enough_for() {
    let troop = Troop::new(&[1, 60_000, 2]);
    let mut schedule = troop.make(&Scheduler::LvsWrr(service()));
    // The heavy one sits out each pick: the others go on in turn by their weight.
    let ask = Ask { tried: &[1], ..Ask::default() };
    let picks: Vec<_> = (0..6).map(|_| schedule.pick(&ask).unwrap()).collect();
    assert_eq!(picks.iter().filter(|place| **place == 2).count(), 4, "{picks:?}");
    assert_eq!(schedule.pick(&Ask { tried: &[0, 1, 2], ..Ask::default() }), None);
}

#[test]
fn twos_draws_by_weight_and_takes_the_lesser() {
    let troop = Troop::new(&[1, 3]);
    let mut schedule = troop.make(&Scheduler::LvsTwos(service()));
    schedule.set_in_flight(0, 1);
    let mut counts = [0; 2];
    (0..10_000).for_each(|_| counts[schedule.pick(&Ask::default()).unwrap()] += 1);
    // The last is the head of the list and has 0, too: 4 of 5 numbers. Both must miss it.
    assert!((340..460).contains(&counts[0]), "{counts:?}");
}

#[test]
fn a_template_holds_its_client_for_the_time_out_and_while_it_is_connected() {
    let persistence =
        Persistence { timeout: 1_000, prefix_v4: 24, prefix_v6: 64, expire_quiescent: false };
    let service = LvsService { inactive: 0, persistence: Some(persistence) };
    let mut schedule = Troop::new(&[1, 1, 1]).make(&Scheduler::LvsRr(service));
    let mut pick = |client: &str, now| {
        let key = Key { client: client.parse().ok(), ..Key::default() };
        let picked = schedule.pick(&Ask { key, now, tried: &[] }).unwrap();
        (picked, schedule.mark())
    };
    let (first, mark) = pick("10.0.0.1:1", 0);
    assert_eq!(pick("10.0.0.250:1", 500).0, first, "one network is one client");
    assert_ne!(pick("10.0.1.1:1", 500).0, first);
    assert_eq!(pick("10.0.0.1:1", 1_600).0, first, "connections hold the template");
    let (_, last) = pick("10.0.0.1:1", 1_700);
    for _ in 0..4 {
        schedule.ended(first, mark, 0);
    }
    assert_eq!(mark, last);
    let key = Key { client: "10.0.0.1:1".parse().ok(), ..Key::default() };
    let late = schedule.pick(&Ask { key, now: 200_000, tried: &[] }).unwrap();
    assert_ne!(late, first, "round robin went on meanwhile");
}

#[test]
fn a_template_that_is_renewed_lasts_from_then_on() {
    let persistence =
        Persistence { timeout: 1_000, prefix_v4: 32, prefix_v6: 128, expire_quiescent: false };
    let service = LvsService { inactive: 0, persistence: Some(persistence) };
    let mut schedule = Troop::new(&[1, 1, 1]).make(&Scheduler::LvsRr(service));
    let mut pick = |now| {
        let key = Key { client: "10.0.0.1:1".parse().ok(), ..Key::default() };
        let place = schedule.pick(&Ask { key, now, tried: &[] }).unwrap();
        let mark = schedule.mark();
        schedule.ended(place, mark, 0);
        place
    };
    // Every 600 ms, so that each comes after what the one before the last began is over.
    let places: Vec<usize> = (0..9).map(|at| pick(at * 600)).collect();
    assert!(places.iter().all(|place| *place == places[0]), "{places:?}");
    assert_ne!(pick(7_000), places[0], "nobody renewed it for its time");
}

#[test]
fn weight_0_keeps_its_clients_and_takes_no_others() {
    let persistence =
        Persistence { timeout: 1_000, prefix_v4: 32, prefix_v6: 128, expire_quiescent: false };
    let service = LvsService { inactive: 0, persistence: Some(persistence) };
    let mut troop = Troop::new(&[1, 1]);
    let mut before = troop.make(&Scheduler::LvsRr(service.clone()));
    let of = |client: &str| Ask {
        key: Key { client: client.parse().ok(), ..Key::default() },
        ..Ask::default()
    };
    let place = before.pick(&of("10.0.0.1:1")).unwrap();
    troop.servers[place].weight = 0;
    let mut after = crate::schedule::make(&Scheduler::LvsRr(service), &troop.crew());
    after.inherit(&*before, &[Some(0), Some(1)]);
    assert_eq!(after.pick(&of("10.0.0.1:2")), Some(place));
    assert!((2..9).all(|client| after.pick(&of(&format!("10.0.0.{client}:1"))) != Some(place)));
}

#[test]
fn addresses_that_nobody_asks_for_are_forgotten() {
    use super::locality::Locality;
    let address = |number: u32| IpAddr::V4(Ipv4Addr::from_bits(number));
    let mut known = Locality::new(600_000);
    assert_eq!(known.asked(address(0), 0), None);
    (0..1_000).for_each(|number| known.remember(address(number), number, 0));
    assert_eq!(known.asked(address(7), 29 * 60_000 - 1).copied(), Some(7));
    assert_eq!(known.len(), 1_000, "few entries stay until the full sweep");
    assert_eq!(known.asked(address(7), 30 * 60_000).copied(), Some(7));
    assert_eq!(known.len(), 1);
    (0..20_000).for_each(|number| known.remember(address(number), number, 31 * 60_000));
    known.asked(address(7), 38 * 60_000);
    assert!((13_000..16_384).contains(&known.len()), "{}", known.len());
}

fn persistent(prefix_v4: u8) -> LvsService {
    let persistence =
        Persistence { timeout: 1_000, prefix_v4, prefix_v6: 64, expire_quiescent: false };
    LvsService { inactive: 0, persistence: Some(persistence) }
}

/// Whom a client that is gone at once is sent to.
fn visit(schedule: &mut dyn Schedule, client: &str, now: u64) -> Option<usize> {
    let key = Key { client: client.parse().ok(), ..Key::default() };
    let place = schedule.pick(&Ask { key, now, tried: &[] })?;
    let mark = schedule.mark();
    schedule.ended(place, mark, 0);
    Some(place)
}

#[test]
fn a_template_is_over_after_its_time_however_many_others_are() {
    let mut schedule = Troop::new(&[1; 16]).make(&Scheduler::LvsRr(persistent(32)));
    let client = |number: u32| format!("10.0.{}.{}:1", number / 250, number % 250);
    let places: Vec<_> =
        (0..1_600).map(|number| visit(&mut *schedule, &client(number), 0)).collect();
    // An hour later each is as new: round robin goes on with the first, whoever comes.
    let late: Vec<_> =
        (1_550..1_566).map(|number| visit(&mut *schedule, &client(number), 3_600_000)).collect();
    assert_eq!(late, places[..16]);
}

#[test]
fn clients_that_a_wider_mask_makes_one_share_the_template_that_lasts_longest() {
    let troop = Troop::new(&[1, 1, 1, 1]);
    let mut before = troop.make(&Scheduler::LvsRr(persistent(32)));
    let late = visit(&mut *before, "10.0.0.1:1", 0);
    visit(&mut *before, "10.0.0.2:1", 0);
    assert_eq!(visit(&mut *before, "10.0.0.1:1", 900), late);
    let mut after = crate::schedule::make(&Scheduler::LvsRr(persistent(24)), &troop.crew());
    after.inherit(&*before, &[Some(0), Some(1), Some(2), Some(3)]);
    for now in [950, 1_500, 2_000, 2_500] {
        assert_eq!(visit(&mut *after, "10.0.0.7:1", now), late, "{now}");
    }
}

#[test]
fn a_shorter_time_out_holds_for_connections_that_ended_before_it() {
    let service = |inactive| LvsService { inactive, persistence: None };
    let troop = Troop::new(&[1, 1]);
    let mut before = troop.make(&Scheduler::LvsLc(service(6_400_000)));
    let close = |schedule: &mut dyn Schedule, place, now| {
        schedule.pick(&Ask { tried: &[0, 1], now, ..Ask::default() });
        schedule.ended(place, 0, 0);
        schedule.set_in_flight(place, 0);
    };
    close(&mut *before, 1, 0);
    let mut after = crate::schedule::make(&Scheduler::LvsLc(service(6_400)), &troop.crew());
    after.inherit(&*before, &[Some(0), Some(1)]);
    (0..2).for_each(|_| close(&mut *after, 1, 100));
    assert_eq!(after.pick(&Ask::default()), Some(0));
    let ask = Ask { now: 10_000, ..Ask::default() };
    assert_eq!(after.pick(&ask), Some(1), "nobody counts any more");
}

#[test]
fn templates_that_are_over_make_no_server_full() {
    let mut troop = Troop::new(&[1]);
    troop.servers[0].limits.most = 1_000;
    let mut schedule = troop.make(&Scheduler::LvsRr(persistent(32)));
    let client = |number: u32| format!("10.0.{}.{}:1", number / 250, number % 250);
    let mut served = |number| visit(&mut *schedule, &client(number), 0).is_some();
    assert_eq!((0..1_100).filter(|number| served(*number)).count(), 1_000);
    assert_eq!(visit(&mut *schedule, &client(2_000), 3_600_000), Some(0));
}
