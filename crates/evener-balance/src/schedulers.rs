//! The schedulers, a file each in the folder of the program whose they are.

pub(crate) mod haproxy;
pub(crate) mod lvs;
pub(crate) mod nginx;
pub(crate) mod own;

pub(crate) use haproxy::Input as HaproxyInput;
