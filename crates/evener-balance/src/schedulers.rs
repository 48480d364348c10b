//! The schedulers, one file each.

mod contest;
mod nginx_least_conn;
mod nginx_round_robin;
#[cfg(test)]
mod smooth;

pub(crate) use nginx_least_conn::NginxLeastConn;
pub(crate) use nginx_round_robin::NginxRoundRobin;
