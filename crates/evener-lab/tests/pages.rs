//! Each scheduler has a page and a picture, and the picture is what the laboratory draws today.

#[path = "../../evener-balance/tests/pools/schedulers.rs"]
mod schedulers;

use std::collections::BTreeMap;
use std::path::Path;

use evener_plan::Scheduler;

const PAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/concepts/schedulers");

/// Whose picks are its author's: the laboratory refuses it, in words.
const POLICY: &str = "evener/python";

/// One of each name of the plan, in its usual form.
fn all() -> BTreeMap<String, Scheduler> {
    let mut all = BTreeMap::new();
    for (_, scheduler) in schedulers::all() {
        let plan = serde_json::to_value(&scheduler).expect("a plan");
        let name = plan["name"].as_str().expect("a name").to_owned();
        all.entry(name).or_insert(scheduler);
    }
    all
}

fn page(name: &str, ending: &str) -> String {
    let file = format!("{}.{ending}", name.replace('/', "-"));
    std::fs::read_to_string(Path::new(PAGES).join(&file)).unwrap_or_else(|_| panic!("no {file}"))
}

#[test]
fn every_scheduler_of_the_plan_has_a_page_and_every_page_a_scheduler() {
    let plan = include_str!("../../evener-plan/src/scheduler.rs");
    let names = plan.split("#[serde(rename = \"").skip(1).filter_map(|rest| rest.split('"').next());
    let names: Vec<&str> = names.filter(|name| name.contains('/')).collect();
    let all = all();
    assert_eq!(names.len(), all.len(), "{names:?}");
    assert!(names.iter().all(|name| all.contains_key(*name)), "{names:?}");
    let mut pages = 0;
    for entry in std::fs::read_dir(PAGES).expect("the pages") {
        let file = entry.expect("a page").file_name().into_string().expect("a name");
        let Some(stem) = file.strip_suffix(".md").filter(|stem| *stem != "README") else {
            continue;
        };
        assert!(names.iter().any(|name| name.replace('/', "-") == stem), "{file} is of nobody");
        pages += 1;
    }
    assert_eq!(pages, names.len());
    let list = std::fs::read_to_string(Path::new(PAGES).join("README.md")).expect("the list");
    for name in names {
        assert!(list.contains(&format!("({}.md)", name.replace('/', "-"))), "{name} is not listed");
    }
}

#[test]
fn a_page_says_what_it_does_for_whom_and_what_it_costs() {
    for name in all().keys() {
        let text = page(name, "md");
        let program = name.split('/').next().expect("a program");
        let title = format!("# {name}\n");
        let picture = format!("({}.svg)", name.replace('/', "-"));
        let picture = if name == POLICY { "no picture" } else { &*picture };
        for part in
            [&*title, "**From**", "**Use it**", "**Not**", "**Cost**", picture, "scheduler:"]
        {
            assert!(text.contains(part), "{name} lacks {part}");
        }
        assert!(text.to_lowercase().contains(program), "{name} does not name {program}");
    }
}

#[test]
fn pictures_are_what_the_laboratory_draws() {
    let how = "draw them anew: cargo run -p evener-lab --example sketches";
    for (name, scheduler) in all().into_iter().filter(|(name, _)| name != POLICY) {
        let drawn = evener_lab::sketch(&name, &scheduler).expect("a scenario");
        assert!(page(&name, "svg") == drawn, "{name}: {how}");
    }
}

#[test]
fn a_policy_is_refused_with_words() {
    let refused = evener_lab::sketch(POLICY, &all()[POLICY]).expect_err("no Python here");
    assert!(refused.to_string().contains("cannot ask the policy mine:Mine"), "{refused}");
}
