//! Segments as their writer and their readers use them, over plain memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evener_stats::{
    Kind, Life, ListenerBlock, ListenerCounter, ListenerGauge, RouteBlock, RouteCounter, Segment,
    ServerBlock, ServerCounter, ServerHistogram, StatsError, Totals, WorkerBlock, WorkerCounter,
    layout_hash, stamp_of,
};
use proptest::prelude::*;

type Refused = Box<dyn std::error::Error + Send + Sync>;

fn memory(words: usize) -> &'static [AtomicU64] {
    (0..words).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak()
}

fn no_more(_: usize) -> Result<&'static [AtomicU64], Refused> {
    Err("none left".into())
}

fn totals(words: &[AtomicU64], life: Life) -> Totals {
    let mut totals = Totals::new();
    totals.add(words, life).unwrap();
    totals
}

const CONNECTIONS: usize = ListenerCounter::Connections as usize;

fn open_slot() -> usize {
    ListenerGauge::LIST[ListenerGauge::Open as usize].slot
}

#[test]
fn what_is_written_is_read_by_name() {
    let words = memory(4096);
    let mut segment = Segment::create(words).unwrap();
    let web: ListenerBlock = segment.add(&["web"], 1, &mut no_more).unwrap();
    let a: ServerBlock = segment.add(&["app", "a", "10.0.0.1:80"], 1, &mut no_more).unwrap();
    web.add(ListenerCounter::Connections, 2);
    web.raise(ListenerGauge::Open);
    a.add_status(404);
    a.record(ServerHistogram::Response, 1500);
    segment.stamp(77);

    let totals = totals(words, Life::Living);
    let web = totals.values(Kind::Listener, &["web"]).unwrap();
    assert_eq!((web.at(CONNECTIONS), web.at(open_slot())), (2, 1));
    let a = totals.values(Kind::Server, &["app", "a", "10.0.0.1:80"]).unwrap();
    assert_eq!(a.at(ServerCounter::Answers4xx as usize), 1);
    let slot = ServerHistogram::LIST[0].slot;
    assert_eq!((a.distribution(slot).count(), a.distribution(slot).sum()), (1, 1500));
    assert_eq!(stamp_of(words).unwrap(), 77);
}

#[test]
fn counters_outlive_their_worker_and_gauges_do_not() {
    let (dead, living) = (memory(4096), memory(4096));
    for words in [dead, living] {
        let mut segment = Segment::create(words).unwrap();
        let web: ListenerBlock = segment.add(&["web"], 1, &mut no_more).unwrap();
        web.add(ListenerCounter::Connections, 5);
        web.set(ListenerGauge::Open, 3);
    }
    let mut totals = totals(dead, Life::Retired);
    assert!(totals.values(Kind::Listener, &["web"]).is_none(), "nobody living has it");
    totals.add(living, Life::Living).unwrap();
    let web = totals.values(Kind::Listener, &["web"]).unwrap();
    assert_eq!((web.at(CONNECTIONS), web.at(open_slot())), (10, 3));
}

#[test]
fn an_entry_named_again_keeps_its_counts_also_after_it_was_retired() {
    let words = memory(4096);
    let mut segment = Segment::create(words).unwrap();
    let first: ListenerBlock = segment.add(&["web"], 1, &mut no_more).unwrap();
    first.add(ListenerCounter::Connections, 1);
    let again: ListenerBlock = segment.add(&["web"], 2, &mut no_more).unwrap();
    again.add(ListenerCounter::Connections, 1);
    segment.retire(2, &|_, _| false);
    assert_eq!(totals(words, Life::Living).entries(Kind::Listener).count(), 1);
    segment.retire(3, &|_, _| false);
    first.add(ListenerCounter::Connections, 1);
    assert_eq!(totals(words, Life::Living).entries(Kind::Listener).count(), 0);
    let _: ListenerBlock = segment.add(&["web"], 4, &mut no_more).unwrap();
    let totals = totals(words, Life::Living);
    assert_eq!(totals.values(Kind::Listener, &["web"]).unwrap().at(CONNECTIONS), 3);
}

#[test]
fn an_entry_that_the_plan_has_is_shown_also_when_nobody_has_used_it_yet() {
    let words = memory(4096);
    let mut segment = Segment::create(words).unwrap();
    let web: ListenerBlock = segment.add(&["web"], 1, &mut no_more).unwrap();
    web.add(ListenerCounter::Connections, 4);
    segment.retire(2, &|kind, names| kind == Kind::Listener && names == "web");
    segment.release(2);
    let totals = totals(words, Life::Living);
    assert_eq!(totals.values(Kind::Listener, &["web"]).unwrap().at(CONNECTIONS), 4);
}

#[test]
fn words_go_to_another_owner_only_when_no_user_is_left() {
    let words = memory(4096);
    let mut segment = Segment::create(words).unwrap();
    let old: ListenerBlock = segment.add(&["old"], 1, &mut no_more).unwrap();
    old.add(ListenerCounter::Connections, 9);
    segment.retire(2, &|_, _| false);
    segment.release(1);
    let other: ListenerBlock = segment.add(&["other"], 3, &mut no_more).unwrap();
    other.add(ListenerCounter::Connections, 1);
    assert_eq!(old.counted(ListenerCounter::Connections), 9, "a plan of generation 1 has it");
    segment.release(2);
    let heir: ListenerBlock = segment.add(&["heir"], 3, &mut no_more).unwrap();
    assert_eq!(heir.counted(ListenerCounter::Connections), 0);
    heir.add(ListenerCounter::Connections, 4);
    assert_eq!(old.counted(ListenerCounter::Connections), 4, "the same words, and zeroed");
    let totals = totals(words, Life::Living);
    let names: Vec<_> = totals.entries(Kind::Listener).map(|(names, _)| names[0]).collect();
    assert_eq!(names, ["heir", "other"]);
}

/// Requests of all routes from the listener `web` to `app`, shown or not, and names of those shown.
fn routes(words: &[AtomicU64]) -> (u64, Vec<String>) {
    let totals = totals(words, Life::Living);
    let to_app = |names: &[&str]| names[0] == "web" && names[2] == "app";
    let all = totals.all(Kind::Route).filter(|(names, _, _)| to_app(names));
    let sum = all.map(|(_, values, _)| values.at(RouteCounter::S200 as usize)).sum();
    (sum, totals.entries(Kind::Route).map(|(names, _)| names.join("/")).collect())
}

#[test]
fn what_routes_have_counted_stays_in_their_listeners_sums_when_they_are_gone() {
    let words = memory(100_000);
    let mut segment = Segment::create(words).unwrap();
    let stays: RouteBlock = segment.add(&["web", "stays", "app"], 1, &mut no_more).unwrap();
    stays.add(RouteCounter::S200, 1);
    for generation in 2..6 {
        let name = format!("route-of-{generation}");
        for (listener, pool) in [("web", "app"), ("web", "other"), ("db", "app")] {
            let names = [listener, name.as_str(), pool];
            let route: RouteBlock = segment.add(&names, generation, &mut no_more).unwrap();
            assert_eq!(route.counted(RouteCounter::S200), 0);
            route.add(RouteCounter::S200, 10);
        }
        assert_eq!(routes(words).0, 1 + 10 * (generation - 1));
        segment.retire(generation + 1, &|_, names| names.contains("stays"));
        assert_eq!(routes(words).0, 1 + 10 * (generation - 1));
        segment.release(generation + 1);
        assert_eq!(routes(words), (1 + 10 * (generation - 1), vec!["web/stays/app".to_owned()]));
    }
    let back: RouteBlock = segment.add(&["web", "route-of-2", "app"], 9, &mut no_more).unwrap();
    assert_eq!(back.counted(RouteCounter::S200), 0, "its counts are the listener's");
    assert_eq!(routes(words).0, 41);
    let records = totals(words, Life::Living).all(Kind::Route).count();
    assert_eq!(records, 1 + 3 + 1, "gone ones make room");
}

#[expect(clippy::disallowed_methods, reason = "a writer beside a reader is a thread")]
#[test]
fn a_reader_beside_a_writer_whose_routes_come_and_go_sees_sums_that_only_rise() {
    let words = memory(2_000_000);
    let done = Arc::new(AtomicU64::new(0));
    let flag = done.clone();
    let writer = std::thread::spawn(move || {
        let mut segment = Segment::create(words).unwrap();
        for generation in 1..400u64 {
            for route in 0..5 {
                let name = format!("r{route}-{generation}");
                let names = ["web", name.as_str(), "app"];
                let route: RouteBlock = segment.add(&names, generation, &mut no_more).unwrap();
                route.add(RouteCounter::S200, 1);
            }
            segment.retire(generation, &|_, _| false);
            segment.release(generation);
        }
        flag.store(1, Ordering::Release);
    });
    let mut seen = 0;
    while done.load(Ordering::Acquire) == 0 {
        if stamp_of(words).is_ok() {
            let (sum, _) = routes(words);
            assert!(sum >= seen, "{sum} after {seen}");
            seen = sum;
        }
    }
    writer.join().unwrap();
    assert_eq!(routes(words).0, 399 * 5);
}

#[test]
fn the_memory_grows_and_blocks_from_before_stay_valid() {
    // Two views of the same pages cannot be had without mapping, so the shorter is a prefix.
    let all = memory(100_000);
    let mut segment = Segment::create(&all[..100]).unwrap();
    let mut asked = Vec::new();
    let mut grow = |wanted: usize| -> Result<&'static [AtomicU64], Refused> {
        asked.push(wanted);
        Ok(&all[..wanted.next_multiple_of(1000)])
    };
    let first: WorkerBlock = segment.add(&[], 1, &mut grow).unwrap();
    for server in 0..200 {
        let name = format!("s{server}");
        let _: ServerBlock = segment.add(&["p", &name, "a"], 1, &mut grow).unwrap();
    }
    first.add(WorkerCounter::Panics, 1);
    assert!(asked.len() > 10 && asked.is_sorted());
    let totals = totals(all, Life::Living);
    assert_eq!(totals.entries(Kind::Server).count(), 200);
    let (_, worker) = totals.entries(Kind::Worker).next().unwrap();
    assert_eq!(worker.at(WorkerCounter::Panics as usize), 1);
}

#[test]
fn what_cannot_be_kept_is_refused_with_its_cause() {
    let words = memory(64);
    assert!(matches!(Segment::create(&words[..7]), Err(StatsError::TooSmall { .. })));
    let mut segment = Segment::create(words).unwrap();
    let mut add = |names: &[&str]| segment.add::<ListenerBlock>(names, 1, &mut no_more).err();
    assert!(matches!(add(&[]), Some(StatsError::Names { expected: 1, found: 0 })));
    assert!(matches!(add(&["a\0b"]), Some(StatsError::Name(_))));
    assert!(matches!(add(&[&"x".repeat(5000)]), Some(StatsError::Name(_))));
    let full = segment.add::<ServerBlock>(&["p", "s", "a"], 1, &mut no_more).err();
    assert!(matches!(full, Some(StatsError::Grow(_))));
    assert!(totals(words, Life::Living).entries(Kind::Server).next().is_none());
}

#[test]
fn another_build_and_no_segment_at_all_are_told_apart() {
    let words = memory(64);
    let read = |words: &[AtomicU64]| Totals::new().add(words, Life::Living).err();
    assert!(matches!(read(words), Some(StatsError::NotASegment)));
    assert!(matches!(read(&[]), Some(StatsError::NotASegment)));
    Segment::create(words).unwrap();
    words[1].store(!layout_hash(), Ordering::Relaxed);
    assert!(matches!(read(words), Some(StatsError::OtherLayout { .. })));
}

#[expect(clippy::disallowed_methods, reason = "a writer beside a reader is a thread")]
#[test]
fn a_reader_beside_a_writer_sees_whole_entries_that_only_rise() {
    let words = memory(2_000_000);
    let done = Arc::new(AtomicU64::new(0));
    let flag = done.clone();
    let writer = std::thread::spawn(move || {
        let mut segment = Segment::create(words).unwrap();
        for generation in 1..60u64 {
            for server in 0..20 {
                let name = format!("s{server}-{}", generation / 4);
                let block: ServerBlock =
                    segment.add(&["p", &name, "a"], generation, &mut no_more).unwrap();
                block.add(ServerCounter::Connects, 1);
                block.add_status(200);
            }
            segment.retire(generation, &|_, _| false);
            segment.release(generation);
        }
        flag.store(1, Ordering::Release);
    });
    let mut reads = 0u64;
    loop {
        let last = done.load(Ordering::Acquire) == 1;
        let mut totals = Totals::new();
        match totals.add(words, Life::Living) {
            Ok(()) | Err(StatsError::NotASegment) => {}
            Err(error) => panic!("{error}"),
        }
        for (names, values) in totals.entries(Kind::Server) {
            assert_eq!((names[0], names[2]), ("p", "a"));
            assert!(names[1].starts_with('s'));
            assert!(values.at(ServerCounter::Connects as usize) <= 4, "{names:?}");
        }
        reads += 1;
        if last {
            assert_eq!(totals.entries(Kind::Server).count(), 20);
            break;
        }
    }
    writer.join().unwrap();
    assert!(reads > 0);
}

proptest! {
    #[test]
    fn garbage_is_an_error_or_nonsense_but_never_a_panic(
        noise in prop::collection::vec((0usize..600, any::<u64>()), 0..40),
        cut in 0usize..600,
    ) {
        let words: Vec<AtomicU64> = (0..600).map(|_| AtomicU64::new(0)).collect();
        let words: &'static [AtomicU64] = words.leak();
        let mut segment = Segment::create(words).unwrap();
        let _: ListenerBlock = segment.add(&["web"], 1, &mut no_more).unwrap();
        let _: ServerBlock = segment.add(&["p", "s", "a"], 1, &mut no_more).unwrap();
        for (at, word) in noise {
            // The header's magic and hash stay, else nothing behind them would be looked at.
            if at > 1 {
                words[at].store(word, Ordering::Relaxed);
            }
        }
        let mut totals = Totals::new();
        let _ = totals.add(&words[..cut], Life::Living);
        let _ = totals.add(words, Life::Retired);
        let _ = evener_stats::exposition::page(&totals, &evener_stats::Extras::default());
    }

    #[test]
    fn sums_over_segments_are_the_sums_of_what_was_added(
        adds in prop::collection::vec((0usize..3, 0usize..4, 1u64..100), 0..100),
    ) {
        let segments = [memory(2048), memory(2048), memory(2048)];
        let names = ["a", "b", "c", "d"];
        let mut writers: Vec<_> =
            segments.iter().map(|words| Segment::create(words).unwrap()).collect();
        let mut sums = [0u64; 4];
        for (segment, name, n) in adds {
            let block: ListenerBlock =
                writers[segment].add(&[names[name]], 1, &mut no_more).unwrap();
            block.add(ListenerCounter::BytesIn, n);
            sums[name] += n;
        }
        let mut totals = Totals::new();
        for words in segments {
            totals.add(words, Life::Living).unwrap();
        }
        for (name, sum) in names.iter().zip(sums) {
            let found = totals.values(Kind::Listener, &[name]);
            prop_assert_eq!(found.map_or(0, |v| v.at(ListenerCounter::BytesIn as usize)), sum);
        }
    }
}
