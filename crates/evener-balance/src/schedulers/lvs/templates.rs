//! Persistence: clients stay with their server.
//!
//! Rules kept here (Linux `ip_vs_core.c`, `ip_vs_conn.c`):
//! - A client is an address cut to the mask. Its template lasts `timeout` after its last new
//!   connection; while it has connections, or had one within the time they count as inactive, it
//!   lasts a minute more at a time.
//! - A template whose server left the list, or has weight 0 where `expire_quiescent`, is replaced.
//! - Ours: at most 1,048,576 templates; beyond that a client gets none.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, Ipv6Addr};

use evener_plan::Persistence;

/// Who stays with which server.
pub(super) struct Templates {
    timeout: u64,
    prefix_v4: u32,
    prefix_v6: u32,
    expire_quiescent: bool,
    inactive: u64,
    by_client: BTreeMap<Client, u32>,
    slots: Vec<Template>,
    free: Vec<u32>,
    /// When to look at a slot; the earliest first.
    due: BinaryHeap<Reverse<(u64, u32)>>,
}

#[derive(Debug, Clone)]
struct Template {
    client: Client,
    place: u32,
    until: u64,
    /// When it is looked at next: not after `until`.
    due: u64,
    /// Leases that have not ended, and when the last one that has stops to count.
    open: u32,
    counts_until: u64,
    is_live: bool,
}

/// An address cut to the mask, IPv4 as IPv6 maps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Client(u128);

const MORE: u64 = 60_000;
const MOST: usize = 1 << 20;
/// Templates looked at with one pick.
const BATCH: usize = 64;

impl Templates {
    pub(super) fn new(persistence: &Persistence, inactive: u64) -> Templates {
        Templates {
            timeout: persistence.timeout,
            prefix_v4: persistence.prefix_v4.min(32).into(),
            prefix_v6: persistence.prefix_v6.min(128).into(),
            expire_quiescent: persistence.expire_quiescent,
            inactive,
            by_client: BTreeMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            due: BinaryHeap::new(),
        }
    }

    /// The client an address belongs to.
    pub(super) fn client(&self, address: IpAddr) -> Client {
        match address.to_canonical() {
            IpAddr::V4(four) => {
                let mask = u128::MAX.checked_shl(32 - self.prefix_v4).unwrap_or(0);
                Client(four.to_ipv6_mapped().to_bits() & mask)
            }
            IpAddr::V6(six) => {
                let mask = u128::MAX.checked_shl(128 - self.prefix_v6).unwrap_or(0);
                Client(six.to_bits() & mask)
            }
        }
    }

    /// The client's template, by slot.
    pub(super) fn of(&self, client: Client) -> Option<u32> {
        self.by_client.get(&client).copied()
    }

    /// The server of a template, and whether it may be kept with weight 0.
    pub(super) fn kept(&self, slot: u32) -> (usize, bool) {
        (self.slots[slot as usize].place as usize, !self.expire_quiescent)
    }

    /// The client, who has this template or none, gets a connection at a server. Gives the mark of
    /// its lease and the server that lost a template for it.
    pub(super) fn take(
        &mut self,
        client: Client,
        known: Option<u32>,
        place: usize,
        now: u64,
    ) -> (u32, Option<usize>) {
        let mut lost = None;
        let until = now + self.timeout;
        let slot = match known {
            Some(slot) if self.slots[slot as usize].place as usize == place => slot,
            known => {
                if let Some(slot) = known {
                    lost = Some(self.slots[slot as usize].place as usize);
                    self.remove(slot);
                }
                if self.by_client.len() >= MOST {
                    return (0, lost);
                }
                self.add(client, place, until)
            }
        };
        let template = &mut self.slots[slot as usize];
        template.open += 1;
        template.until = until;
        (slot + 1, lost)
    }

    /// A lease with this mark ended.
    pub(super) fn ended(&mut self, mark: u32, now: u64) {
        let slot = mark.checked_sub(1).and_then(|slot| self.slots.get_mut(slot as usize));
        if let Some(template) = slot {
            template.open = template.open.saturating_sub(1);
            template.counts_until = now + self.inactive;
            if !template.is_live && template.open == 0 {
                self.free.push(mark - 1);
            }
        }
    }

    /// Forgets templates whose time is over, some at a time; gives their servers.
    pub(super) fn expire(&mut self, now: u64) -> Vec<usize> {
        let mut servers = Vec::new();
        for _ in 0..BATCH {
            let Some(Reverse((due, slot))) = self.due.peek().copied().filter(|due| due.0.0 <= now)
            else {
                break;
            };
            self.due.pop();
            let template = &self.slots[slot as usize];
            if !template.is_live || template.due != due {
                continue;
            }
            servers.extend(self.lapse(slot, now));
            let template = &mut self.slots[slot as usize];
            if template.is_live {
                template.due = template.until;
                self.due.push(Reverse((template.due, slot)));
            }
        }
        servers
    }

    /// Whether some are yet to be looked at.
    pub(super) fn is_late(&self, now: u64) -> bool {
        self.due.peek().is_some_and(|Reverse((due, _))| *due <= now)
    }

    /// Forgets a template if its time is over, else gives it what it lasts on; its server, if it was
    /// forgotten.
    pub(super) fn lapse(&mut self, slot: u32, now: u64) -> Option<usize> {
        let template = &mut self.slots[slot as usize];
        if now < template.until {
            return None;
        }
        if template.open == 0 && now >= template.counts_until {
            let place = template.place as usize;
            self.remove(slot);
            return Some(place);
        }
        template.until += (now - template.until) / MORE * MORE + MORE;
        None
    }

    /// Takes over templates of servers that stay; gives how many each has.
    pub(super) fn inherit(
        &mut self,
        before: &Templates,
        moves: &[Option<u32>],
    ) -> Vec<(usize, i32)> {
        let mut counts: BTreeMap<usize, i32> = BTreeMap::new();
        let mut live: Vec<&Template> = before.slots.iter().filter(|old| old.is_live).collect();
        // Those whom a wider mask makes one have the template that lasts longest.
        live.sort_unstable_by_key(|old| Reverse((old.until, old.client)));
        for old in live {
            let client = self.client(Ipv6Addr::from_bits(old.client.0).into());
            let place = moves[old.place as usize].filter(|_| self.of(client).is_none());
            if let Some(place) = place {
                let slot = self.add(client, place as usize, old.until);
                let template = &mut self.slots[slot as usize];
                // Leases of the plan before end there.
                *template = Template { open: 0, place, client, due: old.until, ..old.clone() };
                *counts.entry(place as usize).or_default() += 1;
            }
        }
        counts.into_iter().collect()
    }

    fn add(&mut self, client: Client, place: usize, until: u64) -> u32 {
        let template = Template {
            client,
            place: place as u32,
            until,
            due: until,
            open: 0,
            counts_until: 0,
            is_live: true,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = template;
                slot
            }
            None => {
                self.slots.push(template);
                self.slots.len() as u32 - 1
            }
        };
        self.by_client.insert(client, slot);
        self.due.push(Reverse((until, slot)));
        slot
    }

    fn remove(&mut self, slot: u32) {
        let template = &mut self.slots[slot as usize];
        template.is_live = false;
        self.by_client.remove(&template.client);
        if template.open == 0 {
            self.free.push(slot);
        }
    }
}
