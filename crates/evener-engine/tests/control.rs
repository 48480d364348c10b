//! A worker steered over its control socket, by a supervisor that plays its part.

mod supervisor;

use std::io::Read;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use supervisor::{PATIENCE, Server, Supervisor, check, get, plan};

fn is_event(name: &'static str) -> impl Fn(&Value) -> bool {
    move |message| message["event"] == name
}

#[test]
fn a_worker_serves_tells_of_a_dead_server_reloads_and_drains() {
    let mut told = Supervisor::start("life");
    told.shards(2);
    let here = told.listen();
    let (mut one, two) = (Server::start("one"), Server::start("two"));
    let ok = told.must("plan", json!({"plan": plan(1, &[here], &[("a", one.address)])}), &[]);
    assert_eq!((&ok["generation"], &ok["added"]), (&json!(1), &json!(1)));
    assert_eq!(get(here), (200, "one".to_owned()));

    one.kill();
    let down = told.health("a", "down");
    assert!(down["reason"].as_str().unwrap().contains("refused"), "{down}");
    assert_eq!(down["check"]["ok"], json!(false), "{down}");
    assert_eq!(get(here).0, 503);

    let servers = [("a", one.address), ("b", two.address)];
    let ok = told.must("plan", json!({"plan": plan(2, &[here], &servers)}), &[]);
    assert_eq!((&ok["kept"], &ok["added"], &ok["removed"]), (&json!(1), &json!(1), &json!(0)));
    // Nobody else takes traffic: it is as at a start.
    assert_eq!(get(here), (200, "two".to_owned()));

    let status = told.must("status", json!({}), &[]);
    let states: Vec<_> =
        status["servers"].as_array().unwrap().iter().map(|s| &s["state"]).collect();
    assert_eq!(states, ["down", "up"], "{status}");
    told.must("drain", json!({"requests_ms": 2000, "tunnels_ms": 2000}), &[]);
    assert_eq!(told.event(is_event("drained"))["cut"], 0);
    told.end().unwrap();
}

#[test]
fn a_server_that_comes_back_is_up_again_and_its_checks_are_counted() {
    let mut told = Supervisor::start("back");
    told.shards(1);
    let here = told.listen();
    let mut one = Server::start("one");
    told.must("plan", json!({"plan": plan(1, &[here], &[("a", one.address)])}), &[]);
    one.kill();
    told.health("a", "down");
    let _one = Server::at(one.address, "again");
    let up = told.health("a", "up");
    assert_eq!(up["reason"], "check passed");
    assert_eq!(get(here), (200, "again".to_owned()));
    let mut segments = segments(&told);
    let until = Instant::now() + PATIENCE;
    loop {
        let totals: Value = serde_json::from_str(&segments.totals_json().unwrap()).unwrap();
        let values = &totals["server"][0]["values"];
        let checks = |result: &str| {
            values[format!("evener_server_checks_total{{result=\"{result}\"}}")].as_u64()
        };
        if checks("passed") >= Some(1) && checks("failed") >= Some(1) {
            break;
        }
        assert!(Instant::now() < until, "{totals}");
    }
    // A shard gives its first sign of life with its first tick.
    while segments.stamps().unwrap().contains(&0) {
        assert!(Instant::now() < until, "{:?}", segments.stamps());
    }
    told.begin("stop", json!({}), &[]);
    told.end().unwrap();
}

fn segments(told: &Supervisor) -> evener_engine::segments::Segments {
    let living = told.segments.iter().map(|segment| segment.try_clone().unwrap()).collect();
    evener_engine::segments::Segments::new(living, Vec::new())
}

#[test]
fn an_ejected_server_comes_back_by_a_tcp_check() {
    let mut told = Supervisor::start("ejected");
    told.shards(1);
    let here = told.listen();
    let (mut one, two) = (Server::start("one"), Server::start("two"));
    let mut plan = plan(1, &[here], &[("a", one.address), ("b", two.address)]);
    plan["pools"][0]["checks"] = json!([]);
    told.must("plan", json!({ "plan": plan }), &[]);
    one.kill();
    assert_eq!(get(here).1, "two");
    assert_eq!(get(here).1, "two");
    let out = told.health("a", "ejected");
    assert!(out["ejected_until"].as_u64() > out["changed"].as_u64(), "{out}");
    let _one = Server::at(one.address, "one");
    let back = told.health("a", "up");
    assert_eq!(back["reason"], "TCP check after ejection passed");
    assert!(back["changed"].as_u64() >= out["ejected_until"].as_u64(), "{out} {back}");
    told.begin("stop", json!({}), &[]);
    told.end().unwrap();
}

#[test]
fn an_http_check_judges_the_answer() {
    let mut told = Supervisor::start("http");
    told.shards(1);
    let here = told.listen();
    let one = Server::start("one");
    let mut first = plan(1, &[here], &[("a", one.address)]);
    let http = |body: &str| {
        check(json!({"http": {
            "path": "/", "method": "GET", "host": null, "headers": {},
            "expect": {"status": [[200, 299]], "body": body, "header": {}},
        }}))
    };
    first["pools"][0]["checks"] = json!([http("two")]);
    told.must("plan", json!({ "plan": first }), &[]);
    let down = told.health("a", "down");
    assert_eq!(down["reason"], "check failed: \"two\" is not in the first 3 bytes of the body");
    let mut second = first;
    second["generation"] = json!(2);
    second["pools"][0]["checks"] = json!([http("on")]);
    told.must("plan", json!({ "plan": second }), &[]);
    let up = told.health("a", "up");
    assert_eq!(up["check"]["text"], "status 200, with \"on\"");
    let mut third = second;
    third["generation"] = json!(3);
    third["pools"][0]["protocol"] = json!("fastcgi");
    let refused = told.tell("plan", json!({ "plan": third }), &[]);
    assert!(refused["errors"][0].as_str().unwrap().contains("use a tcp check"), "{refused}");
    told.begin("stop", json!({}), &[]);
    told.end().unwrap();
}

#[test]
fn a_refused_plan_leaves_the_old_one_serving_and_closes_its_sockets() {
    let mut told = Supervisor::start("refused");
    told.shards(1);
    let here = told.listen();
    let one = Server::start("one");
    told.must("plan", json!({"plan": plan(1, &[here], &[("a", one.address)])}), &[]);
    let there = told.listen();
    let mut bad = plan(2, &[here, there], &[("a", one.address)]);
    bad["pools"][0]["servers"][0]["address"] = json!("nowhere");
    let refused = told.tell("plan", json!({ "plan": bad }), &[]);
    assert!(refused["errors"][0].as_str().unwrap().contains("nowhere"), "{refused}");
    assert_eq!(get(here), (200, "one".to_owned()));
    assert!(TcpStream::connect(there).is_err(), "its socket is closed");
    let late = told.tell("plan", json!({"plan": plan(1, &[here], &[])}), &[]);
    assert!(late["errors"][0].as_str().unwrap().contains("higher number"), "{late}");
    told.begin("stop", json!({}), &[]);
    told.end().unwrap();
}

#[test]
fn a_newer_supervisor_supersedes_and_finds_all_as_it_was() {
    let mut told = Supervisor::start("newer");
    told.shards(1);
    let here = told.listen();
    let one = Server::start("one");
    told.must("plan", json!({"plan": plan(1, &[here], &[("a", one.address)])}), &[]);
    let mut older = told.link.try_clone().unwrap();
    told.reconnect(&evener_engine::control::hello());
    let mut rest = Vec::new();
    assert!(older.read_to_end(&mut rest).is_ok(), "the older link is closed");
    assert_eq!(told.must("facts", json!({}), &[])["servers"][0]["server"], "a");

    let mut other = evener_engine::control::hello();
    other.build = "0.0.0".to_owned();
    told.reconnect(&other);
    let refused = told.tell("plan", json!({"plan": plan(2, &[here], &[])}), &[]);
    assert!(refused["errors"][0].as_str().unwrap().contains("another build"), "{refused}");
    assert_eq!(told.must("status", json!({}), &[])["generation"], 1);
    told.must("drain", json!({"requests_ms": 2000, "tunnels_ms": 2000}), &[]);
    told.event(is_event("drained"));
    told.end().unwrap();
}

#[test]
fn a_new_worker_knows_what_the_old_one_knew() {
    let mut told = Supervisor::start("seeded");
    told.shards(1);
    let here = told.listen();
    let one = Server::start("one");
    let changed = unix_millis() - 2_000;
    let down = json!({
        "pool": "app", "server": "a", "address": one.address.to_string(), "weight": 1, "tier": 0,
        "admin": "ready", "health": "down", "ejected_until": 0, "changed": changed,
        "state": "down", "reason": "as before", "in_flight": 0,
        "check": {"at": changed, "took_ms": 1.5, "ok": false, "text": "no"},
    });
    let mut elsewhere = down.clone();
    elsewhere["server"] = json!("gone");
    told.must("health", json!({"servers": [down, elsewhere]}), &[]);
    let mut plan = plan(1, &[here], &[("a", one.address)]);
    plan["pools"][0]["checks"][0]["rise"] = json!(1000);
    told.must("plan", json!({ "plan": plan }), &[]);
    let facts = told.must("facts", json!({}), &[])["servers"][0].clone();
    assert_eq!((&facts["state"], &facts["reason"]), (&json!("down"), &json!("as before")));
    assert!(facts["changed"].as_u64().unwrap().abs_diff(changed) < 50, "{facts}");
    assert_eq!(get(here).0, 503);
    told.begin("stop", json!({}), &[]);
    told.end().unwrap();
}

fn unix_millis() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64
}

#[test]
fn people_s_words_are_obeyed_and_told() {
    let mut told = Supervisor::start("words");
    told.shards(1);
    let here = told.listen();
    let (one, two) = (Server::start("one"), Server::start("two"));
    let servers = [("a", one.address), ("b", two.address)];
    told.must("plan", json!({"plan": plan(1, &[here], &servers)}), &[]);
    let word = |admin: &str| json!({"pool": "app", "server": "a", "admin": admin});
    assert_eq!(told.must("admin", word("maint"), &[])["state"], "maintenance");
    told.health("a", "maintenance");
    assert!((0..4).all(|_| get(here).1 == "two"));
    told.must("admin", word("ready"), &[]);
    told.health("a", "up");
    assert!((0..4).any(|_| get(here).1 == "one"));
    let unknown = json!({"pool": "app", "server": "c", "admin": "ready"});
    let refused = told.tell("admin", unknown, &[]);
    assert_eq!(refused["errors"][0], "pool app has no server c");
    told.begin("stop", json!({}), &[]);
    told.end().unwrap();
}

#[test]
fn access_lines_go_where_the_supervisor_says_and_none_is_lost_at_the_end() {
    let mut told = Supervisor::start("log");
    told.shards(1);
    let (mut reader, writer) = std::io::pipe().unwrap();
    told.must("log", json!({}), &[writer.as_fd()]);
    drop(writer);
    let here = told.listen();
    let one = Server::start("one");
    told.must("plan", json!({"plan": plan(1, &[here], &[("a", one.address)])}), &[]);
    get(here);
    told.must("drain", json!({"requests_ms": 2000, "tunnels_ms": 2000}), &[]);
    told.end().unwrap();
    let mut lines = String::new();
    reader.read_to_string(&mut lines).unwrap();
    assert!(lines.contains("\"GET / HTTP/1.1\" 200"), "{lines}");
}

#[test]
fn misuse_is_answered_in_words() {
    let mut told = Supervisor::start("misuse");
    let mut refused = |verb: &str, fields: Value| {
        told.tell(verb, fields, &[])["errors"][0].as_str().unwrap().to_owned()
    };
    assert_eq!(refused("dance", json!({})), "there is no command \"dance\"");
    assert!(refused("shards", json!({"count": 1})).contains("one for the prober; 0 came"));
    assert!(
        refused("sockets", json!({"sockets": [{"address": "a", "shard": 0}]})).contains("0 came")
    );
    assert!(refused("tickets", json!({"keys": ["00"]})).contains("1 bytes"));
    assert!(refused("plan", json!({"plan": plan(1, &[], &[])})).contains("no shards"));
    assert!(refused("facts", json!({"more": 1})).contains("more"));
    told.begin("stop", json!({}), &[]);
    told.end().unwrap();
}

#[test]
fn a_worker_that_cannot_go_on_says_why_and_ends() {
    let mut told = Supervisor::start("fatal");
    let bad = std::fs::File::open("/dev/null").unwrap();
    told.begin("shards", json!({"count": 1}), &[bad.as_fd(), bad.as_fd()]);
    let words = told.event(is_event("log"));
    assert_eq!(words["level"], "error");
    assert!(words["text"].as_str().unwrap().contains("cannot map a counter segment"), "{words}");
    assert!(told.end().is_err());
}

#[test]
fn a_stopped_supervisor_costs_no_traffic() {
    let mut told = Supervisor::start("stopped");
    told.shards(1);
    let here = told.listen();
    let one = Server::start("one");
    told.must("plan", json!({"plan": plan(1, &[here], &[("a", one.address)])}), &[]);
    // Asks for much and reads nothing, until the worker takes no more commands.
    told.link.set_nonblocking(true).unwrap();
    let mut text = br#"{"id":1,"do":"status"}"#.to_vec();
    let mut frame = (text.len() as u32).to_le_bytes().to_vec();
    frame.extend([0; 4]);
    frame.append(&mut text);
    let until = Instant::now() + PATIENCE;
    let mut full = 0;
    while full < 20 && Instant::now() < until {
        match std::io::Write::write(&mut told.link, &frame) {
            Ok(_) => full = 0,
            Err(_) => {
                full += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
    assert_eq!(full, 20, "the worker goes on taking commands");
    assert_eq!(get(here), (200, "one".to_owned()));
    told.reconnect(&evener_engine::control::hello());
    assert_eq!(told.must("status", json!({}), &[])["generation"], 1);
    told.begin("stop", json!({}), &[]);
    told.end().unwrap();
}
