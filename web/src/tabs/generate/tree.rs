//! The texts that grew from one prompt: a trunk and its branches. A branch shares what stands
//! before it with its parent and begins with a token that the person chose.

use super::status::Phase;
use crate::components::token_stream::Token;

/// A text from where it left its parent on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Whose beginning it shares; nothing for the trunk.
    pub parent: Option<usize>,
    /// Position of its first own token.
    pub at: usize,
    /// The token it was made with, and its text.
    pub forced: Option<(u32, String)>,
    /// From `at` on.
    pub tokens: Vec<Token>,
    /// Text behind the last token that belongs to none.
    pub tail: String,
    /// How far it is.
    pub phase: Phase,
}

/// A trunk and its branches; one of them is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    nodes: Vec<Node>,
    current: usize,
}

impl Tree {
    /// A trunk with nothing written, and, where a link forces tokens, the branches they make, one
    /// out of the other. The last is shown.
    pub fn with_steps(steps: &[(u32, u32)]) -> Self {
        let mut tree = Self {
            nodes: vec![Node::default()],
            current: 0,
        };
        for &(at, id) in steps {
            tree.grow(at as usize, id, String::new());
        }
        tree
    }

    /// All of them; the trunk first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Which is shown.
    pub fn current(&self) -> usize {
        self.current
    }

    /// The one that is shown.
    pub fn shown(&self) -> Option<&Node> {
        self.nodes.get(self.current)
    }

    /// Shows another.
    pub fn show(&mut self, node: usize) {
        if node < self.nodes.len() {
            self.current = node;
        }
    }

    /// Changes one.
    pub fn node_mut(&mut self, node: usize) -> Option<&mut Node> {
        self.nodes.get_mut(node)
    }

    /// The tokens of a text from its beginning.
    pub fn text(&self, node: usize) -> Vec<Token> {
        let Some(found) = self.nodes.get(node) else {
            return Vec::new();
        };
        let mut tokens = match found.parent {
            Some(parent) => self.text(parent),
            None => Vec::new(),
        };
        tokens.truncate(found.at);
        tokens.extend(found.tokens.iter().cloned());
        tokens
    }

    /// Positions and ids of the tokens that a text was made with, in order.
    pub fn steps(&self, node: usize) -> Vec<(u32, u32)> {
        let Some(found) = self.nodes.get(node) else {
            return Vec::new();
        };
        let mut steps = found
            .parent
            .map_or_else(Vec::new, |parent| self.steps(parent));
        steps.extend(found.forced.iter().map(|(id, _)| (found.at as u32, *id)));
        steps
    }

    /// A branch of the text that is shown, in which `id` stands at position `at`; it is shown now.
    /// If there is one already, that is shown. The second value says whether it is new.
    pub fn grow(&mut self, at: usize, id: u32, text: String) -> (usize, bool) {
        let mut parent = self.current;
        // The first own token of a branch is a choice of its parent's text.
        while let Some(Node {
            parent: Some(above),
            at: from,
            ..
        }) = self.nodes.get(parent)
            && *from >= at
        {
            parent = *above;
        }
        let same = |node: &Node| {
            let forced = node.forced.as_ref().map(|(id, _)| *id);
            node.parent == Some(parent) && node.at == at && forced == Some(id)
        };
        if let Some(found) = self.nodes.iter().position(same) {
            self.current = found;
            return (found, false);
        }
        self.current = self.nodes.len();
        self.nodes.push(Node {
            parent: Some(parent),
            at,
            forced: Some((id, text)),
            ..Node::default()
        });
        (self.current, true)
    }

    /// Adds a token to the text that ends in `node`: to the part of it that position belongs to.
    /// A token that does not follow what is there is left out.
    pub fn write(&mut self, node: usize, index: usize, token: Token) {
        let mut owner = node;
        while let Some(Node {
            parent: Some(above),
            at,
            ..
        }) = self.nodes.get(owner)
            && *at > index
        {
            owner = *above;
        }
        let Some(owner) = self.nodes.get_mut(owner) else {
            return;
        };
        if index != owner.at + owner.tokens.len() {
            return;
        }
        if let (true, Some((_, text))) = (owner.tokens.is_empty(), &mut owner.forced)
            && text.is_empty()
        {
            *text = token.text.clone();
        }
        owner.tokens.push(token);
    }

    /// Takes away the branches of a link that its text ended before; says whether there were any.
    /// A branch that was made by hand stays even if its first token ended the text.
    pub fn prune(&mut self) -> bool {
        let before = self.nodes.len();
        while let Some(last) = self.nodes.last()
            && last
                .forced
                .as_ref()
                .is_some_and(|(_, text)| text.is_empty())
            && last.tokens.is_empty()
        {
            self.nodes.pop();
        }
        self.current = self.current.min(self.nodes.len().saturating_sub(1));
        before != self.nodes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: u32) -> Token {
        Token {
            id,
            text: format!("<{id}>"),
            logprob: -1.0,
            kept: None,
        }
    }

    fn ids(tree: &Tree, node: usize) -> Vec<u32> {
        tree.text(node).iter().map(|token| token.id).collect()
    }

    /// A trunk 0…5, a branch 30 at 3 with 31 and 32 behind it.
    fn tree() -> Tree {
        let mut tree = Tree::with_steps(&[]);
        (0..6).for_each(|i| tree.write(0, i, token(i as u32)));
        assert_eq!(tree.grow(3, 30, "thirty".into()), (1, true));
        (3..6).for_each(|i| tree.write(1, i, token(27 + i as u32)));
        tree
    }

    #[test]
    fn branches_share_their_beginning_and_leave_the_trunk_alone() {
        let mut tree = tree();
        assert_eq!(ids(&tree, 0), [0, 1, 2, 3, 4, 5]);
        assert_eq!(ids(&tree, 1), [0, 1, 2, 30, 31, 32]);
        assert_eq!(tree.steps(1), [(3, 30)]);
        // A branch of the branch, one beside it, and one further up, all while the first is shown.
        assert_eq!(tree.grow(5, 50, "x".into()), (2, true));
        assert_eq!(tree.nodes()[2].parent, Some(1));
        assert_eq!(tree.steps(2), [(3, 30), (5, 50)]);
        tree.show(1);
        assert_eq!(tree.grow(3, 33, "y".into()), (3, true));
        assert_eq!(tree.nodes()[3].parent, Some(0));
        tree.show(1);
        assert_eq!(tree.grow(1, 11, "z".into()), (4, true));
        assert_eq!(ids(&tree, 4), [0]);
        assert_eq!(tree.steps(4), [(1, 11)]);
        // What is there is shown again, not made again.
        tree.show(0);
        assert_eq!(tree.grow(3, 30, "thirty".into()), (1, false));
        assert_eq!(tree.current(), 1);
        assert_eq!(tree.nodes().len(), 5);
    }

    #[test]
    fn a_link_is_written_from_the_trunk_to_the_last_branch() {
        let mut tree = Tree::with_steps(&[(2, 20), (4, 40)]);
        assert_eq!((tree.current(), tree.nodes().len()), (2, 3));
        for (i, id) in [0, 1, 20, 21, 40, 41].into_iter().enumerate() {
            tree.write(2, i, token(id));
        }
        assert_eq!(ids(&tree, 2), [0, 1, 20, 21, 40, 41]);
        assert_eq!(ids(&tree, 1), [0, 1, 20, 21]);
        assert_eq!(ids(&tree, 0), [0, 1]);
        assert_eq!(tree.steps(2), [(2, 20), (4, 40)]);
        assert_eq!(tree.nodes()[2].forced, Some((40, "<40>".into())));
        assert!(!tree.prune());
        // Twice the same place, or one that does not follow, changes nothing.
        tree.write(2, 5, token(9));
        tree.write(2, 99, token(9));
        assert_eq!(tree.text(2).len(), 6);

        let mut short = Tree::with_steps(&[(2, 20), (4, 40)]);
        (0..3).for_each(|i| short.write(2, i, token(i as u32)));
        assert!(short.prune());
        assert_eq!((short.current(), short.nodes().len()), (1, 2));
    }
}
