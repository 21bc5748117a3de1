//! Layers that norm what they read, under the names of several checkpoints; and the way from pixels to
//! a sequence.

use glassformer_graph::{
    Binary, Builder, GraphError, Mask, NodeId, Role, Stack, Unary, Unfold, WeightId,
};

use super::config::{TowerConfig, VisionConfig};

type Result<T, E = GraphError> = std::result::Result<T, E>;

const STACK: Stack = Stack::Encoder;

/// What a checkpoint calls the weights of a layer, behind the layer's own name.
#[derive(Debug)]
pub(super) struct LayerNames {
    /// In front of the number of a layer.
    pub layers: &'static str,
    pub norm_before: &'static str,
    pub query: &'static str,
    pub key: &'static str,
    pub value: &'static str,
    pub output: &'static str,
    pub norm_after: &'static str,
    pub up: &'static str,
    pub down: &'static str,
}

/// CLIP's, in both towers.
pub(super) const CLIP: LayerNames = LayerNames {
    layers: "encoder.layers",
    norm_before: "layer_norm1",
    query: "self_attn.q_proj",
    key: "self_attn.k_proj",
    value: "self_attn.v_proj",
    output: "self_attn.out_proj",
    norm_after: "layer_norm2",
    up: "mlp.fc1",
    down: "mlp.fc2",
};

/// ViT's and DeiT's.
pub(super) const VIT: LayerNames = LayerNames {
    layers: "encoder.layer",
    norm_before: "layernorm_before",
    query: "attention.attention.query",
    key: "attention.attention.key",
    value: "attention.attention.value",
    output: "attention.output.dense",
    norm_after: "layernorm_after",
    up: "intermediate.dense",
    down: "output.dense",
};

/// Adds nodes of one tower. Nodes are named as its weights, without the tower's own name.
pub(super) struct Tower<'b> {
    pub b: &'b mut Builder,
    /// In front of all its weights.
    pub prefix: &'static str,
    pub names: &'static LayerNames,
}

impl Tower<'_> {
    /// All layers. `x [batch, q_len, hidden]` to the same.
    pub fn layers(&mut self, config: &TowerConfig, x: NodeId, mask: Mask) -> Result<NodeId> {
        let mut x = x;
        self.residual(x, 0);
        for layer in 0..config.num_hidden_layers {
            x = self.layer(config, layer, x, mask)?;
            self.residual(x, layer + 1);
        }
        Ok(x)
    }

    fn layer(
        &mut self,
        config: &TowerConfig,
        layer: usize,
        x: NodeId,
        mask: Mask,
    ) -> Result<NodeId> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let names = self.names;
        let at = format!("{}.{layer}", names.layers);
        let node = |part: &str| format!("{at}.{part}");
        let normed = self.norm(&node(names.norm_before), x, hidden, config.layer_norm_eps)?;
        let attended = self.attention(config, layer, normed, mask)?;
        let x = self
            .b
            .binary(&node("attention.sum"), x, attended, Binary::Add)?;
        let normed = self.norm(&node(names.norm_after), x, hidden, config.layer_norm_eps)?;
        let up = self.linear(&node(names.up), normed, [inner, hidden], true)?;
        let up = self.b.unary(&node("activation"), up, config.activation)?;
        let down = self.linear(&node(names.down), up, [hidden, inner], true)?;
        self.b.binary(&at, x, down, Binary::Add)
    }

    fn attention(
        &mut self,
        config: &TowerConfig,
        layer: usize,
        x: NodeId,
        mask: Mask,
    ) -> Result<NodeId> {
        let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
        let names = self.names;
        let at = format!("{}.{layer}", names.layers);
        let node = |part: &str| format!("{at}.{part}");
        let project = |tower: &mut Self, part: &str| {
            let x = tower.linear(&node(part), x, [hidden, hidden], config.qkv_bias)?;
            tower.b.split(&node(&format!("{part}.heads")), x, heads)
        };
        let query = project(self, names.query)?;
        let key = project(self, names.key)?;
        let value = project(self, names.value)?;
        let scale = 1.0 / ((hidden / heads) as f32).sqrt();
        let b = &mut *self.b;
        let scores =
            b.attention_scores(&node("attention.scores"), query, key, None, scale, mask)?;
        let probs = b.softmax(&node("attention.probs"), scores)?;
        let context = b.attention_context(&node("attention.context"), probs, value)?;
        let stack = STACK;
        b.set_role(query, Role::Query { stack, layer });
        b.set_role(key, Role::Key { stack, layer });
        b.set_role(value, Role::Value { stack, layer });
        b.set_role(scores, Role::AttentionScores { stack, layer });
        b.set_role(probs, Role::AttentionProbs { stack, layer });
        let joined = b.join(&node("attention.joined"), context)?;
        self.linear(&node(names.output), joined, [hidden, hidden], true)
    }

    /// From `pixels [batch, side · side, channels]`, row by row, to the places of the picture
    /// `[batch, places, hidden]`, and how many there are. `patch` names the convolution, which has a
    /// bias if it says so.
    pub fn places(
        &mut self,
        config: &VisionConfig,
        patch: &str,
        bias: bool,
    ) -> Result<(NodeId, usize)> {
        let (side, mut channels) = (config.image_size, config.num_channels);
        let mut x = self.b.values("pixels", &[side * side, channels])?;
        let mut square = Unfold {
            height: side,
            width: side,
            kernel: config.patch_size,
            stride: config.patch_size,
            padding: 0,
        };
        let hidden = config.tower.hidden_size;
        if let Some(stem) = &config.stem {
            for (i, (&wide, &stride)) in stem.channels.iter().zip(&stem.strides).enumerate() {
                let at = format!("{}.stem.{i}", stem_of(patch));
                square.kernel = stem.kernel;
                (square.stride, square.padding) = (stride, stem.padding);
                x = self.convolution(&at, x, square, [wide, channels], true)?;
                x = self.b.unary(&format!("{at}.gelu"), x, Unary::Gelu)?;
                [square.height, square.width] = square.places().unwrap_or_default();
                channels = wide;
            }
            (square.kernel, square.stride, square.padding) = (1, 1, 0);
        }
        let x = self.convolution(patch, x, square, [hidden, channels], bias)?;
        let places = square.places().unwrap_or_default();
        Ok((x, places.into_iter().product()))
    }

    /// A convolution as a matrix product of the squares it sees.
    fn convolution(
        &mut self,
        name: &str,
        x: NodeId,
        square: Unfold,
        [wide, channels]: [usize; 2],
        bias: bool,
    ) -> Result<NodeId> {
        let under = self.b.unfold(&format!("{name}.unfolded"), x, square)?;
        let columns = channels * square.kernel * square.kernel;
        self.linear(name, under, [wide, columns], bias)
    }

    /// `x · Wᵀ (+ b)`, `W [out, in]`.
    pub fn linear(
        &mut self,
        name: &str,
        x: NodeId,
        shape: [usize; 2],
        bias: bool,
    ) -> Result<NodeId> {
        let weight = self.weight(&format!("{name}.weight"), &shape)?;
        let bias = if bias {
            Some(self.weight(&format!("{name}.bias"), &shape[..1])?)
        } else {
            None
        };
        self.b.linear(name, x, weight, bias)
    }

    /// A layer norm.
    pub fn norm(&mut self, name: &str, x: NodeId, width: usize, eps: f32) -> Result<NodeId> {
        let gain = self.weight(&format!("{name}.weight"), &[width])?;
        let bias = self.weight(&format!("{name}.bias"), &[width])?;
        self.b.layer_norm(name, x, [gain, bias], eps)
    }

    /// A weight of the tower.
    pub fn weight(&mut self, name: &str, shape: &[usize]) -> Result<WeightId> {
        self.b.weight(format!("{}{name}", self.prefix), shape)
    }

    fn residual(&mut self, node: NodeId, layer: usize) {
        let stack = STACK;
        self.b.set_role(node, Role::Residual { stack, layer });
    }
}

/// The convolutions before the last stand beside it.
fn stem_of(patch: &str) -> &str {
    patch.rsplit_once('.').map_or(patch, |(folder, _)| folder)
}
