//! The worker as the supervisor steers it: what each command does.
//!
//! Rules kept here:
//! - A plan is built whole beside the one that serves; a failure leaves everything as it was.
//! - Sockets and secrets that the serving plan does not name are let go after each plan, failed or
//!   not (secrets only after one that serves).
//! - A supervisor of another build may look, drain and stop, but not steer what serves.
//!
//! Not known here: how commands arrive, and how answers leave.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use evener_plan::Plan;
use serde::Serialize;

use super::commands::{self, Envelope, from_hex, read};
use super::crew::{Crew, LogWriter};
use super::facts::{self, Form, Seen};
use super::outbox::Outbox;
use crate::clock;
use crate::error::EngineError;
use crate::events::{Event, Events};
use crate::log;
use crate::policies::{self, Host};
use crate::prober::{Records, Told};
use crate::running::{Running, Workshop};
use crate::shard::Common;
use crate::tls;
use crate::tls::tickets::TicketKeys;

/// All that a worker is.
pub struct Worker {
    started: u64,
    common: Common,
    log: LogWriter,
    crew: Option<Crew>,
    records: Arc<Records>,
    secrets: BTreeMap<String, String>,
    tickets: Arc<TicketKeys>,
    sockets: Vec<Held>,
    seen: Vec<Seen>,
    serving: Option<Arc<Running>>,
    draining: bool,
    host: Box<dyn Host>,
    /// What it says by itself.
    pub outbox: Outbox,
}

/// A listening socket that no plan has named yet.
struct Held {
    address: String,
    shard: Option<usize>,
    descriptor: OwnedFd,
}

/// What follows from a command or an event.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// On with it.
    GoOn,
    /// Say this.
    Answer(String),
    /// The worker ends.
    End,
}

/// Why a command is not obeyed: words for the supervisor, or the end of the worker.
enum Refusal {
    Words(Vec<String>),
    Fatal(EngineError),
}

impl From<String> for Refusal {
    fn from(words: String) -> Refusal {
        Refusal::Words(vec![words])
    }
}

impl From<&str> for Refusal {
    fn from(words: &str) -> Refusal {
        Refusal::from(words.to_owned())
    }
}

/// A number that no other worker has drawn: the system's randomness, as the library's maps take it.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

impl From<EngineError> for Refusal {
    fn from(why: EngineError) -> Refusal {
        Refusal::Fatal(why)
    }
}

/// What came of a command, as JSON.
type Obeyed = Result<serde_json::Value, Refusal>;

impl Worker {
    /// A worker that nobody has told anything.
    ///
    /// # Errors
    /// When the log's writer cannot be started.
    pub fn new(events: Events, host: Box<dyn Host>) -> Result<Worker, EngineError> {
        let log = LogWriter::start(&events)?;
        let common = Common {
            connections: Arc::default(),
            parked: Arc::default(),
            limit: Arc::new(u64::MAX.into()),
            events,
            log: log.queue.clone(),
            seed: random(),
        };
        Ok(Worker {
            started: clock::millis(),
            common,
            log,
            crew: None,
            records: Arc::default(),
            secrets: BTreeMap::new(),
            tickets: Arc::default(),
            sockets: Vec::new(),
            seen: Vec::new(),
            serving: None,
            draining: false,
            host,
            outbox: Outbox::default(),
        })
    }

    /// Obeys a command. `same` says that the supervisor's hello equals ours.
    ///
    /// # Errors
    /// When the worker cannot serve on.
    pub fn obey(
        &mut self,
        text: &[u8],
        descriptors: Vec<OwnedFd>,
        same: bool,
    ) -> Result<Next, EngineError> {
        let envelope = match Envelope::read(text) {
            Ok(envelope) => envelope,
            Err(why) => {
                self.outbox.log("error", &why);
                return Ok(Next::GoOn);
            }
        };
        let re = envelope.id;
        if envelope.verb == "stop" {
            return Ok(Next::End);
        }
        match self.do_it(&envelope.verb, text, descriptors, same) {
            Ok(ok) => Ok(Next::Answer(commands::text(&commands::Ok { re, ok }))),
            Err(Refusal::Words(errors)) => {
                Ok(Next::Answer(commands::text(&commands::Refused { re, errors })))
            }
            Err(Refusal::Fatal(why)) => Err(why),
        }
    }

    /// Takes what a thread of the worker says.
    ///
    /// # Errors
    /// When it was the end of one.
    pub fn hear(&mut self, event: Event) -> Result<Next, EngineError> {
        match event {
            Event::Health { pool, facts } => self.changed(&pool, *facts),
            Event::Log { level, text } => self.outbox.log(level, &text),
            Event::Warning { pool, server, text } => self.outbox.warn(&pool, &server, &text),
            Event::Drained(cut) => {
                self.outbox.drained(cut);
                return Ok(Next::End);
            }
            Event::Ended { thread, why } => {
                return Err(EngineError::Ended { name: thread, why });
            }
        }
        Ok(Next::GoOn)
    }

    /// Ends all threads; what is in the log is written.
    pub fn end(self) {
        if let Some(crew) = self.crew {
            crew.end();
        }
        drop(self.common);
        self.log.end();
    }

    fn do_it(&mut self, verb: &str, text: &[u8], descriptors: Vec<OwnedFd>, same: bool) -> Obeyed {
        let steers = !matches!(verb, "status" | "facts" | "drain");
        if steers && !same {
            return Err("this worker is of another build; it only drains and stops".into());
        }
        match verb {
            "shards" => self.shards(read(text)?, descriptors),
            "log" => self.log(read(text)?, descriptors),
            "secrets" => self.secrets(read(text)?),
            "tickets" => self.tickets(read(text)?),
            "sockets" => self.sockets(read(text)?, descriptors),
            "health" => self.health(read(text)?),
            "plan" => self.plan(text),
            "admin" => self.admin(&read(text)?),
            "status" => self.status(read(text)?),
            "facts" => self.facts(read(text)?),
            "drain" => self.drain(&read(text)?),
            unknown => Err(format!("there is no command {unknown:?}").into()),
        }
    }

    fn shards(&mut self, command: commands::Shards, segments: Vec<OwnedFd>) -> Obeyed {
        if self.crew.is_some() {
            return Err("the shards are running; their number is for a whole life".into());
        }
        if command.count == 0 || segments.len() != command.count + 1 {
            return Err(format!(
                "{} shards need a segment each and one for the prober; {} came",
                command.count,
                segments.len()
            )
            .into());
        }
        self.crew = Some(Crew::start(segments, &self.common, &self.records)?);
        nothing()
    }

    fn log(&mut self, _: commands::Bare, mut descriptors: Vec<OwnedFd>) -> Obeyed {
        let (Some(to), true) = (descriptors.pop(), descriptors.is_empty()) else {
            return Err("one descriptor belongs to this command".into());
        };
        // The queue is full when the writer hangs in the old destination. Waiting would hang this
        // thread, too.
        if !self.log.queue.send(log::Message::To(to)) {
            return Err("the log's writer hangs in its old destination".into());
        }
        nothing()
    }

    fn secrets(&mut self, command: commands::Secrets) -> Obeyed {
        self.secrets.extend(command.secrets);
        nothing()
    }

    fn tickets(&mut self, command: commands::Tickets) -> Obeyed {
        let keys: Result<Vec<_>, _> = command.keys.iter().map(|key| from_hex(key)).collect();
        self.tickets.replace(&keys?)?;
        nothing()
    }

    fn sockets(&mut self, command: commands::Sockets, descriptors: Vec<OwnedFd>) -> Obeyed {
        let (rows, came) = (command.sockets.len(), descriptors.len());
        if rows != came {
            return Err(format!("{rows} sockets are named, {came} came").into());
        }
        let held = command.sockets.into_iter().zip(descriptors).map(|(row, descriptor)| Held {
            address: row.address,
            shard: row.shard,
            descriptor,
        });
        self.sockets.extend(held);
        nothing()
    }

    fn health(&mut self, command: commands::Health) -> Obeyed {
        if self.serving.is_some() {
            return Err("a plan serves already; health comes before the first one".into());
        }
        self.seen = command.servers;
        nothing()
    }

    fn plan(&mut self, text: &[u8]) -> Obeyed {
        let began = clock::micros();
        let answer = self.take_up(text);
        let named = self.serving.as_deref().map(addresses).unwrap_or_default();
        self.sockets.retain(|held| named.contains(held.address.as_str()));
        let (generation, pause, counts) = answer?;
        let build_ms = (clock::micros() - began) as f64 / 1000.0;
        let Counts { kept, added, removed } = counts;
        let pause_ms = pause as f64 / 1000.0;
        json(commands::Served { generation, build_ms, pause_ms, kept, added, removed })
    }

    fn take_up(&mut self, text: &[u8]) -> Result<(u64, u64, Counts), Refusal> {
        let plan = read::<commands::Plan>(text)?.plan;
        let before = self.serving.clone();
        self.refuse_late(&plan)?;
        let crew = self.crew.as_ref().ok_or("there are no shards yet")?;
        let shop = Workshop {
            secrets: &self.secrets,
            tickets: &self.tickets,
            previous: before.as_deref(),
            now: clock::millis(),
            seed: self.common.seed,
            shards: crew.shards(),
            host: &*self.host,
        };
        let running = Arc::new(Running::build(plan, &shop).map_err(Refusal::Words)?);
        let named = addresses(&running);
        let sockets = deal(&mut self.sockets, &named, crew.shards())?;
        for (pool, server, check) in facts::seed(&running, std::mem::take(&mut self.seen)) {
            self.records.set(&pool, &server, check);
        }
        self.common.limit.store(running.plan.connections, Ordering::Relaxed);
        let pause = crew.serve(&running, sockets)?;
        adopt(&running, &self.common.events);
        crew.tell_prober(Told::Plan(running.clone()));
        let counts = Counts::of(before.as_deref(), &running);
        self.let_go(&running);
        self.serving = Some(running.clone());
        Ok((running.plan.generation, pause, counts))
    }

    fn refuse_late(&self, plan: &Plan) -> Result<(), Refusal> {
        if self.draining {
            return Err("this worker drains".into());
        }
        match &self.serving {
            Some(serving) if plan.generation <= serving.plan.generation => Err(format!(
                "plan {} comes after plan {}: each has a higher number than the last",
                plan.generation, serving.plan.generation
            )
            .into()),
            _ => Ok(()),
        }
    }

    /// Forgets what only plans before this one named.
    fn let_go(&mut self, running: &Running) {
        let named = secrets_of(&running.plan);
        self.secrets.retain(|id, _| named.contains(id.as_str()));
        let servers = servers_of(running);
        let ids: HashSet<_> = servers.iter().map(|(pool, id, _)| (*pool, *id)).collect();
        self.outbox.keep_only(|pool, server| ids.contains(&(pool, server)));
        self.records.keep_only(|pool, server| ids.contains(&(pool, server)));
    }

    fn admin(&mut self, command: &commands::Admin) -> Obeyed {
        let running = self.serving.clone().ok_or("no plan serves yet")?;
        let pool = running.pool(&command.pool);
        let pool = pool.ok_or_else(|| format!("there is no pool {}", command.pool))?;
        let index = pool
            .group
            .index_of(&command.server)
            .ok_or_else(|| format!("pool {} has no server {}", command.pool, command.server))?;
        if let Some(change) = pool.group.on_admin(index, command.admin, clock::millis()) {
            self.common.events.send(Event::health(&pool.spec, &pool.group, index, Some(&change)));
        }
        if let Some(crew) = &self.crew {
            let (pool, server) = (command.pool.clone(), command.server.clone());
            crew.tell_prober(Told::Look { pool, server });
        }
        json(self.form(&running, &command.pool, &command.server))
    }

    fn status(&self, _: commands::Bare) -> Obeyed {
        let servers = self.all_facts();
        json(commands::Status {
            generation: self.serving.as_ref().map_or(0, |running| running.plan.generation),
            uptime_ms: clock::millis() - self.started,
            connections: self.common.connections.load(Ordering::Relaxed),
            in_flight: servers.iter().map(Form::in_flight).sum(),
            parked: self.common.parked.load(Ordering::Relaxed),
            draining: self.draining,
            policies: self
                .serving
                .as_ref()
                .map_or_else(Vec::new, |running| policies::conditions(&running.pools)),
            servers,
        })
    }

    fn facts(&self, _: commands::Bare) -> Obeyed {
        json(commands::AllFacts { servers: self.all_facts() })
    }

    fn drain(&mut self, command: &commands::Drain) -> Obeyed {
        let crew = self.crew.as_ref().ok_or("there are no shards yet")?;
        if self.draining {
            return Err("this worker drains already".into());
        }
        crew.drain(command.requests_ms, command.tunnels_ms, &self.common.events)?;
        self.draining = true;
        nothing()
    }

    /// A server's state has changed.
    fn changed(&mut self, pool: &str, heard: evener_balance::Facts) {
        let server = heard.id.clone();
        let running = self.serving.clone();
        let group = running.as_ref().and_then(|running| running.pool(pool)).map(|pool| &pool.group);
        let now = group.and_then(|group| group.facts(group.index_of(&server)?));
        // A connection of an earlier plan may speak of a server that left with it.
        let Some(now) = now else { return };
        if heard.state == evener_balance::State::Ejected
            && let Some(crew) = &self.crew
        {
            let (pool, server) = (pool.to_owned(), server.clone());
            crew.tell_prober(Told::Look { pool, server });
        }
        if self.outbox.is_news(pool, &heard, &now) {
            let check = self.records.of(pool, &server);
            self.outbox.health(pool, &server, &Form::of(pool, heard, check));
        }
    }

    fn form(&self, running: &Running, pool: &str, server: &str) -> Option<Form> {
        let group = &running.pool(pool)?.group;
        let facts = group.facts(group.index_of(server)?)?;
        Some(Form::of(pool, facts, self.records.of(pool, server)))
    }

    fn all_facts(&self) -> Vec<Form> {
        let Some(running) = &self.serving else { return Vec::new() };
        let of_pool = |pool: &Arc<crate::running::RunningPool>| {
            let name = pool.spec.name.clone();
            let facts: Vec<_> =
                (0..pool.group.len()).filter_map(|index| pool.group.facts(index)).collect();
            let form = move |facts: evener_balance::Facts| {
                let check = self.records.of(&name, &facts.id);
                Form::of(&name, facts, check)
            };
            facts.into_iter().map(form)
        };
        running.pools.iter().flat_map(of_pool).collect()
    }
}

/// Servers of a plan beside those of the one before.
struct Counts {
    kept: usize,
    added: usize,
    removed: usize,
}

impl Counts {
    fn of(before: Option<&Running>, now: &Running) -> Counts {
        let before = before.map(servers_of).unwrap_or_default();
        let now = servers_of(now);
        let kept = now.intersection(&before).count();
        Counts { kept, added: now.len() - kept, removed: before.len() - kept }
    }
}

/// The plan serves: its rules and people's words apply to the servers it took over.
fn adopt(running: &Running, events: &Events) {
    let now = clock::millis();
    for pool in &running.pools {
        for (index, change) in pool.group.adopt(&pool.spec, now) {
            events.send(Event::health(&pool.spec, &pool.group, index, Some(&change)));
        }
    }
}

/// Takes the sockets that the plan names and deals them to the shards; one of all shards is
/// polled by each, and those of shards that this worker does not have by the others in turn.
fn deal(
    held: &mut Vec<Held>,
    named: &BTreeSet<&str>,
    shards: usize,
) -> Result<Vec<Vec<(String, OwnedFd)>>, Refusal> {
    let mut dealt: Vec<Vec<(String, OwnedFd)>> = (0..shards).map(|_| Vec::new()).collect();
    for socket in held.iter().filter(|socket| named.contains(socket.address.as_str())) {
        let mine = |place: usize| match socket.shard {
            Some(shard) => shard % shards == place,
            None => true,
        };
        for (place, hand) in dealt.iter_mut().enumerate().filter(|(place, _)| mine(*place)) {
            let descriptor = socket.descriptor.try_clone().map_err(|why| {
                format!("no descriptor for {} in shard {place}: {why}", socket.address)
            })?;
            hand.push((socket.address.clone(), descriptor));
        }
    }
    held.clear();
    Ok(dealt)
}

fn addresses(running: &Running) -> BTreeSet<&str> {
    running.plan.listeners.iter().flat_map(|spec| &spec.bind).map(String::as_str).collect()
}

fn servers_of(running: &Running) -> HashSet<(&str, &str, &str)> {
    let mut all = HashSet::new();
    for pool in &running.plan.pools {
        for server in &pool.servers {
            all.insert((pool.name.as_str(), server.id.as_str(), server.address.as_str()));
        }
    }
    all
}

/// Ids of the secrets that a plan names.
fn secrets_of(plan: &Plan) -> HashSet<&str> {
    let fronts = plan.listeners.iter().flat_map(|listener| &listener.tls);
    let mut named: HashSet<&str> =
        fronts.flat_map(|tls| &tls.certificates).map(String::as_str).collect();
    for tls in plan.pools.iter().filter_map(|pool| pool.tls.as_ref()) {
        named.extend(tls.client.as_deref());
        named.insert(tls.ca.as_deref().unwrap_or(tls::client::SYSTEM));
    }
    named
}

fn nothing() -> Obeyed {
    json(commands::Nothing {})
}

fn json(ok: impl Serialize) -> Obeyed {
    serde_json::to_value(ok).map_err(|why| Refusal::from(why.to_string()))
}
