//! What a text expands to: how deep it goes and how many nodes it has once aliases are followed.
//!
//! A few lines of nested aliases can stand for billions of nodes, and an alias inside its own
//! anchor for endlessly many; both are found here by adding sizes, before anyone builds a tree.

use crate::{Cause, Kind, MAX_DEPTH, MAX_NODES};

#[derive(Default)]
pub(crate) struct Measure {
    nodes: u64,
    open: Vec<Frame>,
    /// By anchor: what it stands for, or `None` while it is still open.
    anchors: Vec<Option<Size>>,
}

/// A mapping or list that has not ended.
struct Frame {
    anchor: usize,
    nodes_before: u64,
    height: usize,
}

#[derive(Clone, Copy)]
struct Size {
    nodes: u64,
    height: usize,
}

impl Measure {
    /// Takes the next event; an error when the text grows beyond a cap with it.
    pub(crate) fn take(&mut self, kind: &Kind<'_>, anchor: usize) -> Result<(), Cause> {
        match kind {
            Kind::Mapping | Kind::Sequence => self.open(anchor)?,
            Kind::End => self.close(),
            Kind::Plain(_) | Kind::Quoted(_) => {
                let size = Size { nodes: 1, height: 0 };
                self.remember(anchor, Some(size));
                self.add(size)?;
            }
            Kind::Alias => {
                let known = self.anchors.get(anchor).copied().flatten();
                self.add(known.ok_or(Cause::Recursive)?)?;
            }
        }
        Ok(())
    }

    fn open(&mut self, anchor: usize) -> Result<(), Cause> {
        self.remember(anchor, None);
        let nodes_before = self.nodes;
        self.open.push(Frame { anchor, nodes_before, height: 0 });
        self.add(Size { nodes: 1, height: 0 })
    }

    fn close(&mut self) {
        let Some(frame) = self.open.pop() else { return };
        let size = Size { nodes: self.nodes - frame.nodes_before, height: frame.height + 1 };
        self.remember(frame.anchor, Some(size));
        if let Some(parent) = self.open.last_mut() {
            parent.height = parent.height.max(size.height);
        }
    }

    fn add(&mut self, size: Size) -> Result<(), Cause> {
        self.nodes += size.nodes;
        if let Some(frame) = self.open.last_mut() {
            frame.height = frame.height.max(size.height);
        }
        if self.open.len() + size.height > MAX_DEPTH {
            return Err(Cause::TooDeep);
        }
        if self.nodes > MAX_NODES { Err(Cause::TooMany) } else { Ok(()) }
    }

    fn remember(&mut self, anchor: usize, size: Option<Size>) {
        if anchor == 0 {
            return;
        }
        if self.anchors.len() <= anchor {
            self.anchors.resize(anchor + 1, None);
        }
        if let Some(slot) = self.anchors.get_mut(anchor) {
            *slot = size;
        }
    }
}
