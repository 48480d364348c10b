//! A generation as one shard sees it: what all shards share, and the shard's own connections and
//! counters beside it.
//!
//! Rules kept here:
//! - Cheap to make, since a shard makes it between two requests: counters of routes and servers are
//!   found when they are first used.
//! - Kept server connections move on to the next generation where server and protocol stay; the
//!   others are closed.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;

use evener_balance::Group;
use evener_plan::{Listener, Pool};
use evener_proto::h1::Violations;
use rustls::ClientConfig;

use super::Shard;
use crate::counters::{ListenerCounters, PoolCounters, RouteBlock, ServerCounters, ServerGauge};
use crate::http::template::Template;
use crate::io::Stream;
use crate::policies::Post;
use crate::pool::idle::{Idle, Returned};
use crate::pool::target::Target;
use crate::running::{Running, RunningListener, RunningPool};
use crate::tcp::speakers::Speakers;

/// A generation as one shard sees it.
pub struct View {
    /// What all shards share.
    pub running: Arc<Running>,
    /// In the plan's order.
    pub listeners: Vec<Rc<ListenerView>>,
    /// In the plan's order.
    pub pools: Rc<[Rc<PoolView>]>,
}

/// A listener of a generation.
pub struct ListenerView {
    running: Arc<Running>,
    index: usize,
    pools: Rc<[Rc<PoolView>]>,
    /// The shard's counters of it.
    pub counters: ListenerCounters,
    /// Who speaks first in its sessions.
    pub speakers: Speakers,
    /// One for each route, and the last for what no route matched.
    routes: Box<[OnceCell<RouteBlock<'static>>]>,
}

/// A pool of a generation.
pub struct PoolView {
    running: Arc<Running>,
    pool: Arc<RunningPool>,
    idle: RefCell<Vec<Idle>>,
    kept: Cell<usize>,
    /// Some gauge of them is not 0.
    shown: Cell<bool>,
    /// A newer generation serves: what ends here is kept for nobody.
    retired: Cell<bool>,
    /// The shard's counters of it.
    pub counters: PoolCounters,
    servers: RefCell<Vec<Option<ServerCounters>>>,
}

impl View {
    /// The view of a generation, taking over from the one before.
    pub fn new(shard: &Shard, running: Arc<Running>, before: Option<&View>) -> View {
        let pools: Rc<[_]> = running
            .pools
            .iter()
            .map(|pool| {
                let view = PoolView::new(shard, &running, pool);
                if let Some(old) = before.and_then(|before| before.pool(&pool.spec.name)) {
                    view.inherit(old);
                }
                Rc::new(view)
            })
            .collect();
        let listeners = running.listeners.iter().enumerate().map(|(index, listener)| {
            let routes = std::iter::repeat_with(OnceCell::new);
            Rc::new(ListenerView {
                index,
                pools: pools.clone(),
                counters: shard.counters.listener(&listener.spec.name, running.plan.generation),
                routes: routes.take(listener.spec.routes.len() + 1).collect(),
                running: running.clone(),
                speakers: Speakers::default(),
            })
        });
        let view = View { listeners: listeners.collect(), pools, running: running.clone() };
        if let Some(before) = before {
            before.pools.iter().for_each(|pool| pool.retire(shard));
        }
        view
    }

    fn pool(&self, name: &str) -> Option<&Rc<PoolView>> {
        self.pools.get(self.running.pool_index(name)?)
    }
}

impl ListenerView {
    /// The listener, ready to run.
    #[inline]
    pub fn running(&self) -> &RunningListener {
        // The index is that of the listener this view was made for.
        &self.running.listeners[self.index]
    }

    /// The plan's words.
    #[inline]
    pub fn spec(&self) -> &Listener {
        &self.running().spec
    }

    /// Its generation.
    pub fn generation(&self) -> u64 {
        self.running.plan.generation
    }

    /// The pool with this index.
    #[inline]
    pub fn pool(&self, index: usize) -> Option<Rc<PoolView>> {
        self.pools.get(index).cloned()
    }

    /// All pools of the generation.
    pub fn running_pools(&self) -> &[Arc<RunningPool>] {
        &self.running.pools
    }

    /// The counters of a route, or of what no route matched.
    #[inline]
    pub fn route_counters(&self, shard: &Shard, route: Option<usize>) -> RouteBlock<'static> {
        let last = self.routes.len() - 1;
        let cell = &self.routes[route.unwrap_or(last).min(last)];
        *cell.get_or_init(|| self.find_route_counters(shard, route))
    }

    #[cold]
    fn find_route_counters(&self, shard: &Shard, route: Option<usize>) -> RouteBlock<'static> {
        let pool = match self.running().answer(route) {
            crate::running::RunningAnswer::Pool(index) => {
                self.pools.get(*index).map_or("", |pool| &pool.spec().name)
            }
            _ => "",
        };
        let names = [self.spec().name.as_str(), self.running().route_name(route), pool];
        shard.counters.block(&names, self.generation())
    }
}

impl PoolView {
    fn new(shard: &Shard, running: &Arc<Running>, pool: &Arc<RunningPool>) -> PoolView {
        let count = pool.spec.servers.len();
        PoolView {
            running: running.clone(),
            pool: pool.clone(),
            idle: RefCell::new(std::iter::repeat_with(Idle::default).take(count).collect()),
            kept: Cell::new(0),
            shown: Cell::new(false),
            retired: Cell::new(false),
            counters: shard.counters.pool(&pool.spec.name, running.plan.generation),
            servers: RefCell::new(vec![None; count]),
        }
    }

    /// Takes over kept connections to servers that stay.
    fn inherit(&self, old: &PoolView) {
        if old.kept.get() == 0 || old.pool.fingerprint != self.pool.fingerprint {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        for (index, connections) in old.idle.borrow_mut().iter_mut().enumerate() {
            if connections.is_empty() {
                continue;
            }
            let before = old.pool.group.server(index).zip(old.target(index));
            let stays = before.and_then(|(server, target)| {
                let index = self.pool.group.index_of(server.id())?;
                self.target(index)?.shares_with(target).then_some(index)
            });
            if let Some(place) = stays.and_then(|index| idle.get_mut(index)) {
                self.kept.set(self.kept.get() + connections.len());
                *place = std::mem::take(connections);
            }
        }
        // What is left there is closed as the old one retires.
        old.kept.set(old.kept.get().saturating_sub(self.kept.get()));
    }

    /// A newer generation serves, and has taken over what it has a use for. Tunnels and sessions may
    /// hold this one for hours: it keeps no connections meanwhile.
    fn retire(&self, shard: &Shard) {
        self.retired.set(true);
        self.sweep(shard, shard.now(), true);
    }

    /// The plan's words.
    #[inline]
    pub fn spec(&self) -> &Pool {
        &self.pool.spec
    }

    /// Its servers' state and its scheduler.
    #[inline]
    pub fn group(&self) -> &Group {
        &self.pool.group
    }

    /// Where a server is.
    #[inline]
    pub fn target(&self, index: usize) -> Option<&Target> {
        self.pool.targets.get(index)
    }

    /// Violations of its servers that are let in.
    #[inline]
    pub fn accept(&self) -> Violations {
        self.pool.accept
    }

    /// The pool as all shards share it.
    pub fn running_pool(&self) -> &Arc<RunningPool> {
        &self.pool
    }

    /// What it needs to ask a policy, if its scheduler is one.
    #[inline]
    pub fn post(&self) -> Option<&Post> {
        self.pool.post.as_ref()
    }

    /// Name of its scheduler, as it is shown.
    pub fn scheduler(&self) -> &str {
        &self.pool.scheduler
    }

    /// What its hash is of.
    #[inline]
    pub fn key(&self) -> Option<&Template> {
        self.pool.key.as_ref()
    }

    /// TLS towards its servers.
    pub fn tls(&self) -> Option<&Arc<ClientConfig>> {
        self.pool.tls.as_ref()
    }

    /// What kept connections depend on beside the server's address.
    pub fn fingerprint(&self) -> u64 {
        self.pool.fingerprint
    }

    /// FastCGI parameters of a server.
    pub fn params(&self, index: usize) -> &[(String, Template)] {
        self.pool.params.get(index).map_or(&[], |params| params)
    }

    /// Id of a server.
    pub fn server_id(&self, index: usize) -> Option<&str> {
        self.pool.spec.servers.get(index).map(|server| server.id.as_str())
    }

    /// The freshest usable kept connection to a server, with the time it was made.
    #[inline]
    pub fn take_idle(&self, index: usize, now: u64, cx: &mut Context<'_>) -> Option<(Stream, u64)> {
        let mut idle = self.idle.borrow_mut();
        let mut stale = 0;
        let found = idle.get_mut(index)?.take(now, cx, &mut stale);
        let gone = stale as usize + usize::from(found.is_some());
        self.kept.set(self.kept.get().saturating_sub(gone));
        found
    }

    /// Keeps a connection for later requests.
    #[inline]
    pub fn keep_idle(&self, index: usize, returned: Returned, now: u64) {
        if self.retired.get() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let Some(place) = idle.get_mut(index) else { return };
        let before = place.len();
        place.keep(returned, now, &self.pool.spec.keepalive);
        self.kept.set(self.kept.get() + place.len() - before);
    }

    /// Closes kept connections that have ended or stood too long; all of them if `all`.
    pub fn sweep(&self, shard: &Shard, now: u64, all: bool) {
        if self.kept.get() == 0 && !self.shown.get() {
            return;
        }
        let mut kept = 0;
        for (index, connections) in self.idle.borrow_mut().iter_mut().enumerate() {
            if !connections.is_empty() {
                connections.sweep(if all { u64::MAX } else { now });
            }
            kept += connections.len();
            if let Some(left) = connections.take_news() {
                self.server_counters(shard, index).set(ServerGauge::Idle, left);
            }
        }
        self.kept.set(kept);
        self.shown.set(kept > 0);
    }

    /// Kept connections.
    pub fn kept(&self) -> usize {
        self.kept.get()
    }

    /// The shard's counters of a server.
    #[inline]
    pub fn server_counters(&self, shard: &Shard, index: usize) -> ServerCounters {
        if let Some(Some(known)) = self.servers.borrow().get(index) {
            return *known;
        }
        self.find_server_counters(shard, index)
    }

    #[cold]
    fn find_server_counters(&self, shard: &Shard, index: usize) -> ServerCounters {
        let server = self.pool.spec.servers.get(index);
        let (id, address) = server.map_or(("", ""), |server| (&server.id, &server.address));
        let names = [self.pool.spec.name.as_str(), id, address];
        let found = shard.counters.server(&names, self.running.plan.generation);
        if let Some(place) = self.servers.borrow_mut().get_mut(index) {
            *place = Some(found);
        }
        found
    }
}
