//! A plan made ready to run: what all shards share of one generation.
//!
//! Rules kept here:
//! - Built whole beside the one that serves; only a build without errors is swapped in.
//! - Servers that stay keep their health, leases and place in the schedule; everything else of a
//!   generation is immutable.
//! - An exchange pins the generation it began with.
//!
//! Not known here: sockets, shards, counters.

mod policy;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use evener_balance::{Birth, Group};
use evener_plan::{
    Answer, Listener, Plan, Pool, PoolProtocol, PoolTls, Redirect, Respond, Scheduler,
};
use evener_proto::h1::{Policy, Violations};
use evener_stats::Kind;
use rustls::{ClientConfig, ServerConfig};

use crate::http::edits::AllEdits;
use crate::http::routes::Routes;
use crate::http::template::Template;
use crate::networks::Networks;
use crate::policies::{Host, Post};
use crate::pool::target::Target;
use crate::prober;
use crate::shard::clients::ClientLimits;
use crate::tls::{self, tickets::TicketKeys};

/// A plan made ready to run.
pub struct Running {
    /// The plan itself.
    pub plan: Plan,
    /// In the plan's order.
    pub listeners: Vec<RunningListener>,
    /// In the plan's order.
    pub pools: Vec<Arc<RunningPool>>,
    /// Names that counters of this generation may have, made here so that no shard has to.
    /// Pools by name.
    indexes: HashMap<String, usize>,
    counted: BTreeMap<Kind, HashSet<String>>,
}

/// A listener made ready to run.
pub struct RunningListener {
    /// The plan's words.
    pub spec: Listener,
    /// Whose forwarded fields are believed.
    pub trusted: Networks,
    /// What its clients may send and are sent, for the codec.
    pub policy: Policy,
    /// TLS in front.
    pub tls: Option<Arc<ServerConfig>>,
    /// Compiled routes.
    pub routes: Routes,
    /// What each route changes of fields.
    pub edits: AllEdits,
    /// What each route answers.
    pub answers: Vec<RunningAnswer>,
    /// What answers where no route matched.
    pub fallback: RunningAnswer,
    /// What each client is allowed.
    pub clients: ClientLimits,
    /// Client connections open, of all shards; outlives generations.
    pub open: Arc<AtomicU64>,
}

/// What answers a request.
pub enum RunningAnswer {
    /// A server of the pool with this index.
    Pool(usize),
    /// An answer of our own; the condition's pool by index.
    Respond(Respond, Option<(usize, u64)>),
    /// A redirect.
    Redirect(Template, Option<u16>),
    /// Nobody: 404.
    Nothing,
}

/// A pool made ready to run.
pub struct RunningPool {
    /// The plan's words.
    pub spec: Pool,
    /// Its servers' state and its scheduler.
    pub group: Group,
    /// Where its servers are, in the plan's order.
    pub targets: Vec<Target>,
    /// Violations of its servers that are let in.
    pub accept: Violations,
    /// What it needs to ask a policy of the user's, if its scheduler is one.
    pub post: Option<Post>,
    /// Name of its scheduler, as it is shown: `lvs/wlc`.
    pub scheduler: Box<str>,
    /// What its hash is of.
    pub key: Option<Template>,
    /// TLS towards servers.
    pub tls: Option<Arc<ClientConfig>>,
    /// FastCGI parameters of each server, the pool's included, compiled.
    pub params: Vec<Params>,
    /// Two pools with the same fingerprint may share kept connections to the same server.
    pub fingerprint: u64,
}

/// FastCGI parameters: names and values, shared by the servers that have no others.
pub type Params = Arc<[(String, Template)]>;

/// What building needs beside the plan.
pub struct Workshop<'a> {
    /// PEM texts by id.
    pub secrets: &'a BTreeMap<String, String>,
    /// Ticket keys of the worker.
    pub tickets: &'a Arc<TicketKeys>,
    /// The generation that serves.
    pub previous: Option<&'a Running>,
    /// Monotonic milliseconds.
    pub now: u64,
    /// Where random numbers of new pools come from.
    pub seed: u64,
    /// Shards of the worker.
    pub shards: usize,
    /// Who runs policies.
    pub host: &'a dyn Host,
}

impl Running {
    /// Builds a plan.
    ///
    /// # Errors
    /// A sentence for everything that is wrong, all at once.
    pub fn build(plan: Plan, shop: &Workshop<'_>) -> Result<Running, Vec<String>> {
        let mut errors = Vec::new();
        let names = plan.pools.iter().map(|pool| pool.name.clone());
        let indexes: HashMap<String, usize> = names.zip(0..).collect();
        let mut listeners = Vec::new();
        for spec in &plan.listeners {
            match RunningListener::build(spec, &indexes, shop) {
                Ok(listener) => listeners.push(listener),
                Err(why) => errors.push(format!("listener {}: {why}", spec.name)),
            }
        }
        let mut pools = Vec::new();
        for spec in &plan.pools {
            match RunningPool::build(spec, shop) {
                Ok(pool) => pools.push(Arc::new(pool)),
                Err(why) => errors.push(format!("pool {}: {why}", spec.name)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let counted = counted(&plan);
        Ok(Running { plan, listeners, pools, indexes, counted })
    }

    /// Whether counters of this kind and with these names, joined by NUL, belong to the plan.
    pub fn counts(&self, kind: Kind, names: &str) -> bool {
        kind == Kind::Worker || self.counted.get(&kind).is_some_and(|known| known.contains(names))
    }

    /// The pool of this name.
    pub fn pool(&self, name: &str) -> Option<&Arc<RunningPool>> {
        self.pools.get(self.pool_index(name)?)
    }

    /// Index of the pool of this name.
    pub fn pool_index(&self, name: &str) -> Option<usize> {
        self.indexes.get(name).copied()
    }
}

/// The names of all counters that a plan may have.
fn counted(plan: &Plan) -> BTreeMap<Kind, HashSet<String>> {
    let pools = plan.pools.iter().map(|pool| pool.name.clone()).collect();
    let servers = plan.pools.iter().flat_map(|pool| {
        let names = |server: &evener_plan::Server| {
            [pool.name.as_str(), &server.id, &server.address].join("\0")
        };
        pool.servers.iter().map(names)
    });
    let listeners = plan.listeners.iter().map(|listener| listener.name.clone()).collect();
    let routes = plan.listeners.iter().flat_map(|listener| {
        let fallback = listener.pool.as_deref().filter(|_| listener.redirect.is_none());
        let routes = listener.routes.iter().map(|route| match &route.answer {
            Answer::Pool(pool) => (route.name.as_str(), pool.as_str()),
            _ => (route.name.as_str(), ""),
        });
        routes
            .chain([("default", fallback.unwrap_or(""))])
            .map(|(route, pool)| [listener.name.as_str(), route, pool].join("\0"))
    });
    BTreeMap::from([
        (Kind::Server, servers.collect()),
        (Kind::Route, routes.collect()),
        (Kind::Pool, pools),
        (Kind::Listener, listeners),
    ])
}

impl RunningListener {
    fn build(
        spec: &Listener,
        pools: &HashMap<String, usize>,
        shop: &Workshop<'_>,
    ) -> Result<RunningListener, String> {
        let before = shop
            .previous
            .and_then(|running| running.listeners.iter().find(|old| old.spec.name == spec.name));
        let tls = match &spec.tls {
            Some(tls) => Some(tls::server::config(tls, shop.secrets, shop.tickets)?),
            None => None,
        };
        let answers = spec.routes.iter().map(|route| {
            RunningAnswer::build(&route.answer, pools)
                .map_err(|why| format!("route {}: {why}", route.name))
        });
        Ok(RunningListener {
            trusted: Networks::parse(&spec.trusted_proxies)?,
            policy: policy::of_listener(&spec.http),
            tls,
            routes: Routes::compile(&spec.routes)?,
            edits: AllEdits::compile(&spec.routes)?,
            answers: answers.collect::<Result<_, _>>()?,
            fallback: RunningAnswer::fallback(spec, pools)?,
            clients: ClientLimits::build(spec, before.map(|old| &old.clients)),
            open: before.map_or_else(Arc::default, |old| old.open.clone()),
            spec: spec.clone(),
        })
    }

    /// What answers the route with this index, or requests that no route matched.
    pub fn answer(&self, route: Option<usize>) -> &RunningAnswer {
        route.and_then(|index| self.answers.get(index)).unwrap_or(&self.fallback)
    }

    /// The readable word for a route.
    pub fn route_name(&self, route: Option<usize>) -> &str {
        route.and_then(|index| self.spec.routes.get(index)).map_or("default", |route| &route.name)
    }
}

impl RunningAnswer {
    fn build(answer: &Answer, pools: &HashMap<String, usize>) -> Result<RunningAnswer, String> {
        match answer {
            Answer::Pool(name) => Ok(RunningAnswer::Pool(index(name, pools)?)),
            Answer::Redirect(redirect) => RunningAnswer::redirect(redirect),
            Answer::Respond(respond) => {
                let needs = match &respond.needs {
                    Some(needs) => Some((index(&needs.pool, pools)?, needs.up)),
                    None => None,
                };
                Ok(RunningAnswer::Respond(respond.clone(), needs))
            }
        }
    }

    fn redirect(redirect: &Redirect) -> Result<RunningAnswer, String> {
        Ok(RunningAnswer::Redirect(Template::parse(&redirect.to)?, redirect.status))
    }

    fn fallback(spec: &Listener, pools: &HashMap<String, usize>) -> Result<RunningAnswer, String> {
        match (&spec.redirect, &spec.pool) {
            (Some(redirect), _) => RunningAnswer::redirect(redirect),
            (None, Some(pool)) => Ok(RunningAnswer::Pool(index(pool, pools)?)),
            (None, None) => Ok(RunningAnswer::Nothing),
        }
    }
}

fn index(name: &str, pools: &HashMap<String, usize>) -> Result<usize, String> {
    pools.get(name).copied().ok_or_else(|| format!("there is no pool {name}"))
}

impl RunningPool {
    fn build(spec: &Pool, shop: &Workshop<'_>) -> Result<RunningPool, String> {
        prober::refuse(spec)?;
        let before = shop.previous.and_then(|running| running.pool(&spec.name));
        let birth = if shop.previous.is_some() { Birth::Reload } else { Birth::Start };
        let tls = match &spec.tls {
            Some(tls) => Some(tls::client::config(tls, shop.secrets)?),
            None => None,
        };
        let targets = spec.servers.iter().map(|server| Target::of(spec, server));
        let previous = before.map(|pool| &pool.group);
        let group = Group::of_shards(spec, previous, birth, shop.now, shop.shards);
        if before.is_none() {
            group.stir(shop.seed ^ seed_of(&spec.name));
        }
        Ok(RunningPool {
            group,
            post: Post::of(spec, before.map(|pool| &**pool), shop.host)?,
            scheduler: name_of(&spec.scheduler).into(),
            key: spec.key.as_deref().map(Template::parse).transpose()?,
            targets: targets.collect::<Result<_, _>>()?,
            accept: policy::violations(&spec.http.accept),
            tls,
            params: params(spec)?,
            fingerprint: fingerprint(spec.protocol, spec.tls.as_ref(), shop.secrets),
            spec: spec.clone(),
        })
    }
}

/// A scheduler's name is the tag of its form; it is listed in one place, and that is the plan.
pub fn name_of(scheduler: &Scheduler) -> String {
    let form = serde_json::to_value(scheduler).unwrap_or_default();
    form["name"].as_str().unwrap_or_default().to_owned()
}

/// So that pools of one worker do not draw alike.
fn seed_of(name: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hash = DefaultHasher::new();
    name.hash(&mut hash);
    hash.finish()
}

/// Parameters of each server; servers without any of their own share the pool's.
fn params(spec: &Pool) -> Result<Vec<Params>, String> {
    let compile = |params: &BTreeMap<String, String>| -> Result<Params, String> {
        params.iter().map(|(name, value)| Ok((name.clone(), Template::parse(value)?))).collect()
    };
    let shared = compile(&spec.params)?;
    let own = |server: &evener_plan::Server| {
        if server.params.is_empty() {
            return Ok(shared.clone());
        }
        let mut all = spec.params.clone();
        all.extend(server.params.clone());
        compile(&all)
    };
    spec.servers.iter().map(own).collect()
}

/// What a kept connection depends on beside the server's address.
fn fingerprint(
    protocol: PoolProtocol,
    tls: Option<&PoolTls>,
    secrets: &BTreeMap<String, String>,
) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hash = DefaultHasher::new();
    format!("{protocol:?}{tls:?}").hash(&mut hash);
    if let Some(tls) = tls {
        secrets.get(tls::client::authorities(tls)).hash(&mut hash);
        tls.client.as_ref().map(|id| secrets.get(id)).hash(&mut hash);
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use evener_plan::TlsVersion;

    fn tls(ca: Option<&str>) -> PoolTls {
        let ca = ca.map(str::to_owned);
        PoolTls { verify: true, ca, server_name: None, client: None, min_version: TlsVersion::V12 }
    }

    #[test]
    fn other_authorities_are_another_fingerprint_whoever_named_them() {
        let with = |tls: &PoolTls, id: &str, pem: &str| {
            let secrets = BTreeMap::from([(id.to_owned(), pem.to_owned())]);
            fingerprint(PoolProtocol::Http, Some(tls), &secrets)
        };
        for (tls, id) in [(tls(None), tls::client::SYSTEM), (tls(Some("own")), "own")] {
            assert_eq!(with(&tls, id, "one"), with(&tls, id, "one"));
            assert_ne!(with(&tls, id, "one"), with(&tls, id, "two"), "{id}");
        }
    }
}
